"""The stages that write for people, on hand-made artifacts: odd sizes, single frames, frames on demand."""

import logging

import cv2
import jax
import numpy as np
import pytest

from mom3d_jax.cameras import generation_cameras, input_camera
from mom3d_jax.config import default_config
from mom3d_jax.export import read_ply, read_scene
from mom3d_jax.stages import output
from mom3d_jax.stages.job import Job
from mom3d_jax.stages.overview import overview, spread
from mom3d_jax.types import Depth, Flows, Frames, Hints, Scene, Views

HEIGHT, WIDTH, PERIOD, VIEWS = 27, 41, 8, 25


@pytest.fixture(scope="module")
def artifacts(make_scene):
    """What the stages before would hand on."""
    moving, rng = make_scene("fill"), np.random.default_rng(0)
    camera = input_camera(WIDTH, HEIGHT)
    image = rng.uniform(size=(HEIGHT, WIDTH, 3)).astype(np.float32)
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[4:-4, 6:-6] = 1
    hint = Hints(np.float32([[20, 13]]), np.float32([[0.1, 0]]), np.ones(1, bool))
    z = rng.uniform(1, 5, (HEIGHT, WIDTH)).astype(np.float32)
    valid = np.ones((VIEWS, HEIGHT, WIDTH), np.float32)
    valid[1:, :5] = 0
    flow = 0.3 * mask[..., None] * np.float32([1, 0])
    return {
        "scene": Scene(image, mask, hint, None, None, name="noise"),
        "depth": Depth(z, np.zeros_like(z), np.float32(1), "file"),
        "views": Views(
            cameras=generation_cameras(camera, z),
            images=np.tile(image, (VIEWS, 1, 1, 1)),
            valid=valid,
            masks=np.tile(mask, (VIEWS, 1, 1)),
            depth=np.tile(z, (VIEWS, 1, 1)),
            visible=np.ones((VIEWS, 0), bool),
            hints=jax.tree.map(lambda a: np.tile(a, (VIEWS,) + (1,) * a.ndim), hint),
            coverage=valid.mean(axis=(1, 2)),
            accepted=np.arange(VIEWS) != 12,
        ),
        "flows": Flows(np.tile(flow, (VIEWS, 1, 1, 1)), (np.arange(VIEWS) != 12).astype(np.float32)),
        "frames": Frames(
            views=np.array([2]),
            images=np.tile(image, (1, PERIOD, 1, 1, 1)),
            valid=np.ones((1, HEIGHT, WIDTH), np.float32),
            masks=mask[None],
            flow=flow[None],
        ),
        "static": {"gaussians": moving.gaussians, "pixel_size": np.full(60, 0.1, np.float32)},
        "table": moving.dynamics.displacements,
        "dynamic": {"gaussians": moving.gaussians, "residual": {}},
    }


def job_in(workdir, **figures) -> Job:
    c = default_config()
    c.time.frames, c.deformation.residual = PERIOD, "none"
    c.render.paths, c.render.frames = ("circle", "zoom-in"), 1
    c.rasterizer = "xla"
    return Job(c, workdir, workdir, "key", {"stage2": {"intersections_capacity": 4096}, **figures})


def shown_clips():
    images = np.random.default_rng(1).uniform(size=(5, HEIGHT, WIDTH, 3)).astype(np.float32)
    return {
        "centre": {"images": images, "frames": spread(PERIOD)},
        "circle": {"images": images[:1], "frames": spread(1)},
    }


def exported(job, artifacts):
    rest = {name: artifacts[name] for name in artifacts if name != "frames"}
    return output.export(job, frames=artifacts["frames"], shown=shown_clips(), **rest)[1]["export"]


