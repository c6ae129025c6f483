"""The figures of a run that need renderings: PSNR on pools, stillness, motion against what was asked for, loop."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax import metrics
from mom3d_jax.cameras import project, select
from mom3d_jax.deformation import Dynamics, blend, gaussian_sets
from mom3d_jax.export import to_bytes
from mom3d_jax.render import Drawer
from mom3d_jax.training import Pool
from mom3d_jax.types import Array, Cameras, Gaussians, PointCloud, Views

MAX_PSNR = 100.0
"""What equal images score, so that means stay finite."""


class Picture(NamedTuple):
    """One drawn view."""

    color: Float[np.ndarray, "h w 3"]
    alpha: Float[np.ndarray, "h w"]
    """The larger one of the sets; exactly 0 where no Gaussian leaves a trace."""


Sets = tuple[list[Gaussians], list[Any]]
SceneAt = Callable[[Float[Array, " b"]], Sets]
"""A scene over time: frames [b] -> complete sets of Gaussians and the weights of their images, all with an axis b."""


def still(gaussians: Gaussians) -> SceneAt:
    """A scene that does not move."""
    gaussians = jax.device_put(gaussians)
    repeat = jax.jit(lambda g, n: jax.tree.map(lambda a: jnp.repeat(a[None], n, axis=0), g), static_argnums=1)
    return lambda frames: ([repeat(gaussians, len(frames))], [None])


def moving(gaussians: Gaussians, dynamics: Dynamics, residual: dict, field: str) -> SceneAt:
    """A scene in motion under a field."""
    gaussians, dynamics, residual = jax.device_put((gaussians, dynamics, residual))
    over_frames = jax.jit(jax.vmap(partial(gaussian_sets, field=field), in_axes=(None, None, None, 0)))
    return lambda frames: over_frames(gaussians, dynamics, residual, jnp.asarray(frames, jnp.float32))


def only_movable(gaussians: Gaussians) -> Gaussians:
    """The same Gaussians with all that never move made invisible: what is left shows where movable ones reach."""
    rows = np.arange(len(gaussians.alive))
    return dataclasses.replace(gaussians, alive=np.asarray(gaussians.alive) & (rows < gaussians.movable))


def draw(scene_at: SceneAt, drawer: Drawer, cameras: Cameras, frames: Array) -> Iterator[Picture]:
    """Draw a scene from one camera after the other, each at its own frame."""
    blend_batch = jax.vmap(lambda front, back, w: blend([front, back], [w, 1 - w]))
    for first in range(0, len(frames), drawer.batch):
        index = np.minimum(np.arange(first, first + drawer.batch), len(frames) - 1)
        sets, weights = scene_at(np.asarray(frames)[index])
        views = [drawer(gaussians, select(cameras, index)) for gaussians in sets]
        colors = views[0].color if len(views) == 1 else blend_batch(views[0].color, views[1].color, weights[0])
        reached = jnp.stack([view.alpha for view in views]).max(axis=0)
        pictures = zip(*jax.device_get((colors, reached)), strict=True)
        for color, alpha in itertools.islice(pictures, len(frames) - first):  # the last batch is padded
            yield Picture(color, alpha)


def pool_psnr(scene_at: SceneAt, drawer: Drawer, pool: Pool) -> list[float]:
    """PSNR in dB of each item of a pool over its valid pixels."""
    pictures = draw(scene_at, drawer, select(pool.cameras, pool.view), pool.frame)
    items = zip(pictures, pool.images, pool.view, strict=True)
    return [min(float(metrics.psnr(p.color, image, pool.valid[view])), MAX_PSNR) for p, image, view in items]


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
    grey = [cv2.cvtColor(to_bytes(f)[0], cv2.COLOR_RGB2GRAY) for f in np.asarray(frames)]
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    errors = [
        np.linalg.norm(dis.calc(a, b, np.zeros((*a.shape, 2), np.float32)) - np.asarray(flow), axis=-1)[inside].mean()
        for a, b in itertools.pairwise(grey)
    ]
    return float(np.mean(errors))
