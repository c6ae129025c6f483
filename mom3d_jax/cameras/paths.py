"""The four evaluation paths. All rotations are the identity; the paths assume a scene whose nearest depth is about 1.

With s = k / (n - 1) and a = -2 + 4 k / n for frame k of n, the world-to-camera translations are

* up-down  (0, 0.08 (1 - 2s), 0)
* side     (0.09 (1 - 2s), 0, 0)
* zoom-in  (0, 0, -0.24 s)
* circle   (-0.04 cos πa, -0.04 sin πa, -0.09 cos(πa/2))

Source: the demo paths of 3D-Cinemagraphy (CVPR 2023), which the paper evaluates on (§4.1).
"""

from collections.abc import Callable

import numpy as np

from mom3d_jax.cameras.pinhole import relative_to
from mom3d_jax.types import Cameras


def _up_down(n: int) -> np.ndarray:
    s = np.linspace(0, 1, n)
    return np.stack([0 * s, 0.08 * (1 - 2 * s), 0 * s], -1)


def _side(n: int) -> np.ndarray:
    s = np.linspace(0, 1, n)
    return np.stack([0.09 * (1 - 2 * s), 0 * s, 0 * s], -1)


def _zoom_in(n: int) -> np.ndarray:
    s = np.linspace(0, 1, n)
    return np.stack([0 * s, 0 * s, -0.24 * s], -1)


def _circle(n: int) -> np.ndarray:
    a = -2 + 4 * np.arange(n) / n
    return np.stack([-0.04 * np.cos(np.pi * a), -0.04 * np.sin(np.pi * a), -0.09 * np.cos(np.pi * a / 2)], -1)


PATHS: dict[str, Callable[[int], np.ndarray]] = {
    "up-down": _up_down,
    "side": _side,
    "zoom-in": _zoom_in,
    "circle": _circle,
}


def path_cameras(camera: Cameras, name: str, frames: int = 60, poses: int | None = None) -> Cameras:
    """Cameras along an evaluation path, with the intrinsics of `camera`.

    Args:
      camera: the input camera.
      name: a key of `PATHS`.
      frames: how many cameras.
      poses: n, poses of the whole path, of which the first `frames` are given; None: as many as frames, so that they
        cover the whole path whatever the number.

    Raises:
      ValueError: an unknown path, a frame count below 1, or more frames than poses.
    """
    if name not in PATHS:
        raise ValueError(f"unknown camera path {name!r}; known: {', '.join(PATHS)}")
    if frames < 1:
        raise ValueError(f"a camera path needs at least one frame, not {frames}")
    poses = frames if poses is None else poses
    if poses < frames:
        raise ValueError(f"a path of {poses} poses has no {frames} frames")
    return relative_to(camera, np.broadcast_to(np.eye(3), (frames, 3, 3)), PATHS[name](poses)[:frames])
