"""The method itself under variants: few steps, so that figures are poor, but cameras, sharing and truth are exact."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from mom3d_jax.cameras import select
from mom3d_jax.evaluation import fit, scene_truth, studies
from mom3d_jax.evaluation.baselines import draw_points
from mom3d_jax.evaluation.columns import COLUMNS
from mom3d_jax.evaluation.command import evaluate, recipe_of
from mom3d_jax.evaluation.datasets import read_dataset
from mom3d_jax.evaluation.runner import Settings
from mom3d_jax.evaluation.settings import overrides_of
from mom3d_jax.evaluation.task import Run
from mom3d_jax.evaluation.variants import Variant
from mom3d_jax.metrics import Unavailable, psnr

GIVEN = ("depth", "mask", "flow")
STUDY = (
    studies.FULL,
    Variant("without-initialisation", overrides={"displacements.flow_scale": 0.0}),
    Variant("animator", kind="animator"),
)


def value(cell, name):
    return next(c for c in COLUMNS if c.name == name).value(cell.result["records"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory, dataset):
    """Three variants of one scene, with their work folders."""
    from mom3d_jax.evaluation.settings import default_evaluation

    workdir = tmp_path_factory.mktemp("fits")
    config = default_evaluation()
    config.dataset.path, config.scenes, config.study = str(dataset), "alpine_lake_0", "few"
    config.frames, config.keep_work, config.keep_frames = 4, True, True
    small = config.override
    small.size.width, small.time.frames, small.stage1.steps, small.stage2.steps = 64, 4, 4, 2
    hexplane = small.deformation.options.hexplane
    hexplane.resolution, hexplane.features, hexplane.width, hexplane.time_resolution = 8, 4, 8, 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(studies.STUDIES, "few", studies.Study("x", STUDY))
        _, cells, _ = evaluate(config, workdir)
    return workdir, {cell.variant: cell for cell in cells}


def test_a_fit_is_scored_on_all_paths_and_on_its_motion(finished):
    _, cells = finished
    assert not [cell.error for cell in cells.values() if cell.error]
    full = cells["full"]
    assert value(full, "psnr") > 20
    assert 0 < value(full, "epe") < 0.5
    assert 0 < value(full, "epe_input_view") < 0.5
    assert value(full, "consistency_after") < value(full, "consistency_before")
    assert {"stage1", "stage2", "render", "score"} < set(full.result["seconds"])
    # The clip of the animator is known for the standing camera only.
    assert np.isnan(value(cells["animator"], "psnr"))
    assert value(cells["animator"], "input_m_psnr") > 20


def test_variants_of_a_scene_share_what_they_have_in_common(finished):
    workdir, _ = finished
    works = [workdir / "runs" / name / "alpine_lake_0" / "work" / "artifacts" for name in ("full", STUDY[1].name)]
    for name, shared in {"08_stage1.npz": True, "07_animation.npz": True, "10_stage2.npz": False}.items():
        assert (works[0] / name).samefile(works[1] / name) is shared
    assert {f.name.split("-")[0] for f in (workdir / "pool" / "alpine_lake_0").glob("*.npz")} >= {"scene", "stage1"}


def test_frames_are_kept_as_predictions_are_read(finished, dataset, tmp_path):
    workdir, cells = finished
    from mom3d_jax.evaluation.settings import default_evaluation

    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "alpine_lake_0").symlink_to(workdir / "runs" / "full" / "alpine_lake_0" / "frames")
    config = default_evaluation()
    config.dataset.path, config.scenes, config.frames = str(dataset), "alpine_lake_0", 4
    config.override.size.width, config.override.time.frames = 64, 4
    _, again, _ = evaluate(config, tmp_path / "out", str(tmp_path / "theirs"), "Again")
    for name in ("psnr", "ssim", "m_psnr", "piqe", "warping_error", "flicker", "psnr_pooled"):
        assert value(again[0], name) == value(cells["full"], name)


@pytest.fixture
def task(settings, dataset, tmp_path):
    """A task of the first scene under a variant."""

    def make(variant, **overrides):
        config = settings()
        given = overrides_of(config.override) | overrides
        options = Settings(tmp_path, recipe_of("preview"), given, 4, "auto", 0, Unavailable("not asked for"))
        return options.task(read_dataset("synthetic", dataset)[0], variant)

    return make


@pytest.mark.parametrize("path", ["zoom-in", "side", "circle"])
def test_with_the_true_depth_points_lie_where_the_truth_shows_them(task, path):
    run = Run(task(Variant("given", given=GIVEN)))
    run.until("pointcloud")
    clip = run.task.sample.truth.clip("advected", path, (64, 36))
    cloud, cameras = run.result("pointcloud"), fit.cameras_of(run, path)

    def score(camera, k):
        # Whatever moves, and what the photo does not show, is left out.
        picture, _ = draw_points(cloud, camera)
        weight = (picture.any(axis=-1) & (clip.moving[k] == 0)).astype(np.float32)
        return float(psnr(picture / np.float32(255), clip.frames[k] / np.float32(255), weight))

    k = 3
    placed = score(select(cameras, k), k)
    shifted = [
        score(select(dataclasses.replace(cameras, translation=cameras.translation * np.float32(s)), k), k)
        for s in (0.0, 0.7, 1.4)
    ]
    assert placed > max(shifted) + 0.3


def test_estimated_depth_is_placed_by_its_nearest_content(task):
    run = Run(task(Variant("plain")))
    run.until("depth")
    truth, cameras = run.task.sample.truth, fit.cameras_of(run, "zoom-in")
    assert truth.unit != pytest.approx(1)
    np.testing.assert_allclose(cameras.translation[-1], [0, 0, -0.24], rtol=1e-4, atol=1e-6)


def test_spoilt_depth_is_placed_alike_and_not_by_its_truth(task):
    run = Run(task(Variant("spoilt", given=("corrupted",)), **{"depth.normalize": False}))
    run.until("depth")
    z = run.result("depth").z
    assert np.median(z) == pytest.approx(1.5 * np.median(run.task.sample.truth.geometry((64, 36)).depth), rel=1e-3)
    np.testing.assert_allclose(
        fit.cameras_of(run, "zoom-in").translation[-1, 2], -0.24 * np.percentile(z, 1), rtol=1e-4
    )


def test_the_rows_of_a_loop_are_one_fit(task, monkeypatch):
    """What they are compared with differs, and nothing that a stage sees."""
    # As in scenes whose loop begins with the photo.
    monkeypatch.setattr(scene_truth.SceneTruth, "photo", lambda *_: None)
    rows = {v.name: v for v in studies.variants_of("field")}
    runs = [Run(task(rows[name])) for name in ("loop-50", "loop-50-advected")]
    for run in runs:
        fit.prepare(run)
        run.until("motion3d")
    assert [run.task.truth_kind for run in runs] == ["periodic", "advected"]
    folders = [run.task.workdir / "artifacts" for run in runs]
    made = sorted(file.name for file in folders[0].glob("*.npz"))
    assert len(made) == 6
    assert all((folders[0] / name).samefile(folders[1] / name) for name in made)
    configs = [run.config.to_dict() | {"input": ""} for run in runs]
    assert configs[0] == configs[1]


def test_a_scene_without_given_names_the_command_that_makes_one(task, tmp_path):
    spoilt = task(Variant("spoilt", given=("corrupted",)))
    shutil.copytree(spoilt.sample.source / "truth", tmp_path / "lake" / "truth")
    truth = scene_truth.read_truth(tmp_path / "lake")
    words = (
        r"lake/given: no such folder.*synth --out DIR --scenes N --size 64x36 --frames 4 --corrupt depth=0\.05,flow=1$"
    )
    with pytest.raises(ValueError, match=words):
        truth.write_given(tmp_path, ("corrupted",))


def test_a_focal_length_that_is_not_the_true_one_is_told(task):
    run = Run(task(Variant("plain"), **{"size.focal": 90.0}))
    run.until("depth")
    assert "focal length 90 px of the recipe, truly 64 px" in " ".join(fit.notes_of(run))


@pytest.mark.slow
def test_true_motion_has_no_error_and_solved_motion_has(settings, tmp_path, monkeypatch):
    study = (
        Variant("solved", given=GIVEN),
        Variant("known", given=GIVEN, true_motion=True),
        Variant("passes", equal_passes=True),
        *studies.variants_of("motion3d"),
        Variant("loop", overrides={"time.field": "loop"}),
        Variant("static", kind="static"),
    )
    monkeypatch.setitem(studies.STUDIES, "slow", studies.Study("x", study))
    config = settings(study="slow", scenes="alpine_lake_0", keep_work=True)
    _, cells, _ = evaluate(config, tmp_path)
    found = {cell.variant: cell for cell in cells}
    assert not [cell.error for cell in cells if cell.error]
    assert value(found["known"], "epe") == pytest.approx(0, abs=1e-6)
    assert value(found["solved"], "epe") > 1e-4
    assert value(found["known"], "epe_input_view") < value(found["solved"], "epe_input_view")
    record = json.loads((tmp_path / "runs/passes/alpine_lake_0/work/artifacts/10_stage2.json").read_text())
    assert record["figures"]["stage2"]["steps"] > 10
    assert found["loop"].result["truth"] == "periodic"
    assert value(found["without-3d-mom"], "consistency_before") > 0
    assert np.isnan(value(found["static"], "epe"))
