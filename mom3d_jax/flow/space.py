"""Arrows as velocities in space: motion that shrinks with distance, whichever view it is seen in.

Paper §3.2.1 spreads the arrows of every view over its image. But water that flows evenly moves by fewer px the farther
away it is, and a few arrows cannot say so. Here the arrows are lifted onto the surface under them, their velocities
are spread over the surface, and the flow of a view is what it sees of that.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from mom3d_jax.cameras import pixel_grid, project, unproject
from mom3d_jax.flow.hints import mean
from mom3d_jax.types import Array, Cameras, Hints

AHEAD = 0.02
"""How far along an arrow the surface is looked at for its slope, as a share of the image's width: a few of its pixels,
so that the noise of a single one does not count."""
SAME_SURFACE = 1.5
"""Depths farther apart than this factor over that length are not a slope."""


class Velocities(NamedTuple):
    """Arrows in space."""

    position: Float[Array, "k 3"]
    """World units."""
    velocity: Float[Array, "k 3"]
    """World units per frame."""
    valid: Bool[Array, " k"]


def lift_hints(hints: Hints, mask: Float[Array, "h w"], depth: Float[Array, "h w"], camera: Cameras) -> Velocities:
    """Arrows of a view on the surface that it sees: content stays on it, so it comes nearer where the surface does.

    The slope of 1/z, which on a plane is the same everywhere, is taken a few px along the arrow. Where the surface ends
    or stops moving, z is kept.

    Args:
      hints: arrows of the view, px and px per frame. Those without a depth under their start are not valid.
      mask: 1 where content moves.
      depth: z of the view, 0 where unknown.
      camera: the view.
    """
    start, motion = np.asarray(hints.start, np.float64), np.asarray(hints.motion, np.float64)
    depth, moves = np.asarray(depth, np.float64), np.asarray(mask) > 0
    speed, reach = np.linalg.norm(motion, axis=-1), AHEAD * camera.width
    here = _look_up(depth, start)
    place = start + motion * (reach / np.maximum(speed, 1e-12))[:, None]
    there = np.where(_inside(moves, place), _look_up(depth, place), 0)
    goes_on = (here > 0) & (there > 0) & (there < SAME_SURFACE * here) & (here < SAME_SURFACE * there)
    z = np.where(here > 0, here, 1)
    share = np.where(goes_on, speed / reach, 0)
    rho = (1 - share) / z + share / np.where(goes_on, there, 1)
    # An arrow of many px per frame must not pass the camera or the horizon.
    ends = [(start, z), (start + motion, 1 / np.clip(rho, 1 / (SAME_SURFACE * z), SAME_SURFACE / z))]
    first, last = (np.asarray(unproject(camera, p.astype(np.float32), d.astype(np.float32))) for p, d in ends)
    return Velocities(first, last - first, np.asarray(hints.valid) & (here > 0))


def space_flow(
    arrows: Velocities, mask: Float[Array, "h w"], depth: Float[Array, "h w"], camera: Cameras, sigma: float
) -> Float[jax.Array, "h w 2"]:
    """What a view sees of F(X) = Σ_k softmax_k(-(d(X, X_k) / σ)²) V_k; zero where nothing is known or moves.

    d(X, X_k) = f |X - X_k| / √(z z_k): px of the photo for points side by side, and the same whatever the unit of z.

    Args:
      arrows: velocities at points, world units. All of them count, seen from this view or not.
      mask: 1 where content moves, in the view.
      depth: z of the view, 0 where unknown.
      camera: the view.
      sigma: width of the weights, px of the photo.
    """
    grid = jnp.asarray(pixel_grid(camera.width, camera.height))
    known = jnp.asarray(depth) > 0
    points = unproject(camera, grid, jnp.where(known, depth, 1))
    velocity = spread_velocities(arrows, points.reshape(-1, 3), jnp.asarray(camera.focal)[0], sigma)
    landed, ahead = project(camera, points + velocity.reshape(points.shape))
    moves = known & (ahead > 0) & jnp.any(jnp.asarray(arrows.valid))
    return jnp.where(moves[..., None], landed - grid, 0) * jnp.asarray(mask)[..., None]


def spread_velocities(
    arrows: Velocities, points: Float[Array, "n 3"], focal: float | Float[Array, ""], sigma: float | Float[Array, ""]
) -> Float[jax.Array, "n 3"]:
    """F at points; see `space_flow`."""
    position, velocity, valid = (jnp.asarray(a) for a in arrows)
    points = jnp.asarray(points)
    offset = points[:, None] - position[None]
    # Points of views lie in front of the photo's camera, which is the world's origin.
    scale = jnp.maximum(points[:, None, 2] * position[None, :, 2], 1e-12)
    distance = jnp.square(jnp.asarray(focal, jnp.float32) / sigma) * (offset * offset).sum(-1) / scale
    return mean(distance, valid, velocity)


def _inside(area: Bool[np.ndarray, "h w"], p: Float[np.ndarray, "k 2"]) -> Bool[np.ndarray, " k"]:
    height, width = area.shape
    column, row = np.floor(p).astype(int).T
    within = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return within & area[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]


def _look_up(depth: Float[np.ndarray, "h w"], p: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, " k"]:
    """Bilinear in 1/z over the known pixels around p that lie on the surface of the nearest one; 0 where unknown."""
    height, width = depth.shape
    q = np.clip(p - 0.5, 0, [width - 1, height - 1])
    near = depth[tuple(np.round(q).astype(int).T[::-1])]
    corner = np.minimum(np.floor(q).astype(int), [max(width - 2, 0), max(height - 2, 0)])
    total, share = np.zeros(len(p)), np.zeros(len(p))
    for tap in ((0, 0), (1, 0), (0, 1), (1, 1)):
        cell = np.minimum(corner + tap, [width - 1, height - 1])
        z = depth[cell[:, 1], cell[:, 0]]
        same = (z > 0) & (z < SAME_SURFACE * near) & (near < SAME_SURFACE * z)
        tent = np.where(same, np.prod(np.maximum(1 - np.abs(q - cell), 0), axis=-1), 0)
        total += tent / np.where(same, z, 1)
        share += tent
    return np.where(share > 0, share / np.where(share > 0, total, 1), 0)
