"""Flow and videos of single views that were made elsewhere, on their way through the pipeline."""

import dataclasses
import json
import shutil

import cv2
import numpy as np
import pytest

from mom3d_jax import artifacts, pipeline
from mom3d_jax.stages import Job, motion, prepare

FRAMES = 6
VIDEO = np.random.default_rng(0).integers(0, 256, (FRAMES + 2, 36, 64, 3), np.uint8)


def write_video(folder, frames):
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{number:06d}.png"), frame[..., ::-1])


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_config, landscape_folder):
    """The first seven stages on a scene with flow of view 7, and videos of views 2 and 5."""
    root = tmp_path_factory.mktemp("own")
    source = root / "lake"
    shutil.copytree(landscape_folder, source)
    (source / "flow").mkdir()
    np.save(source / "flow" / "view_07.npy", np.full((36, 64, 2), [0.5, -0.25]))
    write_video(source / "video" / "view_02", VIDEO)
    write_video(source / "video" / "view_05", VIDEO[::-1][:FRAMES])
    config = tiny_config()
    config.input = str(source)
    config.animation.views = "7,2"
    figures = pipeline.run(config, root / "out", until="animation")
    return source, root / "out", config, figures


def artifact(workdir, name):
    (file,) = (workdir / "artifacts").glob(f"[0-9]*_{name}.npz")
    return artifacts.load(file, json.loads(str(np.load(file)["__layout__"]))["key"])


def job(run, source=None):
    return Job(config=run[2], workdir=run[1], source=source or run[0], key="k", figures={})


def animated(run):
    return [artifact(run[1], name) for name in ("views", "flow", "motion3d")]


def per_view(run, views, source=None):
    """A job whose videos show each view's own flow."""
    config = run[2].copy_and_resolve_references()
    config.animation.update({"flow": "per_view", "views": views})
    return dataclasses.replace(job(run, source), config=config)


def test_a_view_moves_as_its_file_says(run):
    views, flows = artifact(run[1], "views"), artifact(run[1], "flow")
    seen = views.masks[7] * views.valid[7]
    expected = seen[..., None] * [0.5, -0.25]
    # Nothing is longer than asked for, and most of it is as asked: the rest fades at open borders.
    ratio = np.linalg.norm(flows.flow[7], axis=-1)[seen == 1] / np.linalg.norm(expected, axis=-1)[seen == 1]
    assert ratio.max() < 1 + 1e-5
    assert np.mean(ratio > 0.999) > 0.5
    np.testing.assert_allclose(flows.flow[7][..., 1], -0.5 * flows.flow[7][..., 0], atol=1e-6)
    assert flows.weight[7] == 1
    assert run[3]["flow"]["views_from_files"] == [7]
    assert run[3]["flow"]["source"] == "hints"


def test_videos_take_the_place_of_ours(run):
    views, frames = artifact(run[1], "views"), artifact(run[1], "animation")
    np.testing.assert_array_equal(frames.views, [7, 2, 5])
    assert run[3]["animation"]["views_from_files"] == [2, 5]
    assert len(run[3]["animation"]["hole_share"]) == 1
    assert len(run[3]["animation"]["valid_share"]) == 3
    for place, view, video in ((1, 2, VIDEO[:FRAMES]), (2, 5, VIDEO[::-1][:FRAMES])):
        mask, still = views.masks[view], views.images[view]
        expected = still + mask[..., None] * (video / np.float32(255) - still)
        np.testing.assert_allclose(frames.images[place], expected, atol=1e-6)
        outside = frames.images[place][:, mask == 0]
        np.testing.assert_array_equal(outside, np.broadcast_to(still[mask == 0], outside.shape))
        np.testing.assert_array_equal(frames.valid[place], views.valid[view])
    # Ours begins with the still; theirs need not.
    np.testing.assert_array_equal(frames.images[0, 0], views.images[7])
    assert run[3]["animation"]["still_l1"][0] > 0.05


def test_videos_show_the_flow_that_is_asked_for(run):
    views, flows, scene_flow = animated(run)
    projected = artifact(run[1], "animation")
    own, _ = motion.animation(per_view(run, "7,2"), views, flows, scene_flow)
    # The file of view 7 says (0.5, -0.25) px; one 3D motion for all views cannot.
    moving = np.linalg.norm(own.flow[0], axis=-1) > 0
    np.testing.assert_array_equal(own.flow[0], flows.flow[7])
    np.testing.assert_allclose(own.flow[0][moving] @ [1, 2], 0, atol=1e-6)
    assert np.abs(projected.flow[0][moving] @ [1, 2]).mean() > 0.05
    np.testing.assert_array_equal(own.images[0, 0], projected.images[0, 0])
    assert np.abs(own.images[0, -1] - projected.images[0, -1])[moving].mean() > 1e-3
    # What somebody else animated shows what it shows.
    np.testing.assert_array_equal(own.views, projected.views)
    np.testing.assert_array_equal(own.images[1:], projected.images[1:])


