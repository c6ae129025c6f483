"""Scenes of 3D Gaussians for the benchmarks of the rasterizer, as NumPy arrays.

* photo_cloud: one Gaussian per pixel on a landscape's depth (ground plane and sky), seen from a slightly moved camera.
* random: a quarter as many, anywhere in view, of all opacities.
* dense: an eighth as many, large and faint: many layers per pixel, no early end.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from mom3d_jax.cameras import input_camera, relative_to
from mom3d_jax.render.projection import Projected, project_gaussians
from mom3d_jax.types import Array, Cameras

SIZES = {"photo_cloud": 1.0, "random": 1.5, "dense": 6.0}
"""Scene -> median standard deviation of its Gaussians, px."""

Parameters = dict[str, Array]


class Scene(NamedTuple):
    """3D Gaussians, the cameras they are seen from, and the picture they are compared with."""

    parameters: Parameters
    """means [n, 3], scales [n, 3], quaternions [n, 4] (w, x, y, z), opacities [n], colors [n, 3]."""
    cameras: Cameras
    """Leading axis: views."""
    photo: Float[np.ndarray, "h w 3"]


def make_scene(
    name: str,
    width: int,
    height: int,
    gaussians: int | None = None,
    *,
    views: int = 1,
    size: float | None = None,
    seed: int = 0,
) -> Scene:
    """One of the scenes.

    Args:
      name: of the scene.
      width: in px.
      height: in px.
      gaussians: how many; a share of the pixels by default. `photo_cloud` has one per pixel in any case.
      views: number of cameras, each a little farther away from the photo's than the one before.
      size: standard deviation of the Gaussians, px; that of `SIZES` by default.
      seed: of the random numbers.

    Raises:
      ValueError: unknown scene, a size or number that is not positive, or another number of Gaussians for photo_cloud.
    """
    pixels = width * height
    if name not in SIZES:
        raise ValueError(f"unknown scene {name!r}; known: {', '.join(SIZES)}")
    if min(width, height, views, 1 if gaussians is None else gaussians) < 1:
        raise ValueError(f"{width}x{height} px, {gaussians} Gaussians, {views} views: give numbers of at least 1")
    if name == "photo_cloud" and gaussians not in (None, pixels):
        raise ValueError(
            f"photo_cloud has one Gaussian per pixel, {pixels} of them, not {gaussians}: give another size"
        )
    size = SIZES[name] if size is None else size
    rng = np.random.default_rng(seed)
    focal = 0.8 * width
    v, u = (np.mgrid[:height, :width] + 0.5).reshape(2, pixels)
    if name == "photo_cloud":
        n = pixels
        z = 1 / (0.12 + 0.88 * np.clip((v / height - 0.42) / 0.58, 0, 1))
        opacities = np.clip(rng.normal(0.9, 0.1, n), 0.05, 0.99)
    else:
        n = gaussians or max(pixels // (4 if name == "random" else 8), 1)
        u, v, z = rng.uniform(0, width, n), rng.uniform(0, height, n), rng.uniform(1, 8, n)
        opacities = rng.uniform(0.01, 0.99, n) if name == "random" else rng.uniform(0.02, 0.2, n)
    # A smooth picture with some grain stands for a photo.
    y, x = np.mgrid[:height, :width] / height
    photo = 0.5 + 0.4 * np.sin(np.stack([3 * x + 5 * y, 7 * y, 4 * x - 2 * y], -1))
    photo = np.clip(photo + rng.normal(0, 0.05, photo.shape), 0, 1)
    parameters = {
        "means": np.stack([(u - width / 2) / focal, (v - height / 2) / focal, np.ones(n)], -1) * z[:, None],
        "scales": size * (z / focal)[:, None] * np.exp(rng.normal(0, 0.3, (n, 3))),
        "quaternions": rng.normal(size=(n, 4)),
        "opacities": opacities,
        "colors": photo.reshape(-1, 3) if name == "photo_cloud" else rng.uniform(size=(n, 3)),
    }
    parameters = {key: value.astype(np.float32) for key, value in parameters.items()}
    return Scene(parameters, _cameras(width, height, focal, views), photo.astype(np.float32))


def _cameras(width: int, height: int, focal: float, views: int) -> Cameras:
    """View v is turned and moved by 1 + v/10 times as much as the first one."""
    far = 1 + 0.1 * np.arange(views)
    c, s, zero, one = np.cos(0.03 * far), np.sin(0.03 * far), 0 * far, 0 * far + 1
    rotation = np.stack([c, zero, -s, zero, one, zero, s, zero, c], -1).reshape(views, 3, 3)
    return relative_to(input_camera(width, height, focal), rotation, far[:, None] * [0.02, 0.01, 0.03])


def project(parameters: Parameters, camera: Cameras) -> Projected:
    """2D Gaussians in one camera, by the project's own projection."""
    return project_gaussians(parameters["means"], parameters["scales"], parameters["quaternions"], camera)
