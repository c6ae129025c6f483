"""Bilinear sampling of feature planes, the look-up of HexPlane (Cao and Johnson, CVPR 2023) and 4D Gaussians.

With u = (x + 1)/2 · (A - 1) along the first grid axis and v likewise along the second, i = ⌊u⌋, j = ⌊v⌋, s = u - i,
t = v - j, a point reads

    f = (1 - s)(1 - t) P[i, j] + (1 - s) t P[i, j+1] + s (1 - t) P[i+1, j] + s t P[i+1, j+1].

Many points share a cell, so the gradient of the planes is a sum over points by cell: one row of four weighted corners
per point, summed by cell, then added to the nodes as four shifted grids: one segment sum instead of four contended
scatters into the planes. A plane that is one node wide is a line: two corners.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int

from ..arrays import ArrayLike, check_shapes
from ..segments import sum_sorted

# Points per step on a CPU: their rows stay in its cache. Three planes of a multiple of 512 points need no filling up.
BLOCK = 1536


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


def _corners(a: int, b: int) -> list[tuple[int, int]]:
    """Of a cell, (0, 0) first. A plane one node wide has no second corner along that axis."""
    return [(i, j) for i in range(min(a, 2)) for j in range(min(b, 2))]


def _weights(offset: Float[Array, "m 2"], a: int, b: int) -> list[Float[Array, "m 1"]]:
    """Of the corners. Along an axis of one node the offset is 0, or NaN, which has to show."""
    s, t = offset[:, :1], offset[:, 1:]
    return [(1 - s, s)[i] * (1 - t, t)[j] for i, j in _corners(a, b)]


def _features(planes: Float[Array, "p a b c"], cell: Int[Array, " m"]) -> list[Float[Array, "m c"]]:
    """Features at the corners."""
    p, a, b, c = planes.shape
    nodes = planes.reshape(p * a * b, c)
    return [nodes.at[cell + (b * i + j)].get(mode="promise_in_bounds") for i, j in _corners(a, b)]


@jax.custom_vjp
def _sample(planes: Float[Array, "p a b c"], coords: Float[Array, "p n 2"]) -> Float[Array, "p n c"]:
    points = _locate(coords, *planes.shape[1:3])
    features = lax.platform_dependent(planes, points, cpu=_mix_in_blocks, default=_mix)
    return features.reshape(*coords.shape[:2], planes.shape[3])


def _mix(planes: Float[Array, "p a b c"], points: Points) -> Float[Array, "m c"]:
    """The corners' features at each point, weighted."""
    weights = _weights(points.offset, *planes.shape[1:3])
    first, *others = (w * f for w, f in zip(weights, _features(planes, points.cell), strict=True))
    return sum(others, first)


def _mix_in_blocks(planes: Float[Array, "p a b c"], points: Points) -> Float[Array, "m c"]:
    """`_mix`, a cache-sized block after the other: else XLA may write all points' corners out one by one."""
    m = points.cell.size
    return lax.map(partial(_mix, planes), jax.tree.map(_split, points)).reshape(-1, planes.shape[3])[:m]


def _split(x: Array) -> Array:
    """Rows [m, ...] as blocks [n, BLOCK, ...], the last of them filled up with zeros."""
    blocks = -(-x.shape[0] // BLOCK)
    spare = blocks * BLOCK - x.shape[0]
    return jnp.pad(x, ((0, spare), *((0, 0),) * (x.ndim - 1))).reshape(blocks, BLOCK, *x.shape[1:])


def _forward(planes: Array, coords: Array) -> tuple[Array, tuple[Array, Array]]:
    return _sample(planes, coords), (planes, coords)


def _backward(residuals: tuple[Array, Array], grad: Float[Array, "p n c"]) -> tuple[Array, Array]:
    planes, coords = residuals
    p, a, b, c = planes.shape
    points = _locate(coords, a, b)
    grads = grad.reshape(points.cell.size, c)
    summed, slopes = lax.platform_dependent(planes, points, grads, cpu=_sum_in_blocks, default=_sum_sorted)
    # From sums by cell to sums by node: one shifted addition per corner.
    sums = jnp.zeros((p * a * b, c), grad.dtype)
    for k, (i, j) in enumerate(_corners(a, b)):
        sums += jnp.roll(summed[:, k * c : (k + 1) * c], b * i + j, 0)
    return sums.reshape(planes.shape), slopes.reshape(coords.shape)


_sample.defvjp(_forward, _backward)


def _rows(
    planes: Float[Array, "p a b c"], points: Points, grads: Float[Array, "m c"]
) -> tuple[Float[Array, "m q*c"], Float[Array, "m 2"]]:
    """What each point adds to the q corners of its cell, and the gradient of its coordinates."""
    a, b = planes.shape[1:3]
    s, t = points.offset[:, 0], points.offset[:, 1]
    slopes = [jnp.zeros_like(s), jnp.zeros_like(t)]
    for (i, j), f in zip(_corners(a, b), _features(planes, points.cell), strict=True):
        share = (grads * f).sum(-1)
        slopes[0] += (-1, 1)[i] * (1 - t, t)[j] * share
        slopes[1] += (1 - s, s)[i] * (-1, 1)[j] * share
    known = ~jnp.isnan(points.offset).any(-1, keepdims=True)
    rows = jnp.concatenate([jnp.where(known, w * grads, 0) for w in _weights(points.offset, a, b)], -1)
    # The slope is 0 along an axis of one node, whose sum above lacks the other half.
    return rows, jnp.where(points.slope > 0, jnp.stack(slopes, -1) * points.slope, 0)


def _sum_sorted(
    planes: Float[Array, "p a b c"], points: Points, grads: Float[Array, "m c"]
) -> tuple[Float[Array, "pab q*c"], Float[Array, "m 2"]]:
    """`_rows` summed by cell, after sorting: no contended atomics on accelerators."""
    rows, slopes = _rows(planes, points, grads)
    return sum_sorted(rows, points.cell, planes.shape[0] * planes.shape[1] * planes.shape[2]), slopes


def _sum_in_blocks(
    planes: Float[Array, "p a b c"], points: Points, grads: Float[Array, "m c"]
) -> tuple[Float[Array, "pab q*c"], Float[Array, "m 2"]]:
    """`_rows` summed by cell, a cache-sized block of points after the other: a CPU adds without contention."""
    p, a, b, c = planes.shape

    def add(sums: Array, block: tuple[Points, Array]) -> tuple[Array, Array]:
        rows, slopes = _rows(planes, *block)
        return sums.at[block[0].cell].add(rows, mode="promise_in_bounds"), slopes

    none = jnp.zeros((p * a * b, len(_corners(a, b)) * c), grads.dtype)
    sums, slopes = lax.scan(add, none, jax.tree.map(_split, (points, grads)))
    return sums, slopes.reshape(-1, 2)[: grads.shape[0]]
