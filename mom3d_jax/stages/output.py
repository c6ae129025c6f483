"""What a person gets: videos along the paths, files of Gaussians, a contact sheet, and the figures of the motion."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from mom3d_jax import measure, training
from mom3d_jax.cameras import path_cameras, relative_to
from mom3d_jax.cameras.generation import INPUT_VIEW
from mom3d_jax.export import (
    DynamicScene,
    contact_sheet,
    frame_comments,
    frame_files,
    frame_name,
    write_frames,
    write_ply,
    write_scene,
    write_video,
)
from mom3d_jax.progress import Progress
from mom3d_jax.render import Drawer
from mom3d_jax.stages.fit import backend_name, dynamics_of
from mom3d_jax.stages.job import Job
from mom3d_jax.stages.overview import overview, spread
from mom3d_jax.types import Cameras, Depth, Displacements, Flows, Frames, Scene, Views

log = logging.getLogger(__name__)

FRAMES = "frames"
"""Folder of the PLY files, one per frame."""


def videos(
    job: Job,
    scene: Scene,
    flows: Flows,
    frames: Frames,
    static: dict,
    table: Displacements,
    dynamic: dict,
) -> tuple[dict, dict]:
    """Render the paths as mp4 and measure the clip of the centre camera."""
    c = job.config
    camera = job.camera(scene.image)
    dynamics, _ = dynamics_of(c, static, table)
    drawer = Drawer(training.make_mesh(c.devices), job.figures["stage2"]["intersections_capacity"], backend_name(c))
    at = measure.moving(dynamic["gaussians"], dynamics, dynamic["residual"], c.time.field)
    fixed, every = _still(camera, c.time.frames), np.arange(c.time.frames)
    pictures = list(measure.draw(at, drawer, fixed, every))
    centre = np.stack([picture.color for picture in pictures])
    index = spread(len(centre))
    shown = {"centre": {"images": centre[index], "frames": index}}
    outside = write_video(job.output("videos/centre.mp4"), centre, fps=c.render.fps).saturated
    index = spread(c.render.frames)
    with Progress("videos", total=len(c.render.paths) * c.render.frames) as progress:
        for number, name in enumerate(c.render.paths):
            poses = (c.render.circle_poses if name == "circle" else 0) or c.render.poses or None
            cameras = path_cameras(camera, name, c.render.frames, poses)
            images = _cropped(measure.draw(at, drawer, cameras, _frames_of(c)), c.render.crop)
            clip = _Clip(images, progress, number * c.render.frames, index)
            outside += write_video(job.output(f"videos/{name}.mp4"), clip, fps=c.render.fps).saturated
            shown[name] = {"images": np.stack(clip.kept), "frames": index}

    movable = measure.only_movable(dynamic["gaussians"])
    alone = measure.moving(movable, dynamics, dynamic["residual"], c.time.field)
    reached = np.stack([p.alpha > 0 for p in measure.draw(alone, drawer, fixed, every)]).any(axis=0)
    looping = measure.moving(dynamic["gaussians"], dynamics, dynamic["residual"], "loop")
    first, last = measure.draw(looping, drawer, _still(camera, 2), np.array([0, c.time.frames]))
    asked, mask = np.asarray(flows.flow[INPUT_VIEW]), np.asarray(scene.mask)
    known = flows.weight[INPUT_VIEW] > 0
    change = np.ptp(centre, axis=0).max(axis=-1)
    holes = [float(np.mean(picture.alpha[mask > 0.5] < 0.5)) for picture in pictures]
    figures = {
        "hole_share": float(np.mean(holes)),
        "hole_share_max": float(np.max(holes)),
        "static_max_abs_diff": float(change[~reached].max()) if not reached.all() else 0.0,
        "static_share": float(np.mean(~reached)),
        "motion_epe_px": measure.optical_flow_error(centre, asked, mask) if known else None,
        "loop_equal": bool(np.array_equal(first.color, last.color)),
        "saturated_values": outside,
    }
    sampled = np.asarray(frames.views).tolist()
    if known and INPUT_VIEW in sampled:
        animated = np.asarray(frames.images[sampled.index(INPUT_VIEW)])
        figures["motion_epe_px_animator"] = measure.optical_flow_error(animated, asked, mask)
    return shown, {"video": figures}


def export(
    job: Job,
    scene: Scene,
    depth: Depth,
    views: Views,
    flows: Flows,
    frames: Frames,
    static: dict,
    table: Displacements,
    dynamic: dict,
    shown: dict,
) -> tuple[dict, dict]:
    """Write the Gaussians, their frames where these are asked for, and the contact sheet."""
    c = job.config
    dynamics, _ = dynamics_of(c, static, table)
    moving = DynamicScene(
        gaussians=dynamic["gaussians"],
        dynamics=dynamics,
        residual=dynamic["residual"],
        field=c.time.field,
        camera=job.camera(scene.image),
        notes={"scene": scene.name, "config": c.to_dict(), "external": _external(job.figures)},
    )
    write_scene(job.output("scene.4dgs.npz"), moving)
    first = write_ply(job.output("frame_0000.ply"), jax.device_get(moving.at(0)[0][0]), frame_comments(moving, 0))
    contact_sheet(overview(scene, depth, views, flows, frames, shown, job.figures), job.output("contact_sheet.png"))
    figures: dict[str, Any] = {"ply_gaussians": first.written, "ply_invalid": first.invalid}
    # Last: where there is no room for them, the rest is there.
    if c.export.ply_frames:
        figures["ply_frames"] = _ply_frames(job, moving)
    elif frame_files(job.workdir / FRAMES):
        log.warning("%s: PLY frames of an earlier run, which this one did not make", job.workdir / FRAMES)
    figures["files"] = len(job.made)
    figures["bytes"] = sum((job.workdir / name).stat().st_size for name in job.made)
    return {}, {"export": figures}


def _external(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Where results of other people's models come from, by stage."""
    return {stage: f["external"] for stage, f in figures.items() if isinstance(f, dict) and "external" in f}