def test_a_view_without_a_flow_of_its_own_gives_way_and_that_is_said(run, landscape_folder, caplog):
    views, flows, scene_flow = animated(run)
    weight = np.zeros(25, np.float32)
    weight[[4, 9]] = 1
    flows = dataclasses.replace(flows, weight=weight)
    # View 2 is animated by somebody else, and needs no flow.
    frames, figures = motion.animation(per_view(run, "7,2"), views, flows, scene_flow)
    instead = figures["animation"]["replaced"]
    assert list(instead) == ["7"]
    assert instead["7"] in (2, 4, 5, 9)
    assert f"no flow of view 7 is known; view {instead['7']} is animated in its place" in caplog.text
    assert set(frames.views) <= {2, 4, 5, 9}
    frames, _ = motion.animation(per_view(run, "all", landscape_folder), views, flows, scene_flow)
    np.testing.assert_array_equal(frames.views, [4, 9])
    named = ", ".join(str(v) for v in np.flatnonzero(views.accepted) if v not in (4, 9))
    assert f"no flow of views {named} is known; they are not animated" in caplog.text
    with pytest.raises(ValueError, match=r"no view has a flow of its own: .* --config\.animation\.flow=scene_flow"):
        silent = dataclasses.replace(flows, weight=0 * weight)
        motion.animation(per_view(run, "7,2", landscape_folder), views, silent, scene_flow)


def test_a_second_run_does_nothing(run):
    before = {f.name: f.stat().st_mtime_ns for f in (run[1] / "artifacts").iterdir()}
    pipeline.run(run[2], run[1], until="animation")
    assert {f.name: f.stat().st_mtime_ns for f in (run[1] / "artifacts").iterdir()} == before


def test_a_frame_that_changed_is_another_input(run, tmp_path):
    source = shutil.copytree(run[0], tmp_path / "lake")
    cv2.imwrite(str(source / "video" / "view_05" / "000003.png"), VIDEO[0])
    config = run[2].copy_and_resolve_references()
    config.input = str(source)
    with pytest.raises(ValueError, match="add --force"):
        pipeline.run(config, run[1], until="animation")


@pytest.mark.parametrize("stage", ["flow", "animation"])
def test_a_view_that_there_is_not(run, tmp_path, stage):
    source = tmp_path / "lake"
    shutil.copytree(run[0], source)
    np.save(source / "flow" / "view_25.npy", np.zeros((36, 64, 2)))
    write_video(source / "video" / "view_025", VIDEO[:FRAMES])
    views, flows, scene_flow = animated(run)
    needed = [artifact(run[1], name) for name in ("scene", "depth", "pointcloud")]
    name = {"flow": r"flow/view_25\.npy", "animation": "video/view_025"}[stage]
    with pytest.raises(ValueError, match=rf"{name}: there is no view 25, only 0 to 24; rename it, or remove it"):
        if stage == "flow":
            prepare.flow(job(run, source), *needed, views)
        else:
            motion.animation(job(run, source), views, flows, scene_flow)


def test_files_of_a_rejected_view_are_told(run, caplog):
    views, flows, scene_flow = animated(run)
    accepted = np.array(views.accepted)
    accepted[[5, 7]] = False
    frames, figures = motion.animation(job(run), dataclasses.replace(views, accepted=accepted), flows, scene_flow)
    assert "video/view_05: too little of view 5 is covered; its video is not used" in caplog.text
    assert figures["animation"]["views_from_files"] == [2]
    instead = figures["animation"]["replaced"]["7"]
    np.testing.assert_array_equal(frames.views, [instead, 2])


def test_too_few_frames(run):
    config = run[2].copy_and_resolve_references()
    config.time.frames = 8
    views, flows, scene_flow = animated(run)
    longer = dataclasses.replace(job(run), config=config)
    with pytest.raises(ValueError, match=r"video/view_05: 6 frames, but a clip has 8; .* --config\.time\.frames=6"):
        motion.animation(longer, views, flows, scene_flow)


def test_a_video_of_another_view_is_another_input_and_redoes_the_animation_only(run, tmp_path):
    source, workdir, config, _ = run
    config = config.copy_and_resolve_references()
    shutil.copytree(source, tmp_path / "lake")
    shutil.copytree(workdir, tmp_path / "out")
    config.input = str(tmp_path / "lake")
    pipeline.run(config, tmp_path / "out", until="animation")  # the same files elsewhere: nothing to do
    before = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "out" / "artifacts").iterdir()}
    (tmp_path / "lake" / "video" / "view_05").rename(tmp_path / "lake" / "video" / "view_12")
    with pytest.raises(ValueError, match=r"the videos of the input differ.*to make animation again"):
        pipeline.run(config, tmp_path / "out", until="animation")
    figures = pipeline.run(config, tmp_path / "out", until="animation", force=True)
    assert figures["animation"]["views_from_files"] == [2, 12]
    after = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "out" / "artifacts").iterdir()}
    assert {n for n in after if after[n] != before[n]} == {"07_animation.npz", "07_animation.json"}
