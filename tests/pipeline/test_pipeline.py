"""The whole path on a tiny scene: what it makes, what it skips, what it refuses."""

import json
import shutil

import cv2
import numpy as np
import pytest

from mom3d_jax import pipeline
from mom3d_jax.export import read_ply, read_scene


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_config):
    workdir = tmp_path_factory.mktemp("run") / "out"
    figures = pipeline.run(tiny_config(), workdir)
    return workdir, figures


def stamps(workdir):
    return {f.name: f.stat().st_mtime_ns for f in (workdir / "artifacts").iterdir()}


def test_figures_are_those_of_the_file_and_sound(finished):
    workdir, figures = finished
    assert json.loads((workdir / "metrics.json").read_text()) == json.loads(json.dumps(figures))
    assert figures["stage1"]["train_psnr_valid"] > 25
    assert figures["stage1"]["valid_share"] > 0.95
    assert 0.99 <= figures["motion"]["residual_l1_ratio"] < 1.2
    assert figures["video"]["loop_equal"] is True
    assert figures["video"]["static_max_abs_diff"] == 0
    assert 0.1 < figures["video"]["static_share"] < 0.9
    assert figures["stage2"]["train_psnr_masked"] > 20
    assert list(figures["seconds"]) == [stage.name for stage in pipeline.STAGES]


def test_results_can_be_opened(finished):
    workdir, figures = finished
    assert cv2.imread(str(workdir / "contact_sheet.png")).std() > 20
    for name in ("circle", "centre"):
        video = cv2.VideoCapture(str(workdir / "videos" / f"{name}.mp4"))
        size = [
            int(video.get(p)) for p in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)
        ]
        assert size == [6, 36, 64]
    ply = read_ply(workdir / "frame_0000.ply")
    # At frame 0 the rear copies are invisible and are left out.
    assert len(ply.means) == figures["export"]["ply_gaussians"] == figures["stage1"]["gaussians"]
    scene = read_scene(workdir / "scene.4dgs.npz")
    assert scene.dynamics.displacements.forward.shape == (7, scene.gaussians.movable, 3)


def test_a_second_run_does_nothing(finished, tiny_config):
    workdir, figures = finished
    before = stamps(workdir)
    again = pipeline.run(tiny_config(), workdir)
    assert stamps(workdir) == before
    assert json.loads(json.dumps(again)) == json.loads(json.dumps(figures))


def test_other_settings_are_refused_by_name_and_force_redoes_only_what_depends_on_them(finished, tiny_config, tmp_path):
    workdir = tmp_path / "out"
    shutil.copytree(finished[0], workdir)
    before = stamps(workdir)
    changed = tiny_config()
    changed.render.fps = 12
    with pytest.raises(ValueError, match=r"render\.fps was 30, is 12.*--force to make videos, export again"):
        pipeline.run(changed, workdir)
    pipeline.run(changed, workdir, until="depth", force=True)
    assert stamps(workdir) == before
    changed.size.width = 80
    pipeline.run(changed, workdir, until="depth", force=True)
    redone = {name for name, stamp in stamps(workdir).items() if before[name] != stamp}
    assert redone == {"01_scene.npz", "01_scene.json", "02_depth.npz", "02_depth.json"}


def test_a_damaged_artifact_is_made_again(finished, tiny_config, tmp_path):
    workdir = tmp_path / "out"
    shutil.copytree(finished[0], workdir)
    cloud = workdir / "artifacts" / "03_pointcloud.npz"
    whole = np.load(cloud)["points"]
    cloud.write_bytes(cloud.read_bytes()[:1000])
    pipeline.run(tiny_config(), workdir, until="pointcloud")
    np.testing.assert_array_equal(np.load(cloud)["points"], whole)


def test_a_deleted_video_is_made_again(finished, tiny_config, tmp_path):
    workdir = tmp_path / "out"
    shutil.copytree(finished[0], workdir)
    (workdir / "videos" / "circle.mp4").unlink()
    before = stamps(workdir)
    pipeline.run(tiny_config(), workdir, until="videos")
    assert (workdir / "videos" / "circle.mp4").exists()
    assert {n for n, t in stamps(workdir).items() if before[n] != t} == {"11_videos.npz", "11_videos.json"}


def test_settings_may_change_while_nothing_was_made_with_them(tiny_config, tmp_path):
    config = tiny_config()
    pipeline.run(config, tmp_path, until="depth")
    config.motion3d.solver = "irls"
    pipeline.run(config, tmp_path, until="depth")


def test_a_work_folder_inside_the_scene_folder_does_not_change_the_input(tiny_config, landscape_folder, tmp_path):
    folder = tmp_path / "lake"
    shutil.copytree(landscape_folder, folder)
    config = tiny_config()
    config.input = str(folder)
    pipeline.run(config, folder / "out", until="depth")
    before = stamps(folder / "out")
    config.input = f"{folder}/."
    pipeline.run(config, folder / "out", until="depth")
    assert stamps(folder / "out") == before