def _ply_frames(job: Job, scene: DynamicScene) -> dict[str, int]:
    """One PLY file per frame; what was written and left out, over all files."""
    report = write_frames(job.workdir / FRAMES, scene)
    for frame in range(report.files):
        job.output(f"{FRAMES}/{frame_name(frame)}")
    if report.invalid:
        log.warning("PLY frames: %d Gaussians left out, with values that are not finite", report.invalid)
    return {
        "files": report.files,
        "bytes": report.bytes,
        "invisible_rows": report.invisible,
        "invalid_rows": report.invalid,
    }


class _Clip:
    """Images on their way into a video: counted, and some kept."""

    def __init__(self, images: Iterator[measure.Picture], progress: Progress, before: int, keep: np.ndarray):
        self._images, self._progress, self._before, self._keep = images, progress, before, set(keep.tolist())
        self.kept: list[np.ndarray] = []

    def __iter__(self) -> Iterator[np.ndarray]:
        for number, picture in enumerate(self._images):
            if number in self._keep:
                self.kept.append(picture.color)
            self._progress.update(self._before + number + 1)
            yield picture.color


def _frames_of(c: ConfigDict) -> np.ndarray:
    """The frame shown at each camera of a path."""
    index = np.arange(c.render.frames)
    return index % c.time.frames if c.time.field == "loop" else index


def _cropped(images: Iterator[measure.Picture], crop: int) -> Iterator[measure.Picture]:
    """Pictures without a border of `crop` px."""
    for picture in images:
        height, width = picture.alpha.shape
        if 2 * crop >= min(height, width):
            raise ValueError(f"render.crop={crop} leaves nothing of a {width}x{height} video; make it smaller")
        inside = slice(crop, height - crop), slice(crop, width - crop)
        yield measure.Picture(picture.color[inside], picture.alpha[inside])


def _still(camera: Cameras, frames: int) -> Cameras:
    return relative_to(camera, np.broadcast_to(np.eye(3), (frames, 3, 3)), np.zeros((frames, 3)))
