"""Where the cameras of a truth stand: the evaluation paths, in the world of a synthetic scene."""

import dataclasses

import numpy as np

from mom3d_jax.cameras import path_cameras, relative_to
from mom3d_jax.synthetic.scene import SyntheticScene
from mom3d_jax.types import Cameras

INPUT = "input"
"""Name of the path that stays at the input camera."""
NEAR_PERCENTILE = 1.0
"""Of depth; the paths assume a scene in which it is 1."""


def depth_scale(scene: SyntheticScene) -> float:
    """What z is divided by so that its 1st percentile is 1, as the pipeline normalises depth."""
    return float(np.percentile(scene.depth.astype(np.float64), NEAR_PERCENTILE))


def in_world(cameras: Cameras, scale: float) -> Cameras:
    """Cameras of a scene of normalised depth, in the units of the scene itself."""
    return dataclasses.replace(cameras, translation=np.asarray(cameras.translation) * np.float32(scale))


def cameras_of(scene: SyntheticScene, name: str, frames: int) -> Cameras:
    """The cameras of a path, one per frame, in the world of the scene.

    Args:
      scene: whose median and near depth place them.
      name: a key of `cameras.PATHS`, or "input".
      frames: how many.

    Raises:
      ValueError: an unknown path.
    """
    if name == INPUT:
        return relative_to(scene.camera, np.broadcast_to(np.eye(3), (frames, 3, 3)), np.zeros((frames, 3)))
    return in_world(path_cameras(scene.camera, name, frames), depth_scale(scene))
