"""What a person gets: videos along the paths, files of Gaussians, a contact sheet, and the figures of the motion."""

from collections.abc import Iterator

import numpy as np
from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict

from mom3d_jax import measure, training
from mom3d_jax.cameras import path_cameras, relative_to
from mom3d_jax.cameras.generation import INPUT_VIEW
from mom3d_jax.export import (
    DynamicScene,
    contact_sheet,
    depth_picture,
    flow_picture,
    mask_overlay,
    write_ply,
    write_scene,
    write_video,
)
from mom3d_jax.progress import Progress
from mom3d_jax.render import Drawer
from mom3d_jax.stages.fit import backend_name, dynamics_of
from mom3d_jax.stages.job import Job
from mom3d_jax.types import Cameras, Depth, Displacements, Flows, Frames, Scene, Views

SHOWN = 5
"""Frames of each clip on the contact sheet."""


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
    centre = np.stack([picture.color for picture in measure.draw(at, drawer, fixed, every)])
    shown = {"centre": centre[_spread(len(centre))]}
    outside = write_video(job.output("videos/centre.mp4"), centre, fps=c.render.fps).saturated
    with Progress("videos", total=len(c.render.paths) * c.render.frames) as progress:
        for number, name in enumerate(c.render.paths):
            images = measure.draw(at, drawer, path_cameras(camera, name, c.render.frames), _frames_of(c))
            clip = _Clip(images, progress, number * c.render.frames, _spread(c.render.frames))
            outside += write_video(job.output(f"videos/{name}.mp4"), clip, fps=c.render.fps).saturated
            shown[name] = np.stack(clip.kept)

    movable = measure.only_movable(dynamic["gaussians"])
    alone = measure.moving(movable, dynamics, dynamic["residual"], c.time.field)
    reached = np.stack([p.alpha > 0 for p in measure.draw(alone, drawer, fixed, every)]).any(axis=0)
    looping = measure.moving(dynamic["gaussians"], dynamics, dynamic["residual"], "loop")
    first, last = measure.draw(looping, drawer, _still(camera, 2), np.array([0, c.time.frames]))
    asked, mask = np.asarray(flows.flow[INPUT_VIEW]), np.asarray(scene.mask)
    spread = np.ptp(centre, axis=0).max(axis=-1)
    figures = {
        "static_max_abs_diff": float(spread[~reached].max()) if not reached.all() else 0.0,
        "static_share": float(np.mean(~reached)),
        "motion_epe_px": measure.optical_flow_error(centre, asked, mask),
        "loop_equal": bool(np.array_equal(first.color, last.color)),
        "saturated_values": outside,
    }
    sampled = np.asarray(frames.views).tolist()
    if INPUT_VIEW in sampled:
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
    """Write the Gaussians and the contact sheet."""
    c = job.config
    dynamics, _ = dynamics_of(c, static, table)
    # At frame 0 every field is the static scene.
    ply = write_ply(job.output("frame_0000.ply"), dynamic["gaussians"])
    scene_file = DynamicScene(
        gaussians=dynamic["gaussians"],
        displacements=table,
        camera=job.camera(scene.image),
        times=np.arange(c.time.frames) / c.time.frames,
        extra={
            "where": np.asarray(dynamics.where),
            "pixel_size": np.asarray(dynamics.pixel_size),
            **{f"residual.{name}": leaf for name, leaf in flatten_dict(dynamic["residual"], sep=".").items()},
        },
        notes={"field": c.time.field, "crossfade": c.time.crossfade, "deformation": c.deformation.to_dict()},
    )
    write_scene(job.output("scene.4dgs.npz"), scene_file)
    sheet = {
        "photo, mask and hints, depth, flow": [
            np.asarray(scene.image),
            mask_overlay(scene.image, scene.mask, scene.hints),
            depth_picture(depth.z),
            flow_picture(flows.flow[INPUT_VIEW]),
        ],
        "generation views 2, 0, 7, 12, 17, 22": [np.asarray(views.images[v]) for v in (2, 0, 7, 12, 17, 22)],
        "animator, first sampled view": [np.asarray(frames.images[0, i]) for i in _spread(frames.images.shape[1])],
    }
    for name, clip in shown.items():
        sheet[f"rendered, {name}"] = list(clip)
    contact_sheet(list(sheet.items()), job.output("contact_sheet.png"))
    return {}, {"export": {"ply_gaussians": ply.written, "ply_invalid": ply.invalid}}


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


def _still(camera: Cameras, frames: int) -> Cameras:
    return relative_to(camera, np.broadcast_to(np.eye(3), (frames, 3, 3)), np.zeros((frames, 3)))


def _spread(length: int) -> np.ndarray:
    return np.linspace(0, length - 1, SHOWN).astype(int)
