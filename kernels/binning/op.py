"""Which Gaussians each tile blends, front to back: exact counts, no limit per tile, overflow reported."""

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int

from .extents import tile_rectangles

# Tiles of 8 x 8 px waste less work on pixel-sized Gaussians than the usual 16 x 16.
TILE = 8
MAX_INT32 = 2**31 - 1


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Bins:
    """Lists of Gaussians per tile, concatenated tile by tile (row-major)."""

    gaussians: Int[Array, " capacity"]
    """Gaussian of each intersection, by tile, then depth, then index. Entries behind the last list are 0."""
    starts: Int[Array, " tiles"]
    """Where the list of each tile begins."""
    lengths: Int[Array, " tiles"]
    intersections: Int[Array, ""]
    """How many there are. Above the capacity the lists are incomplete and not to be used."""


def tile_grid(width: int, height: int, tile: int) -> tuple[int, int]:
    """Tiles per row and column."""
    return -(-width // tile), -(-height // tile)


def bucket(count: int) -> int:
    """The next of {1, 1.25, 1.5, 1.75} · 2ᵏ: few distinct capacities, so few compilations, for at most 25 % of room."""
    quarter = 1 << max((count - 1).bit_length() - 3, 0)
    return max(-(-count // quarter) * quarter, 1)


def count(
    means2d: Float[Array, "n 2"],
    conics: Float[Array, "n 3"],
    opacities: Float[Array, " n"],
    *,
    width: int,
    height: int,
    tile: int = TILE,
) -> Int[Array, ""]:
    """Exact number of intersections that `bin_gaussians` will list; arguments as there."""
    _, size = tile_rectangles(means2d, conics, opacities, width=width, height=height, tile=tile)
    return total(size[:, 0] * size[:, 1])


def total(counts: Int[Array, " n"]) -> Int[Array, ""]:
    """Sum in int32 that saturates at 2³¹ - 1 instead of wrapping around."""
    # The float32 sum is off by less than 0.1 %, so near the limit an exact sum is given up for the safe one.
    near_limit = counts.astype(jnp.float32).sum() > 0.999 * MAX_INT32
    return jnp.where(near_limit, MAX_INT32, counts.sum(dtype=jnp.int32))


def depth_order(depths: Float[Array, " n"]) -> tuple[Int[Array, " n"], Int[Array, " n"]]:
    """Indices by increasing positive depth, ties by index, and the rank of each index.

    A radix sort whose digits leave room for the position in the same 32 bits: a few sorts of keys alone are faster than
    one sort of pairs.
    """
    n = depths.shape[0]
    position = lax.iota(jnp.uint32, n)
    room = max((n - 1).bit_length(), 1)
    bits = lax.bitcast_convert_type(depths, jnp.uint32)  # of positive floats: in their order, the sign bit 0
    order = position.astype(jnp.int32)
    for shift in range(0, 31, 32 - room):
        digit = bits[order] >> jnp.uint32(shift) << jnp.uint32(room)
        by_digit = lax.sort(digit | position, is_stable=False) & jnp.uint32(2**room - 1)
        order = order[by_digit.astype(jnp.int32)]
    rank = jnp.zeros_like(order).at[order].set(position.astype(jnp.int32), unique_indices=True)
    return order, rank


def bin_gaussians(
    means2d: Float[Array, "n 2"],
    conics: Float[Array, "n 3"],
    opacities: Float[Array, " n"],
    depths: Float[Array, " n"],
    *,
    width: int,
    height: int,
    capacity: int,
    tile: int = TILE,
) -> Bins:
    """List the Gaussians of every tile by depth.

    Args:
      means2d: centres in px, finite.
      conics: (a, b, c) of the inverse 2D covariances, px⁻², positive definite.
      opacities: those below 1/255 are listed nowhere.
      depths: positive.
      width: image width in px.
      height: image height in px.
      capacity: size of the list of intersections.
      tile: side of a tile in px.
    """
    n = depths.shape[0]
    columns, rows = tile_grid(width, height, tile)
    first, size = tile_rectangles(means2d, conics, opacities, width=width, height=height, tile=tile)
    counts = size[:, 0] * size[:, 1]
    ends = jnp.cumsum(counts)
    begins = ends - counts
    intersections = total(counts)
    order, rank = depth_order(depths)

    slot = lax.iota(jnp.int32, capacity)
    owner = jnp.cumsum(jnp.zeros(capacity, jnp.int32).at[begins].add(1, mode="drop")) - 1
    local = slot - begins[owner]
    columns_of = jnp.maximum(size[owner, 0], 1)
    x, y = first[owner, 0] + local % columns_of, first[owner, 1] + local // columns_of
    tiles = jnp.where(slot < intersections, y * columns + x, columns * rows).astype(jnp.uint32)
    sort = sort_packed if (columns * rows + 1) * n < 2**32 else sort_pairs
    edges, ranks = sort(tiles, rank[owner].astype(jnp.uint32), columns * rows, n)
    # What is no intersection has the highest tile number, and comes last.
    gaussians = jnp.where(slot < intersections, order[ranks.astype(jnp.int32)], 0)
    return Bins(gaussians, edges[:-1], edges[1:] - edges[:-1], intersections)


Sorted = tuple[Int[Array, " tiles+1"], Int[Array, " capacity"]]
"""Where the list of each tile begins, and the ranks in order."""


def sort_packed(tiles: Int[Array, " capacity"], ranks: Int[Array, " capacity"], count: int, n: int) -> Sorted:
    """Sort by (tile, rank) as one number; for fewer than 2³² pairs of tile and Gaussian."""
    key = lax.sort(tiles * jnp.uint32(n) + ranks, is_stable=False)
    edges = jnp.searchsorted(key, lax.iota(jnp.uint32, count + 1) * jnp.uint32(n))
    return edges.astype(jnp.int32), key % jnp.uint32(n)


def sort_pairs(tiles: Int[Array, " capacity"], ranks: Int[Array, " capacity"], count: int, n: int) -> Sorted:
    """Sort by (tile, rank) as two numbers: for any size, and several times slower on a CPU."""
    del n
    tiles, ranks = lax.sort((tiles, ranks), num_keys=2, is_stable=False)
    return jnp.searchsorted(tiles, lax.iota(jnp.uint32, count + 1)).astype(jnp.int32), ranks
