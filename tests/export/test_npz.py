import dataclasses
import json
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

from mom3d_jax.cameras import input_camera
from mom3d_jax.export import DynamicScene, read_scene, write_scene
from mom3d_jax.types import Displacements, Gaussians


@pytest.fixture
def scene():
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
    gaussians = Gaussians(
        means=draw(9, 3).at[8].set(jnp.nan),
        log_scales=draw(9, 3),
        quaternions=draw(9, 4),
        opacity_logits=draw(9),
        sh=draw(9, 4, 3),
        alive=jnp.arange(9) < 8,
        movable=4,
    )
    return DynamicScene(
        gaussians=gaussians,
        displacements=Displacements(forward=draw(6, 4, 3), backward=draw(6, 4, 3)),
        camera=input_camera(64, 48),
        times=np.arange(5, dtype=np.float32) / 5,
        extra={"hexplane.xy": np.ones((2, 3), np.float16)},
        notes={"field": "fill", "crossfade": 0.25},
    )


def test_everything_comes_back_to_the_bit(scene, tmp_path):
    path = write_scene(tmp_path / "deep" / "scene.4dgs.npz", scene)
    back = read_scene(path)
    for stage in ("gaussians", "displacements", "camera"):
        for field in dataclasses.fields(getattr(scene, stage)):
            kept, original = (getattr(getattr(s, stage), field.name) for s in (back, scene))
            np.testing.assert_array_equal(kept, original)
            if not field.metadata.get("static"):
                assert kept.dtype == original.dtype
            else:
                assert type(kept) is int
    np.testing.assert_array_equal(back.times, scene.times)
    np.testing.assert_array_equal(back.extra["hexplane.xy"], scene.extra["hexplane.xy"])
    assert back.extra["hexplane.xy"].dtype == np.float16
    assert back.notes == scene.notes
    assert [p.name for p in path.parent.iterdir()] == ["scene.4dgs.npz"]


def test_other_programs_can_read_it(scene, tmp_path):
    with np.load(write_scene(tmp_path / "s.npz", scene)) as file:
        about = json.loads(str(file["about"]))
        assert {"gaussians.means", "displacements.forward", "camera.focal", "times"} <= set(file.files)
    assert about["version"] == 1
    assert about["static"]["gaussians"] == {"movable": 4}
    assert "1st percentile 1" in about["units"]["length"]


def test_a_failed_write_leaves_the_old_file(scene, tmp_path):
    path = write_scene(tmp_path / "s.npz", scene)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="notes are not JSON"):
        write_scene(path, dataclasses.replace(scene, notes={"bad": float("nan")}))
    with pytest.raises(ValueError, match="displacements of 4 Gaussians, but 3 are movable"):
        write_scene(path, dataclasses.replace(scene, gaussians=dataclasses.replace(scene.gaussians, movable=3)))

    class Broken:
        def __array__(self, dtype=None, copy=None):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_scene(path, dataclasses.replace(scene, extra={"x": Broken()}))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["s.npz"]


def test_broken_files(scene, tmp_path):
    path = write_scene(tmp_path / "s.npz", scene)
    data = path.read_bytes()
    for broken in (b"", b"nothing", data[: len(data) // 2]):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"s\.npz is not a dynamic scene") as error:
            read_scene(path)
        assert "\n" not in str(error.value)
    path.write_bytes(data)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "less.npz", "w") as less:
        for name in whole.namelist():
            if name != "gaussians.sh.npy":
                less.writestr(name, whole.read(name))
    with pytest.raises(ValueError, match=r"less\.npz is damaged: 'gaussians\.sh'"):
        read_scene(tmp_path / "less.npz")
    np.savez(tmp_path / "new.npz", about=json.dumps({"version": 99}))
    with pytest.raises(ValueError, match="has version 99 of the format; this program reads version 1"):
        read_scene(tmp_path / "new.npz")
    with pytest.raises(FileNotFoundError):
        read_scene(tmp_path / "absent.npz")
