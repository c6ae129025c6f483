"""Models in the place of built-in stages: same artifacts, their results in them, and what happens where they fail."""

import json
import shutil
import sys

import numpy as np
import pytest

from mom3d_jax import artifacts, pipeline
from mom3d_jax.config import default_config, external_model
from mom3d_jax.external import ExternalError

DEPTH = """
for number, item in enumerate(request["items"]):
    h, w = arrays(number)["image"].shape[:2]
    draft(number, depth=np.tile(np.linspace(800, 200, h)[:, None], w))
finish({"kind": "metric", "unit": "cm"})
"""
FLOW = """
for number, item in enumerate(request["items"]):
    given = arrays(number)
    assert given["hints"].shape[1] == 4 and given["mask"].max() > 0.5
    draft(number, flow=np.full(given["image"].shape[:2] + (2,), (0.5, -0.25)))
    print("progress", item["name"], flush=True)
finish({})
"""
ANIMATION = """
for number, item in enumerate(request["items"]):
    given = arrays(number)
    T = item["values"]["frames"]
    note(json.dumps([item["name"], item["values"], float(np.abs(given["flow"]).max())]))
    frames = [given["image"] * (1 - t / T / 2) for t in range(T)]
    draft(number, video=np.round(np.stack(frames) * 255).astype(np.uint8))
finish({})
"""


@pytest.fixture(scope="module")
def configured(lake, prelude, tmp_path_factory):
    """A tiny run with the given workers: stage -> text after the prelude."""
    folder = tmp_path_factory.mktemp("workers")

    def make(**bodies):
        c = default_config()
        c.input = str(lake)
        c.size.width = 64
        c.time.frames = c.render.frames = 6
        for stage, body in bodies.items():
            worker = folder / f"{stage}.py"
            worker.write_text(prelude + body)
            c.external[f"my_{stage}"] = external_model()
            settings = {"worker": str(worker), "python": sys.executable, "device": "cpu", "timeout": 120.0}
            c.external[f"my_{stage}"].update(settings | {"task": stage, "options": {"speed": 1}})
            c.external[f"my_{stage}"].environment.NOTES = str(folder / "notes.txt")
            c[stage].model = f"my_{stage}"
        return c, folder / "notes.txt"

    return make


def artifact(workdir, name):
    return artifacts.load(pipeline.artifact_file(workdir, name))


@pytest.fixture(scope="module")
def run(configured, tmp_path_factory):
    """The first seven stages, three of them by models."""
    c, notes = configured(depth=DEPTH, flow=FLOW, animation=ANIMATION)
    workdir = tmp_path_factory.mktemp("run")
    return c, workdir, pipeline.run(c, workdir, until="animation"), notes


def test_the_depth_is_theirs(run):
    _, workdir, figures, _ = run
    depth = artifact(workdir, "depth")
    # Metres, scaled so that the 1st percentile is 1.
    np.testing.assert_allclose(depth.z / depth.scale, np.tile(np.linspace(8, 2, 36)[:, None], 64), rtol=1e-5)
    assert depth.source == figures["depth"]["source"] == "my_depth"
    assert figures["depth"]["kind"] == "metric"


def test_the_flow_of_every_view_is_theirs(run):
    _, workdir, figures, _ = run
    views, flows = artifact(workdir, "views"), artifact(workdir, "flow")
    used = np.flatnonzero(flows.weight)
    assert figures["flow"]["views_from_model"] == used.tolist()
    assert figures["flow"]["source"] == "my_flow"
    for v in used:
        # In its direction everywhere, at its length wherever nothing fades.
        np.testing.assert_allclose(flows.flow[v][..., 1], -0.5 * flows.flow[v][..., 0], atol=1e-6)
        seen = (views.masks[v] * views.valid[v]) == 1
        length = np.linalg.norm(flows.flow[v], axis=-1)[seen]
        assert length.max() == pytest.approx(np.hypot(0.5, 0.25), rel=1e-4)


def test_the_videos_are_theirs_inside_the_mask(run):
    _, workdir, figures, notes = run
    views, frames = artifact(workdir, "views"), artifact(workdir, "animation")
    asked = [json.loads(line) for line in notes.read_text().splitlines()]
    assert [name for name, _, _ in asked] == [f"view_{v:02d}" for v in frames.views]
    assert all(values == {"frames": 6, "loop": False} for _, values, _ in asked)
    for place, v in enumerate(frames.views):
        assert asked[place][2] == pytest.approx(np.abs(frames.flow[place]).max(), rel=1e-6)
        still, mask = views.images[v], views.masks[v][..., None]
        video = np.round(still * (1 - np.arange(6)[:, None, None, None] / 12) * 255) / 255
        np.testing.assert_allclose(frames.images[place], still + mask * (video - still), atol=1.01 / 255)
    assert figures["animation"]["hole_share"] == []
    assert max(figures["animation"]["still_l1"]) < 0.5 / 255


