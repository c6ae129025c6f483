"""The scene file: everything comes back to the bit, and its manual is enough to play it."""

import dataclasses
import json
import re
import zipfile
from functools import partial

import jax
import numpy as np
import pytest

from mom3d_jax import render
from mom3d_jax.deformation import blend, gaussian_sets
from mom3d_jax.export import read_scene, write_scene

FIELDS = ("fill", "loop", "one_sided")


@partial(jax.jit, static_argnames="field")
def picture(gaussians, dynamics, residual, frame, field, camera):
    """The image of a scene at a frame, without the scene's own methods."""
    sets, weights = gaussian_sets(gaussians, dynamics, residual, frame, field)
    return blend([render.render_view(s, camera, capacity=4096, backend="xla").color for s in sets], weights)


def drawn(scene, frame):
    return picture(scene.gaussians, scene.dynamics, scene.residual, frame, scene.field, scene.camera)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("residual", ["none", "hexplane"])
def test_everything_comes_back_to_the_bit(make_scene, tmp_path, field, residual):
    scene = make_scene(field, residual, crossfade=0.3, inclusive=True, ramp=3.0)
    path = write_scene(tmp_path / "deep" / "scene.4dgs.npz", scene)
    back = read_scene(path)
    leaves = lambda s: jax.tree.leaves_with_path((s.gaussians, s.dynamics, s.residual, s.camera))
    for (name, mine), (its_name, its) in zip(leaves(scene), leaves(back), strict=True):
        assert name == its_name
        np.testing.assert_array_equal(its, mine)
        assert its.dtype == mine.dtype
    # Static fields, the residual's options among them, are part of the structure.
    assert jax.tree.structure(back.dynamics) == jax.tree.structure(scene.dynamics)
    assert (back.field, back.notes, back.gaussians.movable) == (scene.field, scene.notes, scene.gaussians.movable)
    assert [p.name for p in path.parent.iterdir()] == ["scene.4dgs.npz"]


@pytest.mark.parametrize("field", FIELDS)
def test_what_was_read_renders_to_the_bit(make_scene, tmp_path, field):
    scene = make_scene(field)
    back = read_scene(write_scene(tmp_path / "s.npz", scene))
    still = drawn(scene, 0)
    for frame in (0, 1, 5, 7):
        np.testing.assert_array_equal(drawn(back, frame), drawn(scene, frame))
        assert frame == 0 or np.abs(drawn(scene, frame) - still).max() > 0.01


@pytest.mark.parametrize("field", FIELDS)
def test_the_file_says_which_copies_exist(make_scene, tmp_path, field):
    with np.load(write_scene(tmp_path / "s.npz", make_scene(field, crossfade=0.75))) as file:
        kinds = ("weights", "forward", "rear", "opacity", "sinks", "rests")
        weights, forward, rear, opacity, sinks, rests = (file[f"sets.{kind}"] for kind in kinds)
        np.testing.assert_array_equal(file["times"], np.arange(8) / 8)
    n = np.arange(8)
    comes_in, goes_out, ones = np.minimum(n / 4, 1), np.minimum((8 - n) / 4, 1), np.ones(8)
    expected = {
        "one_sided": ([[True]], [[False]], [[ones]], [ones]),
        "fill": ([[True, False, True]], [[False, True, True]], [[ones, comes_in, comes_in]], [ones]),
        "loop": (
            [[True, False, True], [False, True, True]],
            [[False, True, True], [False, True, True]],
            [[ones, comes_in, comes_in], [ones, goes_out, goes_out]],
            [np.clip((8 - n) / 6, 0, 1), 1 - np.clip((8 - n) / 6, 0, 1)],
        ),
    }[field]
    np.testing.assert_array_equal(forward, expected[0])
    np.testing.assert_array_equal(rear, expected[1])
    np.testing.assert_array_equal(sinks, np.zeros_like(rear) if field == "one_sided" else ~rear)
    np.testing.assert_array_equal(rests, np.zeros_like(rear) | (np.arange(rear.shape[1]) == 2)[None])
    np.testing.assert_allclose(opacity, np.moveaxis(expected[2], -1, 0), rtol=1e-6)
    np.testing.assert_allclose(weights, np.transpose(expected[3]), rtol=1e-6, atol=1e-7)


