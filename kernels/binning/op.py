"""Which Gaussians each tile blends, front to back: exact counts, no limit per tile, overflow reported."""

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int

from .extents import tile_rectangles
from .sorting import depth_order, lists_by_tile

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
    slots: Int[Array, " capacity"]
    """Number of each intersection when they are counted by Gaussian, those of one by tile. 0 behind the last list."""
    begins: Int[Array, " n"]
    """First slot of each Gaussian."""
    counts: Int[Array, " n"]
    """Number of tiles of each Gaussian."""
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
    order = depth_order(depths)
    rank = jnp.zeros_like(order).at[order].set(lax.iota(jnp.int32, n), unique_indices=True)
    # From here on by rank in depth, so that the slots of a tile are in order. Scattered, because XLA would compute the
    # rectangles anew in everything that gathers them.
    rectangles = tile_rectangles(means2d, conics, opacities, width=width, height=height, tile=tile)
    ordered = jnp.zeros((n, 4), jnp.int32).at[rank].set(jnp.concatenate(rectangles, -1), unique_indices=True)
    first, size = ordered[:, :2], ordered[:, 2:]
    counts = size[:, 0] * size[:, 1]
    intersections = total(counts)
    begins = lax.associative_scan(jnp.add, counts) - counts

    slot = lax.iota(jnp.int32, capacity)
    starts_here = jnp.zeros(capacity, jnp.int32).at[begins].add(1, mode="drop")
    owner = lax.associative_scan(jnp.add, starts_here) - 1
    # The slots of a Gaussian go through its rectangle row by row; each further row is `skip` tiles on.
    corner, skip = first[:, 1] * columns + first[:, 0] - begins, columns - size[:, 0]
    row = lax.div(slot - begins[owner], jnp.maximum(size[owner, 0], 1))
    tiles = jnp.where(slot < intersections, slot + corner[owner] + row * skip[owner], columns * rows)
    starts, lengths, slots = lists_by_tile(tiles, columns * rows)
    gaussians = jnp.where(slot < intersections, order[owner[slots]], 0)
    return Bins(gaussians, starts, lengths, slots, begins[rank], counts[rank], intersections)