def test_videos_of_odd_size_and_paths_of_one_frame(artifacts, tmp_path):
    job = job_in(tmp_path)
    rest = {name: artifacts[name] for name in ("scene", "flows", "frames", "static", "table", "dynamic")}
    shown, figures = output.videos(job, **rest)
    for name, frames in {"centre": PERIOD, "circle": 1, "zoom-in": 1}.items():
        video = cv2.VideoCapture(str(tmp_path / "videos" / f"{name}.mp4"))
        sizes = (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)
        assert [int(video.get(p)) for p in sizes] == [frames, HEIGHT + 1, WIDTH + 1]
        assert len(shown[name]["images"]) == len(shown[name]["frames"]) == min(frames, 5)
    assert figures["video"]["loop_equal"] is True
    # Everything the contact sheet needs is there.
    rows = overview(*(artifacts[n] for n in ("scene", "depth", "views", "flows", "frames")), shown, {})
    assert rows[-1][0] == "rendered along zoom-in"


def test_export_without_frames(artifacts, tmp_path, caplog):
    job = job_in(tmp_path)
    with caplog.at_level(logging.WARNING):
        figures = exported(job, artifacts)
    assert job.made == ["scene.4dgs.npz", "frame_0000.ply", "contact_sheet.png"]
    assert figures["files"] == 3
    assert figures["bytes"] == sum((tmp_path / name).stat().st_size for name in job.made)
    assert len(read_ply(tmp_path / "frame_0000.ply").means) == figures["ply_gaussians"] == 58
    assert not (tmp_path / "frames").exists()
    assert read_scene(tmp_path / "scene.4dgs.npz").notes["config"]["time"]["frames"] == PERIOD
    assert caplog.records == []


def test_frames_on_demand_are_outputs_of_the_stage(artifacts, tmp_path, caplog):
    job = job_in(tmp_path)
    job.config.export.ply_frames = True
    figures = exported(job, artifacts)
    files = [f"frames/frame_{i:04d}.ply" for i in range(PERIOD)]
    assert job.made[3:] == files
    assert figures["files"] == 3 + PERIOD
    size = sum((tmp_path / name).stat().st_size for name in files)
    assert (figures["ply_frames"]["files"], figures["ply_frames"]["bytes"]) == (PERIOD, size)
    first, alone = (read_ply(tmp_path / name) for name in ("frames/frame_0000.ply", "frame_0000.ply"))
    np.testing.assert_array_equal(first.means, alone.means)
    # A run without them leaves them, and says that they are not its own.
    with caplog.at_level(logging.WARNING):
        exported(job_in(tmp_path), artifacts)
    assert (tmp_path / files[0]).exists()
    assert "PLY frames of an earlier run" in caplog.text


def test_the_sheet_quotes_the_figures_that_there_are(artifacts):
    names = ("scene", "depth", "views", "flows", "frames")
    figures = {
        "stage1": {"train_psnr_valid": 43.21, "train_psnr_valid_min": 38.0, "heldout_psnr_valid": 41.96},
        "stage2": {"train_psnr_masked": None},
        "video": {"motion_epe_px": 0.123, "static_share": 0.5},
    }
    rows = overview(*(artifacts[name] for name in names), shown_clips(), figures)
    labels = [label for label, _ in rows]
    (views,) = (cells for label, cells in rows if label.startswith("generation views"))
    assert any("static scene 43.2 dB, worst view 38.0 dB, unseen views 42.0 dB" in label for label in labels)
    assert any("camera: motion within 0.12 px of what was asked for, 50% never moves" in label for label in labels)
    # The middle view of each outer pose, the rejected one named, unknown pixels grey.
    assert [c.caption for c in views] == [
        "view 2, 81% covered",
        "view 7, 81% covered",
        "view 12, 81% covered, rejected",
        "view 17, 81% covered",
        "view 22, 81% covered",
    ]
    assert (np.ptp(views[1].image[:5], axis=-1) == 0).all()
    assert all(len(cells) <= 5 and all(cell.caption.isascii() for cell in cells) for _, cells in rows)
    bare = [label for label, _ in overview(*(artifacts[name] for name in names), shown_clips(), {})]
    assert "rendered from the input camera" in bare