def test_stages_need_only_what_comes_before_them():
    seen: set[str] = set()
    for stage in pipeline.STAGES:
        assert set(stage.needs) <= seen
        seen.add(stage.name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": "nowhere.png"}, "nowhere.png: no such file"),
        ({"motion3d.solver": "newton"}, "unknown solver 'newton'"),
        ({"animation.views": "2,99"}, "animation.views='2,99' names view 99; there are views 0 to 24"),
        ({"animation.views": ""}, "animation.views='' is neither 'all' nor"),
        ({"animation.flow": "views"}, "animation.flow='views' is unknown; known: scene_flow, per_view"),
        ({"flow.sigma": -0.5}, "flow.sigma=-0.5 is below 0"),
        ({"views.count": 24}, "views.count=24 is not one of 25, 30"),
        ({"views.min_coverage": 1.5}, "views.min_coverage=1.5 is not between 0 and 1"),
        ({"time.field": "wave"}, "time.field='wave' is unknown; known: fill"),
        ({"time.frames": 1}, "time.frames=1 is below 2"),
        ({"render.frames": 99}, "--config.time.field=loop"),
        ({"render.paths": ("spiral",)}, "render.paths='spiral' is unknown"),
        ({"deformation.residual": "x"}, "deformation.residual='x' is unknown"),
        ({"deformation.options.hexplane.resolution": 1}, "at least 3 cells"),
        ({"stage1.steps": -5}, "stage1.steps=-5 is below 0"),
        ({"stage2.batch": 0}, "stage2.batch=0 is below 1"),
        ({"stage1.rates.means": (0.1, 0.0)}, "stage1.rates.means"),
        ({"seed": -1}, "seed=-1 is below 0"),
        ({"devices": 99}, "99 devices asked for"),
        ({"size.focal": float("inf")}, "size.focal=inf is not between"),
        ({"pointcloud.edge_ratio": 1.0}, "pointcloud.edge_ratio=1.0 is not between"),
        ({"flow.taper_width": -1.0}, "flow.taper_width=-1.0 is below 0"),
        ({"displacements.flow_scale": float("nan")}, "displacements.flow_scale=nan is not between"),
        ({"time.torn": (2.0, 1.0)}, "time.torn="),
        ({"stage1.adam": (0.9, 1.0, 1e-8)}, "stage1.adam="),
        ({"render.poses": 3}, "render.poses=3 is below render.frames"),
        ({"render.crop": -1}, "render.crop=-1 is below 0"),
        ({"rasterizer": "vulkan"}, "unknown rasterizer backend 'vulkan'"),
    ],
)
def test_bad_settings_end_with_one_line(tiny_config, tmp_path, change, message):
    tiny = tiny_config()
    with tiny.unlocked():
        for name, value in change.items():
            section = tiny
            *path, last = name.split(".")
            for part in path:
                section = section[part]
            section[last] = value
    with pytest.raises(ValueError, match=message) as caught:
        pipeline.run(tiny, tmp_path, until="animation")
    assert "\n" not in str(caught.value)


def test_damaged_notes_are_made_again_and_a_damaged_claim_is_told(finished, tiny_config, tmp_path):
    workdir = tmp_path / "out"
    shutil.copytree(finished[0], workdir)
    notes = workdir / "artifacts" / "03_pointcloud.json"
    whole = json.loads(notes.read_text())["figures"]
    notes.write_text("{")
    pipeline.run(tiny_config(), workdir, until="pointcloud")
    assert json.loads(notes.read_text())["figures"] == whole
    (workdir / "run.json").write_text("{")
    (workdir / "artifacts" / "02_depth.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        pipeline.run(tiny_config(), workdir, until="pointcloud")


def test_an_edited_solver_of_ones_own_is_run_again(tiny_config, tmp_path, monkeypatch):
    source = "from mom3d_jax.motion3d.solvers import make_solver\n\n\ndef solver():\n    return make_solver({!r})\n"
    (tmp_path / "own_solver.py").write_text(source.format("input_view_lift"))
    monkeypatch.syspath_prepend(str(tmp_path))
    config = tiny_config()
    config.motion3d.solver = "own_solver:solver"
    pipeline.run(config, tmp_path / "out", until="motion3d")
    before = stamps(tmp_path / "out")
    (tmp_path / "own_solver.py").write_text(source.format("irls"))
    pipeline.run(config, tmp_path / "out", until="motion3d")
    assert {n for n, t in stamps(tmp_path / "out").items() if before[n] != t} == {"06_motion3d.npz", "06_motion3d.json"}