@pytest.fixture(scope="module")
def manual(repository):
    """The program in the manual of the file."""
    (code,) = re.findall(r"```python\n(.*?)```", (repository / "docs" / "scene-file.md").read_text(), re.DOTALL)
    names: dict = {}
    exec(code, names)
    assert {line.split()[1] for line in code.splitlines() if line.startswith("import ")} == {"json", "numpy"}
    return names


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "options", [{}, {"ramp": 0.0, "inclusive": True, "residual": "hexplane"}, {"residual": "none"}]
)
def test_the_manual_plays_the_file(make_scene, tmp_path, manual, field, options):
    scene = make_scene(field, **options)
    file = dict(np.load(write_scene(tmp_path / "s.npz", scene)))
    for frame in (0, 3, 7):
        played, weights = manual["sets_at"](file, frame)
        ours, our_weights = scene.at(frame)
        assert len(played) == len(ours)
        for theirs, mine in zip(played, ours, strict=True):
            seen = np.asarray(mine.alive) & ~np.isneginf(np.asarray(mine.opacity_logits))
            # Ours stand in the order front, rest, rear.
            m, n = scene.gaussians.movable, len(scene.gaussians.alive)
            order = np.r_[m:n, :m, n : len(seen)]
            kept = jax.tree.map(lambda a, o=order, s=seen: np.asarray(a)[o][s[o]], mine)
            np.testing.assert_allclose(theirs["means"], kept.means, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(theirs["log_scales"], kept.log_scales, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(theirs["quaternions"], kept.quaternions, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(theirs["opacities"], 1 / (1 + np.exp(-kept.opacity_logits)), atol=1e-5)
            np.testing.assert_allclose(theirs["sh"], kept.sh, rtol=1e-4, atol=1e-5)
        images = [np.full((2, 2, 3), 0.1 + 0.5 * k, np.float32) for k in range(len(ours))]
        np.testing.assert_allclose(manual["blend"](images, weights), blend(images, our_weights), atol=1e-6)


def test_other_programs_can_read_it(make_scene, tmp_path):
    with np.load(write_scene(tmp_path / "s.npz", make_scene())) as file:
        about = json.loads(str(file["about"]))
        assert {"gaussians.means", "displacements.forward", "dynamics.where", "camera.focal"} <= set(file.files)
    assert about["version"] == 3
    assert about["static"]["gaussians"] == {"movable": 12}
    assert about["static"]["dynamics"] == {
        "period": 8,
        "duration": 8,
        "ramp": 4.0,
        "torn": [1.25, 2.0],
        "crossfade": 0.5,
    }
    assert "1st percentile 1" in about["units"]["length"]


def test_the_manual_names_every_array_and_key(make_scene, tmp_path, repository):
    text = (repository / "docs" / "scene-file.md").read_text()
    with np.load(write_scene(tmp_path / "s.npz", make_scene())) as file:
        about, names = json.loads(str(file["about"])), [n for n in file.files if not n.startswith("residual.")]
    assert not [name for name in names if f"`{name}`" not in text and f"`.{name.partition('.')[2]}`" not in text]
    keys = [key for key in about if key not in ("static", "residual")]
    keys += [f"static.{part}.{key}" for part, value in about["static"].items() for key in value]
    assert not [key for key in keys if f"`{key}`" not in text and f"`.{key.rpartition('.')[2]}`" not in text]


def test_a_failed_write_leaves_the_old_file(make_scene, tmp_path):
    scene = make_scene()
    path = write_scene(tmp_path / "s.npz", scene)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="notes are not JSON"):
        write_scene(path, dataclasses.replace(scene, notes={"bad": float("nan")}))
    with pytest.raises(ValueError, match="displacements of 12 Gaussians, but 3 are movable"):
        write_scene(path, dataclasses.replace(scene, gaussians=dataclasses.replace(scene.gaussians, movable=3)))
    foreign = dataclasses.replace(scene.dynamics, residual=object())
    with pytest.raises(ValueError, match="object is not among the residuals that a reader can make: none, hexplane"):
        write_scene(path, dataclasses.replace(scene, dynamics=foreign))

    class Broken:
        def __array__(self, dtype=None, copy=None):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_scene(path, dataclasses.replace(scene, residual={"x": Broken()}))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["s.npz"]


def with_about(path, target, **changes):
    """A copy of a file with other entries in `about`."""
    with np.load(path) as file:
        arrays = dict(file)
    arrays["about"] = np.array(json.dumps(json.loads(str(arrays["about"])) | changes))
    np.savez(target, **arrays)
    return target


def test_broken_files(make_scene, tmp_path):
    path = write_scene(tmp_path / "s.npz", make_scene())
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
    with pytest.raises(FileNotFoundError):
        read_scene(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 1}, "has version 1 of the format; this program reads version 3"),
        ({"version": 99}, "has version 99 of the format"),
        ({"field": "wave"}, "unknown field 'wave'; known: fill, loop, one_sided"),
        ({"residual": {"name": "mlp", "options": {}}}, "unknown residual 'mlp'"),
        ({"residual": {"name": "hexplane", "options": {"depth": 3}}}, "no option 'depth'"),
        ({"static": {}}, "is damaged: 'gaussians'"),
    ],
)
def test_files_of_another_program(make_scene, tmp_path, changes, message):
    path = write_scene(tmp_path / "s.npz", make_scene())
    with pytest.raises(ValueError, match=message) as error:
        read_scene(with_about(path, tmp_path / "new.npz", **changes))
    assert str(error.value).startswith(str(tmp_path / "new.npz"))
    assert "\n" not in str(error.value)
