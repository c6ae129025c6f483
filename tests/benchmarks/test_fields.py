"""The comparison of the fields compares like with like, and its measures have closed forms."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest

from mom3d_jax import pipeline
from mom3d_jax.cameras import input_camera
from mom3d_jax.config import default_config
from mom3d_jax.synthetic import landscape, write_scene

RECIPE = """
from mom3d_jax.config import default_config
def get_config():
    c = default_config()
    c.size.width = 64
    c.time.frames = 8
    c.stage1.steps = 20
    c.deformation.options.hexplane.update({"resolution": 8, "features": 4, "width": 8, "time_resolution": 5})
    c.stage2.steps = 10
    c.render.paths = ("circle",)
    c.render.frames = 4
    return c
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small landscape as an input folder."""
    return write_scene(tmp_path_factory.mktemp("scenes") / "lake", landscape(seed=1, width=96, height=54))


@pytest.fixture
def fields(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository))
    return importlib.import_module("benchmarks.fields")


@pytest.fixture
def clips(fields: ModuleType) -> ModuleType:
    return fields.clips


def test_seam_of_a_ramp_and_of_a_wheel(clips: ModuleType) -> None:
    t, moving = 12, np.ones((4, 24), bool)
    ramp = np.broadcast_to(np.arange(t, dtype=np.float32)[:, None, None, None] / t, (t, 4, 24, 3))
    assert clips.seam_ratio(ramp, moving) == pytest.approx(t - 1, rel=1e-5)
    row = np.random.default_rng(0).uniform(size=(4, 24, 3)).astype(np.float32)
    wheel = np.stack([np.roll(row, 2 * n, axis=1) for n in range(t)])
    assert clips.seam_ratio(wheel, moving) == pytest.approx(1, rel=1e-5)
    # What lies outside the moving part has no say.
    jump = wheel.copy()
    jump[-1, 0] = 5
    assert clips.seam_ratio(jump, moving & (np.arange(4) > 0)[:, None]) == pytest.approx(1, rel=1e-5)
    assert clips.seam_ratio(wheel[:1].repeat(t, axis=0), moving) is None


def test_torn_share_counts_see_through_pixels_of_the_moving_part(clips: ModuleType) -> None:
    alpha = np.ones((3, 4, 5), np.float32)
    alpha[0] = 0  # frame 0 is the photo and does not count
    alpha[1, :2, 0] = 0.4
    alpha[2, :, 4] = 0.1
    moving = np.arange(5)[None].repeat(4, axis=0) < 4
    np.testing.assert_allclose(clips.torn_shares(alpha, moving), [2 / 16, 0])


def test_drawn_clip_blends_color_and_alpha_alike(clips: ModuleType) -> None:
    """A stand-in for the renderer says which set and frame it was asked for."""
    count, batch = 5, 2

    def scene_at(frames: np.ndarray) -> tuple[list, list]:
        alive = np.ones((batch, 7), bool)
        sets = [SimpleNamespace(value=v, frames=frames, alive=alive) for v in (1.0, 0.0)]
        return sets, [frames / 4, None]

    class Drawer:
        batch = 2

        def __call__(self, gaussians: SimpleNamespace, cameras: object) -> SimpleNamespace:
            assert cameras.rotation.shape == (batch, 3, 3)
            color = np.stack([np.full((32, 32, 3), gaussians.value + n, np.float32) for n in gaussians.frames])
            return SimpleNamespace(color=color, alpha=np.full((batch, 32, 32), gaussians.value, np.float32))

    clip = clips.draw_centre(scene_at, Drawer(), input_camera(32, 32), count)
    frames = np.arange(count)
    np.testing.assert_allclose(clip.alpha[:, 0, 0], frames / 4)
    np.testing.assert_allclose(clip.images[:, 3, 3, 1], frames + frames / 4)
    assert clip.images.shape == (count, 32, 32, 3)
    assert clip.gaussians == 14


def test_variants_differ_in_nothing_else(fields: ModuleType, folder: Path) -> None:
    recipe = default_config()
    recipe.lock()
    seen = set()
    for motion in fields.MOTIONS:
        for field in fields.FIELDS:
            c = fields.variant(recipe, field, motion, folder, seed=3)
            seen.add((c.time.field, c.displacements.flow_scale > 0, c.deformation.residual != "none"))
            c.input, c.seed, c.time.field = recipe.input, recipe.seed, recipe.time.field
            c.displacements.flow_scale, c.deformation.residual = 1.0, recipe.deformation.residual
            assert c.to_dict() == recipe.to_dict()
    assert len(seen) == 9
    assert recipe.to_dict() == default_config().to_dict()


def test_shared_stages_do_not_depend_on_what_varies(fields: ModuleType) -> None:
    shared = set(fields.shared_stages())
    assert {"motion3d", "stage1"} <= shared
    assert not shared & {"animation", "displacements", "stage2", "videos", "export"}
    assert all(set(stage.needs) <= shared for stage in pipeline.STAGES if stage.name in shared)


def test_linked_results_are_safe_from_each_other(fields: ModuleType, tmp_path: Path) -> None:
    base, other = tmp_path / "base", tmp_path / "other"
    for name in fields.shared_stages():
        fields.artifacts.save(pipeline.artifact_file(base, name), {"a": np.ones(3)}, "old")
        notes = {"made": ["pictures/depth.png"] if name == "depth" else []}
        fields.artifacts.write_json(pipeline.artifact_file(base, name).with_suffix(".json"), notes)
    (base / "pictures").mkdir()
    (base / "pictures/depth.png").write_bytes(b"picture")
    fields.link_shared(base, other)
    assert (other / "pictures/depth.png").read_bytes() == b"picture"
    np.testing.assert_array_equal(fields.artifact(other, "stage1")["a"], np.ones(3))

    fields.artifacts.save(pipeline.artifact_file(other, "stage1"), {"a": np.zeros(3)}, "new")
    np.testing.assert_array_equal(fields.artifact(base, "stage1")["a"], np.ones(3))
    fields.link_shared(base, other)
    assert fields.artifact_key(pipeline.artifact_file(other, "stage1")) == "old"


def test_exact_scene_is_that_of_the_input(clips: ModuleType, folder: Path, tmp_path: Path) -> None:
    exact = clips.exact_scene(folder, 1, (48, 28), 8, tmp_path)
    assert exact.frames.tolist() == [3, 6]
    # Half the width: half the flow. Averages over areas commute with the factor.
    flow = np.load(folder / "truth/flow.npy")
    reference = cv2.resize(flow, (48, 28), interpolation=cv2.INTER_AREA) * (48 / 96, 28 / 54)
    np.testing.assert_allclose(exact.flow, reference, atol=1e-5)
    assert np.abs(exact.images[1] - exact.images[0]).mean() > 1e-3
    with pytest.raises(SystemExit) as stop:
        clips.exact_scene(folder, 2, (48, 28), 8, tmp_path)
    assert stop.value.code == 2
    assert clips.exact_scene(folder / "image.png", 1, (48, 28), 8, tmp_path) is None


def test_table(fields: ModuleType) -> None:
    records = [{"exact_psnr": 30.0, "seam_ratio": None}, {"exact_psnr": 31.0, "seam_ratio": None}]
    head, rule, row = fields.markdown({"`fill`": fields.mean(records)}).splitlines()
    assert head.count("|") == rule.count("|") == row.count("|") == len(fields.COLUMNS) + 2
    assert row.startswith("| `fill` |")
    assert row.count(" – ") == len(fields.COLUMNS) - 1
    assert " 30.50 " in row


@pytest.mark.slow
def test_whole_comparison(repository: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text(RECIPE)
    command = [sys.executable, "-m", "benchmarks.fields", f"--config={tmp_path / 'recipe.py'}", f"--input={folder}"]
    command += [f"--workdir={tmp_path / 'work'}", f"--out={tmp_path / 'out.json'}", "--landscape=1"]

    def run() -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)

    first = run()
    assert first.returncode == 0, first.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    rows = report["rows"]
    assert len(rows) == 9 + 3
    assert first.stdout.startswith("\n".join(report["table"]))
    still = rows["the photo, unmoved"]
    assert all(rows[f"animator, `{rule}`"]["exact_psnr_early"] > still["exact_psnr_early"] for rule in ("fill", "loop"))
    for field in ("fill", "loop", "one_sided"):
        with_motion, without = (rows[f"`{field}`, {said}"] for said in ("3D-MOM + residual", "residual alone"))
        assert with_motion["supervision_psnr_min"] > without["supervision_psnr_min"]
    assert rows["`loop`, 3D-MOM + residual"]["seam_ratio"] < 0.6 * rows["`fill`, 3D-MOM + residual"]["seam_ratio"]

    again = run()
    assert again.stdout == first.stdout
    stages = [line for line in again.stderr.splitlines() if f"/{len(pipeline.STAGES)}]" in line]
    assert stages
    assert all(line.endswith("done before") for line in stages)