def test_where_results_come_from_is_in_the_figures(run):
    for stage in ("depth", "flow", "animation"):
        said = run[2][stage]["external"]
        assert said["name"] == f"my_{stage}"
        assert said["worker"].startswith(f"{stage}.py ")
        assert said["seconds"] > 0


def test_a_second_run_asks_nobody_and_another_option_only_its_model(run, tmp_path):
    c, workdir, _, notes = run
    before = notes.read_text()
    files = {f.name: f.stat().st_mtime_ns for f in (workdir / "artifacts").iterdir()}
    pipeline.run(c, workdir, until="animation")
    assert {f.name: f.stat().st_mtime_ns for f in (workdir / "artifacts").iterdir()} == files
    c = c.copy_and_resolve_references()
    c.external.my_animation.options.speed = 2
    with pytest.raises(ValueError, match=r"my_animation\.options\.speed was 1, is 2.*to make animation again"):
        pipeline.run(c, workdir, until="animation")
    assert notes.read_text() == before
    copy = shutil.copytree(workdir, tmp_path / "copy")
    pipeline.run(c, copy, until="animation", force=True)
    assert notes.read_text() == 2 * before
    after = {f.name: f.stat().st_mtime_ns for f in (copy / "artifacts").iterdir()}
    assert {n for n in after if after[n] != files[n]} == {"07_animation.npz", "07_animation.json"}


def test_a_model_that_fails_ends_the_run_with_its_line(configured, tmp_path):
    c, _ = configured(depth="raise RuntimeError('no sky')")
    with pytest.raises(ExternalError, match="my_depth: exit code 1: RuntimeError: no sky; more in"):
        pipeline.run(c, tmp_path, until="depth")
    assert not pipeline.artifact_file(tmp_path, "depth").exists()
    assert [f.name for f in (tmp_path / "external").iterdir()] == ["my_depth.log"]


def test_a_fallback_is_taken_and_told(configured, tmp_path, caplog):
    c, _ = configured(depth="raise RuntimeError('no sky')")
    c.external.my_depth.fallback = "builtin"
    figures = pipeline.run(c, tmp_path / "a", until="depth")["depth"]
    assert "no sky" in figures["fallback"]
    assert figures["source"] == "prior"
    c.depth.model = "builtin"
    pipeline.run(c, tmp_path / "b", until="depth")
    np.testing.assert_array_equal(artifact(tmp_path / "a", "depth").z, artifact(tmp_path / "b", "depth").z)
    c.depth.model = "my_depth"
    caplog.clear()
    pipeline.run(c, tmp_path / "a", until="depth")
    assert "depth: by the built-in; remove" in caplog.text


def test_what_cannot_run_is_said_before_anything_is_computed(configured, tmp_path):
    c, _ = configured(animation=ANIMATION)
    c.external.my_animation.python = "nowhere/python"
    with pytest.raises(ExternalError, match=r"external\.my_animation\.python=nowhere/python: no such program"):
        pipeline.run(c, tmp_path, until="animation")
    assert not list(tmp_path.glob("artifacts/*"))


def test_files_come_before_models(configured, lake, tmp_path, caplog):
    source = shutil.copytree(lake, tmp_path / "lake")
    np.save(source / "depth.npy", np.full((54, 96), 3.0))
    (source / "flow").mkdir()
    np.save(source / "flow" / "view_02.npy", np.full((36, 64, 2), [0.0, 0.5]))
    c, _ = configured(depth="raise RuntimeError", flow=FLOW)
    c.input = str(source)
    figures = pipeline.run(c, tmp_path / "out", until="flow")
    assert "the depth file of the scene is used instead of my_depth" in caplog.text
    assert figures["depth"]["source"] == "file"
    assert 2 not in figures["flow"]["views_from_model"]
    assert artifact(tmp_path / "out", "flow").flow[2][..., 0].max() == 0
    assert artifact(tmp_path / "out", "flow").flow[7][..., 0].max() > 0.4


def test_unknown_models_are_refused(configured, tmp_path):
    c, _ = configured(depth=DEPTH)
    c.flow.model = "my_depth"
    with pytest.raises(ExternalError, match="my_depth is a model for depth, not for flow"):
        pipeline.run(c, tmp_path, until="scene")
    c.flow.model = "nobody"
    with pytest.raises(ExternalError, match=r"flow\.model='nobody' is unknown; known: builtin, .*my_depth, .*template"):
        pipeline.run(c, tmp_path, until="scene")
