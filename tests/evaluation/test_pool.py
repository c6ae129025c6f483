"""Results that runs of one input share."""

import json

import numpy as np
import pytest

from mom3d_jax import artifacts, pipeline
from mom3d_jax.config import default_config


@pytest.fixture
def config(dataset):
    c = default_config()
    c.input, c.size.width = str(dataset / "alpine_lake_0"), 64
    return c


def files(folder):
    return {f.name: (f.stat().st_ino, f.stat().st_mtime_ns) for f in sorted(folder.glob("*.npz"))}


def test_a_second_work_folder_takes_what_the_pool_has(config, tmp_path):
    pool = tmp_path / "pool"
    figures = pipeline.run(config, tmp_path / "a", until="depth", pool=pool)
    before = files(pool)
    assert [name.split("-")[0] for name in before] == ["depth", "scene"]
    again = pipeline.run(config, tmp_path / "b", until="pointcloud", pool=pool)
    assert {name: stamp for name, stamp in files(pool).items() if name in before} == before
    assert again["seconds"]["depth"] == figures["seconds"]["depth"]
    first, second = (files(tmp_path / run / "artifacts") for run in "ab")
    assert {name: first[name][0] for name in first} == {name: second[name][0] for name in first}
    assert json.loads((tmp_path / "b" / "run.json").read_text())["config"]["size"]["width"] == 64


def test_other_settings_take_nothing_from_it(config, tmp_path):
    pipeline.run(config, tmp_path / "a", until="depth", pool=tmp_path / "pool")
    config.depth.normalize = False
    pipeline.run(config, tmp_path / "b", until="depth", pool=tmp_path / "pool")
    assert not (tmp_path / "a/artifacts/02_depth.npz").samefile(tmp_path / "b/artifacts/02_depth.npz")
    assert (tmp_path / "a/artifacts/01_scene.npz").samefile(tmp_path / "b/artifacts/01_scene.npz")


def test_a_damaged_result_in_the_pool_is_made_again(config, tmp_path):
    pipeline.run(config, tmp_path / "a", until="depth", pool=tmp_path / "pool")
    (shared,) = (tmp_path / "pool").glob("depth-*.npz")
    whole = shared.read_bytes()
    shared.unlink()  # not the work folder's own
    shared.write_bytes(whole[:500])
    pipeline.run(config, tmp_path / "b", until="depth", pool=tmp_path / "pool")
    np.testing.assert_array_equal(*(artifacts.load(tmp_path / run / "artifacts" / "02_depth.npz").z for run in "ab"))
    assert artifacts.exists(shared, str(json.loads(str(np.load(shared)["__layout__"]))["key"]))


def test_where_links_fail_files_are_copied(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    artifacts.save(tmp_path / "a.npz", {"x": np.arange(3)}, "key")
    artifacts.write_json(tmp_path / "a.json", {"made": []})
    monkeypatch.setattr("os.link", refuse)
    artifacts.share(tmp_path / "a.npz", tmp_path / "pool" / "b.npz")
    np.testing.assert_array_equal(artifacts.load(tmp_path / "pool" / "b.npz", "key")["x"], np.arange(3))
    assert not (tmp_path / "pool" / "b.npz").samefile(tmp_path / "a.npz")
    assert (tmp_path / "pool" / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()
