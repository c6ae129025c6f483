"""The method itself, fitted to a scene and drawn along the paths, without a lossy video in between."""

import time

import numpy as np
from ml_collections import ConfigDict

from mom3d_jax import measure, training
from mom3d_jax.animation import parse_views
from mom3d_jax.cameras import path_cameras, relative_to
from mom3d_jax.evaluation import true_motion
from mom3d_jax.evaluation.motion_scores import motion_records
from mom3d_jax.evaluation.samples import INPUT_PATH
from mom3d_jax.evaluation.task import Rendered, Run, Task
from mom3d_jax.export import to_bytes
from mom3d_jax.inputs import InputError
from mom3d_jax.render import Drawer
from mom3d_jax.stages import Job
from mom3d_jax.stages.fit import backend_name, dynamics_of
from mom3d_jax.types import Cameras

FOCAL_TOLERANCE = 1e-3
"""Share by which the recipe's focal length may differ from the true one before a note says so."""


def fit(task: Task) -> Rendered:
    """Static Gaussians, 3D-MOM, videos, moving Gaussians: the pipeline up to what is drawn."""
    run = Run(task)
    prepare(run)
    run.until("stage2")
    static, dynamic = run.result("stage1"), run.result("stage2")
    dynamics, _ = dynamics_of(run.config, static, run.result("displacements"))
    moving = measure.moving(dynamic["gaussians"], dynamics, dynamic["residual"], run.config.time.field)
    rendered = _drawn(run, moving, run.figures["stage2"]["intersections_capacity"])
    rendered.records = motion_records(run)
    return rendered


def static(task: Task) -> Rendered:
    """The static Gaussians of stage 1, which do not move."""
    run = Run(task)
    run.until("stage1")
    still = measure.still(run.result("stage1")["gaussians"])
    return _drawn(run, still, run.figures["stage1"]["intersections_capacity"])


def cameras_of(run: Run, path: str) -> Cameras:
    """The cameras of a path in the world of the pipeline, with the intrinsics of its photo.

    The truth's translations are in units of its depth. Where that depth was given, the pipeline knows what it was
    multiplied by; where depth was estimated, the 1st percentiles of both are made equal, which is where the paths'
    lengths come from.
    """
    task = run.task
    camera = _photo_camera(run)
    truth = task.sample.truth
    if truth is None and path == INPUT_PATH:
        return relative_to(camera, np.broadcast_to(np.eye(3), (task.frames, 3, 3)), np.zeros((task.frames, 3)))
    if truth is None:
        return path_cameras(camera, path, task.frames)
    depth, poses = run.result("depth"), truth.poses(path)
    exact = "depth" in task.variant.given
    scale = float(depth.scale) if exact else float(np.percentile(np.asarray(depth.z), 1)) / truth.unit
    return relative_to(camera, poses.rotation, scale * poses.translation)


def _photo_camera(run: Run) -> Cameras:
    """The camera of the photo under the recipe."""
    task = run.task
    return Job(run.config, task.workdir, task.sample.source, "", {}).camera(run.result("scene").image)


def notes_of(run: Run) -> list[str]:
    """What a reader has to know about the cameras and the input."""
    truth, scene = run.task.sample.truth, run.result("scene")
    notes = list(scene.notes)
    if truth is None:
        return notes
    height, width = np.shape(scene.mask)
    focal = float(np.max(_photo_camera(run).focal))
    true = truth.focal * width / truth.size[0]
    if abs(focal / true - 1) > FOCAL_TOLERANCE:
        notes.append(f"focal length {focal:g} px of the recipe, truly {true:g} px: parallax and field of view differ")
    if truth.size != (width, height):
        notes.append(f"truth of {truth.size[0]}x{truth.size[1]} px averaged over areas to {width}x{height}")
    return notes


def _drawn(run: Run, scene_at: measure.SceneAt, capacity: int) -> Rendered:
    """All paths, in bytes."""
    task, c = run.task, run.config
    started, outside = time.monotonic(), 0
    drawer = Drawer(training.make_mesh(c.devices), capacity, backend_name(c))
    index = np.arange(task.frames)
    index = index % c.time.frames if task.looping else index
    clips = {}
    for path in task.paths:
        frames = []
        for picture in measure.draw(scene_at, drawer, cameras_of(run, path), index):
            frame, saturated = to_bytes(picture.color)
            frames.append(frame)
            outside += saturated
        clips[path] = np.stack(frames)
    notes = notes_of(run)
    if outside:
        notes.append(f"{outside} values outside [0, 1] shown as 0 or 1")
    height, width = np.shape(run.result("scene").mask)
    seconds = {**run.figures["seconds"], "render": time.monotonic() - started}
    return Rendered((width, height), clips, seconds=seconds, notes=notes)


def prepare(run: Run) -> None:
    """Settings of a variant that depend on earlier stages of its own run: true motion, equal passes.

    Raises:
      InputError: the true motion is asked for where it is not known.
    """
    variant = run.task.variant
    if variant.true_motion:
        truth = run.task.sample.truth
        if truth is None or not truth.exact_geometry:
            raise InputError(f"{run.task.sample.name}: its true motion is not known; leave out {variant.name!r}")
        run.until("pointcloud")
        height, width = np.shape(run.result("scene").mask)
        known = true_motion.of_points(run.result("pointcloud"), truth.geometry((width, height)))
        run.config.motion3d.solver = true_motion.SOLVER
        with run.config.unlocked():
            run.config.motion3d.options.own = ConfigDict(
                true_motion.options(run.task.pool or run.task.folder / "input", known)
            )
    if variant.equal_passes:
        recipe = len(parse_views(run.task.config.animation.views, 30) or ()) or 1
        run.until("views")
        accepted = int(np.sum(run.result("views").accepted))
        run.config.animation.views = "all"
        run.config.stage2.steps = round(run.config.stage2.steps * accepted / recipe)
