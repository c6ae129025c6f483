"""Pictures that other, simpler methods make of a scene, to know what each part of ours is worth."""

import time

import numpy as np
from jaxtyping import Float, UInt8

from mom3d_jax.cameras import project, select
from mom3d_jax.cameras.generation import INPUT_VIEW
from mom3d_jax.evaluation.fit import cameras_of, notes_of
from mom3d_jax.evaluation.samples import INPUT_PATH
from mom3d_jax.evaluation.task import Rendered, Run, Task
from mom3d_jax.export import to_bytes
from mom3d_jax.types import Cameras, PointCloud


def still(task: Task) -> Rendered:
    """The photo itself as every frame of every path."""
    run = Run(task)
    run.until("scene")
    photo, _ = to_bytes(run.result("scene").image)
    clip = np.broadcast_to(photo, (task.frames, *photo.shape))
    notes = notes_of(run)
    return Rendered(photo.shape[1::-1], dict.fromkeys(task.paths, clip), seconds=run.figures["seconds"], notes=notes)


def points(task: Task) -> Rendered:
    """The lifted photo as points, each in the pixel that it falls into, the nearest one in front; nothing moves."""
    run = Run(task)
    run.until("pointcloud")
    started, cloud = time.monotonic(), run.result("pointcloud")
    clips, uncovered = {}, []
    for path in task.paths:
        cameras = cameras_of(run, path)
        drawn = [draw_points(cloud, select(cameras, k)) for k in range(task.frames)]
        clips[path] = np.stack([picture for picture, _ in drawn])
        uncovered += [share for _, share in drawn]
    notes = [*notes_of(run), f"{np.mean(uncovered):.1%} of the pixels are covered by no point, and black"]
    height, width = np.shape(run.result("scene").mask)
    seconds = {**run.figures["seconds"], "render": time.monotonic() - started}
    return Rendered((width, height), clips, seconds=seconds, notes=notes)


def draw_points(cloud: PointCloud, camera: Cameras) -> tuple[UInt8[np.ndarray, "h w 3"], float]:
    """One view of a cloud, and the share of its pixels that no point falls into.

    Args:
      cloud: points and colours.
      camera: one camera.
    """
    pixels, z = (np.asarray(a) for a in project(camera, cloud.points))
    height, width = camera.height, camera.width
    inside = (z > 0) & (pixels >= 0).all(axis=1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    column, row = np.floor(pixels[inside]).astype(int).T
    # The last one written stays: the nearest.
    order = np.argsort(-z[inside], kind="stable")
    picture: Float[np.ndarray, "h w 3"] = np.zeros((height, width, 3), np.float32)
    covered = np.zeros((height, width), bool)
    picture[row[order], column[order]] = np.asarray(cloud.colors)[inside][order]
    covered[row, column] = True
    return to_bytes(picture)[0], float(1 - covered.mean())


def animator(task: Task) -> Rendered:
    """The 2D animator's clip of the photo, seen by the standing camera; it has nothing to show along a path."""
    run = Run(task)
    run.config.animation.views = str(INPUT_VIEW)
    run.until("animation")
    frames = run.result("animation")
    place = np.asarray(frames.views).tolist().index(INPUT_VIEW)
    index = np.arange(task.frames) % len(frames.images[place])
    clip = np.stack([to_bytes(frame)[0] for frame in np.asarray(frames.images[place])[index]])
    clips = {INPUT_PATH: clip} if INPUT_PATH in task.paths else {}
    notes = [*notes_of(run), "frames of the standing camera only"]
    return Rendered(clip.shape[2:0:-1], clips, seconds=run.figures["seconds"], notes=notes)
