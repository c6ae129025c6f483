"""The figures of a run that need renderings: PSNR on pools, stillness, motion against what was asked for, loop."""

import dataclasses
import itertools
from collections.abc import Iterator

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float

from mom3d_jax import metrics
from mom3d_jax.cameras import project, select
from mom3d_jax.deformation import gaussian_sets
from mom3d_jax.gaussians import movable_rows
from mom3d_jax.render import bucket, render_view
from mom3d_jax.training import Frozen, Item, Pool, View, scene_gaussians, view_image
from mom3d_jax.types import Array, Cameras, PointCloud, Views

MAX_PSNR = 100.0
"""What equal images score, so that means stay finite."""


class Drawer:
    """Draws fitted scenes in batches over the mesh; asks for more capacity where a view needs it."""

    def __init__(self, view: View, params: dict, frozen: Frozen, mesh: Mesh, capacity: int):
        self._view, self._params, self._frozen, self._mesh = view, params, frozen, mesh
        self._capacity = capacity
        self._draw = view_image(view, mesh, capacity)

    def images(self, pool: Pool) -> Iterator[Float[np.ndarray, "h w 3"]]:
        """Draw every item of a pool, in order."""
        size = self._mesh.size
        for first in range(0, len(pool), size):
            index = np.arange(first, min(first + size, len(pool)))
            images = self._batch(pool.items(index, size))
            yield from images[: len(index)]

    def psnr(self, pool: Pool) -> list[float]:
        """PSNR in dB of each item over its valid pixels."""
        triples = ((image, pool.images[i], pool.valid[pool.view[i]]) for i, image in enumerate(self.images(pool)))
        return [min(float(metrics.psnr(*triple)), MAX_PSNR) for triple in triples]

    def along(self, cameras: Cameras, frames: Array) -> Iterator[Float[np.ndarray, "h w c"]]:
        """Draw a camera path: one image per camera, at the frame given for it."""
        n = len(frames)
        blank = np.broadcast_to(np.float32(0), (n, cameras.height, cameras.width))
        return self.images(Pool(cameras, np.arange(n), np.asarray(frames), blank[..., None], blank))

    def _batch(self, batch: Item) -> np.ndarray:
        while True:
            images, needed = jax.device_get(self._draw(self._params, self._frozen, batch))
            if needed.max() <= self._capacity:
                return images
            self._capacity = bucket(int(needed.max()))
            self._draw = view_image(self._view, self._mesh, self._capacity)


@dataclasses.dataclass(frozen=True)
class Reach:
    """Draws what the movable Gaussians cover at a frame: 1 where any of them leaves a trace, exactly 0 elsewhere."""

    field: str
    backend: str | None = None

    def __call__(self, params: dict, frozen: Frozen, item: Item, capacity: int) -> tuple[jax.Array, jax.Array]:
        """Cover [h, w, 1] and the intersections it took."""
        movable = movable_rows(scene_gaussians(params, frozen))
        sets, _ = gaussian_sets(movable, frozen.moving(), params["residual"], item.frame, self.field)
        views = [render_view(g, item.camera, capacity=capacity, backend=self.backend) for g in sets]
        cover = jnp.stack([v.alpha > 0 for v in views]).any(axis=0)
        return cover[..., None].astype(jnp.float32), jnp.max(jnp.stack([v.used.intersections for v in views]))


def valid_share(cloud: PointCloud, views: Views) -> float:
    """Share of the pixels hit by a visible point that are valid, over the accepted views.

    A nearest-pixel splat, independent of how the views were drawn: it shows whether validity was bought with coverage.
    """
    hit = kept = 0
    for v in np.flatnonzero(np.asarray(views.accepted)):
        pixels, _ = project(select(views.cameras, int(v)), np.asarray(cloud.points)[np.asarray(views.visible[v])])
        column, row = np.floor(np.asarray(pixels)).astype(int).T
        splat = np.zeros(np.shape(views.valid)[1:], bool)
        splat[row.clip(0, splat.shape[0] - 1), column.clip(0, splat.shape[1] - 1)] = True
        hit += int(splat.sum())
        kept += int((splat & (np.asarray(views.valid[v]) > 0)).sum())
    return kept / max(hit, 1)


def optical_flow_error(
    frames: Float[Array, "t h w 3"], flow: Float[Array, "h w 2"], mask: Float[Array, "h w"], margin: int = 5
) -> float | None:
    """How far the motion seen in a clip is from the flow asked for.

    OpenCV DIS optical flow, preset MEDIUM, on consecutive 8-bit grey frames, against `flow`.

    Args:
      frames: the clip of a fixed camera, one step per frame.
      flow: px per frame.
      mask: where content moves.
      margin: px by which the mask is eroded first.

    Returns:
      Mean end-point distance in px over the eroded mask; None where nothing is left of it.
    """
    solid = (np.asarray(mask) > 0.5).astype(np.uint8)
    inside = cv2.erode(solid, np.ones((2 * margin + 1,) * 2, np.uint8), borderValue=0).astype(bool)
    if not inside.any():
        return None
    grey = [cv2.cvtColor(_to_bytes(f), cv2.COLOR_RGB2GRAY) for f in np.asarray(frames)]
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    errors = [
        np.linalg.norm(dis.calc(a, b, np.zeros((*a.shape, 2), np.float32)) - np.asarray(flow), axis=-1)[inside].mean()
        for a, b in itertools.pairwise(grey)
    ]
    return float(np.mean(errors))


def _to_bytes(image: Float[Array, "h w 3"]) -> np.ndarray:
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
