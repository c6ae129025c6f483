"""Which way the surface faces at each point, from its neighbours.

On a plane n·X = d the inverse depth is linear in the image: with (x, y) = (X/Z, Y/Z), 1/Z = (n/d)·(x, y, 1).
So the slope of 1/Z over the neighbours gives the normal, well conditioned where neighbouring points are far apart in
depth and close in the image (ground near the horizon), which a plane through the points themselves is not.
"""

import numpy as np
from jaxtyping import Float, Int

from mom3d_jax.cameras import to_camera
from mom3d_jax.types import Array, Cameras

ROUGH = 0.02
"""A plane that misses the inverse depth of a neighbour by more than this share of it is not the surface."""


def surface_normals(
    camera: Cameras, points: Float[Array, "n 3"], neighbours: Int[Array, "n k"]
) -> Float[np.ndarray, "n 3"]:
    """Unit normals that face the camera, world axes.

    Zero where unknown: fewer than two neighbours in different directions of the image, points that are not in front of
    the camera, and depth edges and corners, where no plane fits the neighbours.

    Args:
      camera: the camera in whose image the surface is a graph: the input camera.
      points: world points.
      neighbours: indices of points on the same surface; the own index where there is none.
    """
    x = np.asarray(to_camera(camera, points), np.float64)
    front = x[:, 2] > 0
    rho = 1 / np.where(front, x[:, 2], 1)
    image = x[:, :2] * rho[:, None]
    slope, solid = _slope(image, rho, np.asarray(neighbours))
    normal = np.concatenate([slope, (rho - (slope * image).sum(-1))[:, None]], axis=-1)
    length = np.linalg.norm(normal, axis=-1)
    solid &= front & (length > 0)
    for j in np.asarray(neighbours).T:
        miss = np.abs(rho[j] - rho - (slope * (image[j] - image)).sum(-1))
        solid &= miss <= ROUGH * rho
    # n·X = d = 1 > 0 points away from the camera.
    facing = -normal / np.where(length > 0, length, 1)[:, None] @ np.asarray(camera.rotation, np.float64)
    return np.where(solid[:, None], facing, 0).astype(np.float32)


def _slope(
    image: Float[np.ndarray, "n 2"], rho: Float[np.ndarray, " n"], neighbours: Int[np.ndarray, "n k"]
) -> tuple[Float[np.ndarray, "n 2"], np.ndarray]:
    """Least-squares gradient of 1/Z over the image, and whether the neighbours determine it."""
    xx = xy = yy = xr = yr = np.zeros(len(rho))
    for j in neighbours.T:
        dx, dy = (image[j] - image).T
        dr = rho[j] - rho
        xx, xy, yy = xx + dx * dx, xy + dx * dy, yy + dy * dy
        xr, yr = xr + dx * dr, yr + dy * dr
    det = xx * yy - xy * xy
    solid = det > 1e-6 * (xx + yy) ** 2
    safe = np.where(solid, det, 1)
    slope = np.stack([yy * xr - xy * yr, xx * yr - xy * xr], axis=-1) / safe[:, None]
    return np.where(solid[:, None], slope, 0), solid
