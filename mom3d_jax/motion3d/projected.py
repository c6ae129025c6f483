"""Scene flow as the views see it: the dense 2D flow that the videos have to show."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from mom3d_jax.cameras import project, select
from mom3d_jax.motion3d.problem import coordinates, image_motion
from mom3d_jax.types import Array, Cameras, SceneFlow, Views


@jax.jit
def _image_motion(
    cameras: Cameras, points: Float[Array, "n 3"], motion: Float[Array, "n 3"]
) -> tuple[Float[jax.Array, "s n 2"], Float[jax.Array, "s n 2"]]:
    X, F = coordinates(points), coordinates(motion)
    return jax.lax.map(lambda c: (project(c, points)[0], jnp.stack(image_motion(c, X, F)[0], axis=-1)), cameras)


def project_flow(
    scene_flow: SceneFlow, views: Views, view_index: Sequence[int] | None = None
) -> Float[np.ndarray, "s h w 2"]:
    """π(X + F) - π(X) as a dense image per view, px per frame.

    The visible moving points are splatted bilinearly and averaged; pixels of the view's mask that none of them reached
    take the nearest one's motion. Outside the mask the flow is 0.

    Args:
      scene_flow: motion of the points of `views.visible`.
      views: cameras, masks and visibility.
      view_index: which views, all by default.
    """
    chosen = np.arange(len(views.masks)) if view_index is None else np.asarray(view_index, np.int64)
    moving = np.flatnonzero(np.asarray(scene_flow.mask) > 0)
    points, motion = np.asarray(scene_flow.points)[moving], np.asarray(scene_flow.motion)[moving]
    pixels, moved = (np.asarray(a) for a in _image_motion(select(views.cameras, chosen), points, motion))
    visible, masks = np.asarray(views.visible)[:, moving], np.asarray(views.masks) > 0
    flows = [splat(pixels[s][visible[v]], moved[s][visible[v]], masks[v]) for s, v in enumerate(chosen)]
    return np.stack(flows) if flows else np.zeros((0, *masks.shape[1:], 2), np.float32)


def splat(
    pixels: Float[np.ndarray, "n 2"], values: Float[np.ndarray, "n c"], mask: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w c"]:
    """Scattered values as an image on a mask: bilinear splat, then the nearest known pixel where none fell."""
    height, width = mask.shape
    corner = np.floor(pixels - 0.5).astype(np.int64)
    share = np.zeros(height * width)
    total = np.zeros((height * width, values.shape[1]))
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        tap = corner + np.array([dx, dy])
        tent = np.prod(1 - np.abs(pixels - 0.5 - tap), axis=-1)
        inside = (tap >= 0).all(axis=-1) & (tap[:, 0] < width) & (tap[:, 1] < height)
        cell = tap[inside, 1] * width + tap[inside, 0]
        share += np.bincount(cell, tent[inside], height * width)
        for c in range(values.shape[1]):
            total[:, c] += np.bincount(cell, tent[inside] * values[inside, c], height * width)
    known = (share > 1e-3).reshape(height, width)
    image = (total / np.maximum(share, 1e-9)[:, None]).reshape(height, width, -1)
    if known.any():
        row, column = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
        image = image[row, column]
    return np.where(mask[..., None] & known.any(), image, 0).astype(np.float32)
