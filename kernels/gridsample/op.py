"""Bilinear sampling of feature planes, the look-up of HexPlane (Cao and Johnson, CVPR 2023) and 4D Gaussians.

With u = (x + 1)/2 · (A - 1) along the first grid axis and v likewise along the second, i = ⌊u⌋, j = ⌊v⌋, s = u - i,
t = v - j, a point reads

    f = (1 - s)(1 - t) P[i, j] + (1 - s) t P[i, j+1] + s (1 - t) P[i+1, j] + s t P[i+1, j+1].

Many points share a cell, so the gradient of the planes is a sum over points by cell: one row of four weighted corners
per point, summed by cell, then added to the nodes as four shifted grids: one segment sum instead of four contended
scatters into the planes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int

from ..arrays import ArrayLike, check_shapes
from ..segments import sum_sorted

# Points per step on a CPU: their rows stay in its cache.
BLOCK = 2048


def sample_planes(planes: Float[ArrayLike, "p a b c"], coords: Float[ArrayLike, "p n 2"]) -> Float[Array, "p n c"]:
    """Sample each plane at its own points.

    Args:
      planes: features on P grids of A x B nodes; A and B may differ (space by time).
      coords: coordinate k runs along grid axis k, from -1 at the first node to 1 at the last (torch's
        `align_corners=True`, but in the order of the axes); beyond, the border value holds.

    Returns:
      Interpolated features. A NaN coordinate makes its own row NaN and leaves all gradients alone.

    Raises:
      ValueError: shapes or dtypes that do not fit, or a plane without nodes.
    """
    planes, coords = jnp.asarray(planes), jnp.asarray(coords)
    check_shapes("sample_planes", planes=(planes, ("p", "a", "b", "c")), coords=(coords, ("p", "n", 2)))
    if 0 in planes.shape[1:3]:
        raise ValueError(f"sample_planes: planes of shape {planes.shape} have no nodes")
    return _sample(planes, coords)


class Points(NamedTuple):
    """Where the points of all planes lie, plane after plane, and how features there weigh."""

    cell: Int[Array, " m"]
    """Flat index of node (i, j)."""
    offset: Float[Array, "m 2"]
    """(s, t), in [0, 1] or NaN."""
    slope: Float[Array, "m 2"]
    """∂(u, v)/∂coords: 0 where the coordinate is clamped or the point has a NaN."""


def _locate(coords: Float[Array, "p n 2"], a: int, b: int) -> Points:
    half = jnp.array([[[a - 1, b - 1]]], coords.dtype) / 2
    place = jnp.clip(coords, -1, 1) * half + half
    # The last node belongs to the last cell. A NaN converts to some integer, which is clipped too.
    highest = jnp.array([[[max(a - 2, 0), max(b - 2, 0)]]], jnp.int32)
    corner = jnp.clip(jnp.floor(place).astype(jnp.int32), 0, highest)
    plane = lax.broadcasted_iota(jnp.int32, coords.shape[:2], 0)
    cell = (plane * a + corner[..., 0]) * b + corner[..., 1]
    known = ~jnp.isnan(coords).any(-1, keepdims=True)
    slope = jnp.where(known & (jnp.abs(coords) <= 1), half, 0)
    m = cell.size
    return Points(cell.reshape(m), (place - corner.astype(coords.dtype)).reshape(m, 2), slope.reshape(m, 2))


def _weights(offset: Float[Array, "m 2"]) -> list[Float[Array, "m 1"]]:
    """Of the corners (i, j), (i, j+1), (i+1, j), (i+1, j+1)."""
    s, t = offset[:, :1], offset[:, 1:]
    return [(1 - s) * (1 - t), (1 - s) * t, s * (1 - t), s * t]


def _steps(a: int, b: int) -> list[int]:
    """From a cell to its four corners. A plane one node wide has no second corner; its weight is zero."""
    down, right = b * (a > 1), int(b > 1)
    return [0, right, down, down + right]


def _corners(planes: Float[Array, "p a b c"], cell: Int[Array, " m"]) -> list[Float[Array, "m c"]]:
    """Features at the four corners, in the order of `_weights`."""
    p, a, b, c = planes.shape
    nodes = planes.reshape(p * a * b, c)
    return [nodes.at[cell + step].get(mode="promise_in_bounds") for step in _steps(a, b)]


@jax.custom_vjp
def _sample(planes: Float[Array, "p a b c"], coords: Float[Array, "p n 2"]) -> Float[Array, "p n c"]:
    points = _locate(coords, *planes.shape[1:3])
    w00, w01, w10, w11 = _weights(points.offset)
    f00, f01, f10, f11 = _corners(planes, points.cell)
    features = w00 * f00 + w01 * f01 + w10 * f10 + w11 * f11
    return features.reshape(*coords.shape[:2], planes.shape[3])


def _forward(planes: Array, coords: Array) -> tuple[Array, tuple[Array, Array]]:
    return _sample(planes, coords), (planes, coords)


def _backward(residuals: tuple[Array, Array], grad: Float[Array, "p n c"]) -> tuple[Array, Array]:
    planes, coords = residuals
    p, a, b, c = planes.shape
    points = _locate(coords, a, b)
    grads = grad.reshape(points.cell.size, c)
    summed, slopes = lax.platform_dependent(planes, points, grads, cpu=_sum_in_blocks, default=_sum_sorted)
    # From sums by cell to sums by node: four shifted additions.
    sums = jnp.zeros((p * a * b, c), grad.dtype)
    corners = summed.reshape(p * a * b, 4, c)
    for k, step in enumerate(_steps(a, b)):
        sums += jnp.roll(corners[:, k], step, 0)
    return sums.reshape(planes.shape), slopes.reshape(coords.shape)


_sample.defvjp(_forward, _backward)


def _rows(
    planes: Float[Array, "p a b c"], points: Points, grads: Float[Array, "m c"]
) -> tuple[Float[Array, "m 4*c"], Float[Array, "m 2"]]:
    """What each point adds to the four corners of its cell, and the gradient of its coordinates."""
    s, t = points.offset[:, 0], points.offset[:, 1]
    d00, d01, d10, d11 = ((grads * f).sum(-1) for f in _corners(planes, points.cell))
    slopes = jnp.stack([(1 - t) * (d10 - d00) + t * (d11 - d01), (1 - s) * (d01 - d00) + s * (d11 - d10)], -1)
    known = ~jnp.isnan(points.offset).any(-1, keepdims=True)
    rows = jnp.concatenate([jnp.where(known, w * grads, 0) for w in _weights(points.offset)], -1)
    return rows, jnp.where(points.slope > 0, slopes * points.slope, 0)


def _sum_sorted(
    planes: Float[Array, "p a b c"], points: Points, grads: Float[Array, "m c"]
) -> tuple[Float[Array, "pab 4*c"], Float[Array, "m 2"]]:
    """`_rows` summed by cell, after sorting: no contended atomics on accelerators."""
    rows, slopes = _rows(planes, points, grads)
    return sum_sorted(rows, points.cell, planes.shape[0] * planes.shape[1] * planes.shape[2]), slopes


def _sum_in_blocks(
    planes: Float[Array, "p a b c"], points: Points, grads: Float[Array, "m c"]
) -> tuple[Float[Array, "pab 4*c"], Float[Array, "m 2"]]:
    """`_rows` summed by cell, a cache-sized block of points after the other: a CPU adds without contention."""
    p, a, b, c = planes.shape
    m = grads.shape[0]
    blocks = -(-m // BLOCK)
    spare = blocks * BLOCK - m

    def split(x: Array) -> Array:
        return jnp.pad(x, ((0, spare), *((0, 0),) * (x.ndim - 1))).reshape(blocks, BLOCK, *x.shape[1:])

    def add(sums: Array, block: tuple[Points, Array]) -> tuple[Array, Array]:
        rows, slopes = _rows(planes, *block)
        return sums.at[block[0].cell].add(rows, mode="promise_in_bounds"), slopes

    sums, slopes = lax.scan(add, jnp.zeros((p * a * b, 4 * c), grads.dtype), jax.tree.map(split, (points, grads)))
    return sums, slopes.reshape(blocks * BLOCK, 2)[:m]
