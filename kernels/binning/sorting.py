"""The two orders behind the lists of tiles: Gaussians by depth, then intersections by tile.

A CPU sorts keys alone several times faster than keys with values, one core per sort. There, a key is packed with its
position into 32 bits, as many bits of it at a time as fit, and long arrays are sorted in independent runs, which the
cores share. Other platforms sort keys with values, of any size, at once.
"""

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int

RUNS = 16
"""Into which a CPU splits the intersections: with fewer, XLA leaves some of them to one core."""

Lists = tuple[Int[Array, " tiles"], Int[Array, " tiles"], Int[Array, " slots"]]
"""Where the list of each tile begins, its length, and the slots list after list; 0 behind the last."""


def depth_order(depths: Float[Array, " n"]) -> Int[Array, " n"]:
    """Indices by increasing positive depth, ties by index."""
    return lax.platform_dependent(depths, cpu=depth_order_packed, default=depth_order_pairs)


def depth_order_pairs(depths: Float[Array, " n"]) -> Int[Array, " n"]:
    """`depth_order` as one sort of pairs."""
    return jnp.argsort(depths, stable=True).astype(jnp.int32)


def depth_order_packed(depths: Float[Array, " n"]) -> Int[Array, " n"]:
    """`depth_order` as a radix sort from the lowest bits that differ at all to the highest."""
    n = depths.shape[0]
    position = lax.iota(jnp.uint32, n)
    room = max((n - 1).bit_length(), 1)
    bits = lax.bitcast_convert_type(depths, jnp.uint32)  # of positive floats: in their order
    bits -= bits.min()
    highest = bits.max()

    def advance(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        shift, order = carry
        digit = bits[order] >> shift << jnp.uint32(room)
        by_digit = lax.sort(digit | position, is_stable=True) & jnp.uint32(2**room - 1)
        return shift + jnp.uint32(32 - room), order[by_digit.astype(jnp.int32)]

    def unsorted(carry: tuple[Array, Array]) -> Array:
        shift = carry[0]
        return (shift < 32) & (highest >> shift > 0)

    return lax.while_loop(unsorted, advance, (jnp.uint32(0), position.astype(jnp.int32)))[1]


def lists_by_tile(tiles: Int[Array, " slots"], count: int) -> Lists:
    """Sort slots by tile; within one they stay in order.

    Args:
      tiles: tile of each slot, `count` where a slot is empty.
      count: number of tiles.
    """
    return lax.platform_dependent(
        tiles, cpu=lambda t: lists_from_runs(t, count), default=lambda t: lists_from_pairs(t, count)
    )


def lists_from_pairs(tiles: Int[Array, " slots"], count: int) -> Lists:
    """`lists_by_tile` as one sort of pairs."""
    slot = lax.iota(jnp.int32, tiles.shape[0])
    tiles, slots = lax.sort((tiles, slot), num_keys=1, is_stable=True)
    edges = jnp.searchsorted(tiles, lax.iota(jnp.int32, count + 1), method="scan_unrolled").astype(jnp.int32)
    return edges[:-1], edges[1:] - edges[:-1], jnp.where(tiles < count, slots, 0)


def lists_from_runs(tiles: Int[Array, " slots"], count: int, runs: int = RUNS) -> Lists:
    """`lists_by_tile` with as many runs as asked for, or more where a tile and a place in a run need more than 32 bits.

    Slots of a tile come from one run after the other, so that sorted runs are put together by counting.
    """
    size = tiles.shape[0]
    runs = max(runs, -(-size >> (32 - count.bit_length())))
    run = -(-size // runs)
    room = max((run - 1).bit_length(), 1)
    padded = jnp.pad(tiles, (0, runs * run - size), constant_values=count).astype(jnp.uint32)
    place = lax.iota(jnp.uint32, run)
    keys = [lax.sort(t << jnp.uint32(room) | place, is_stable=True) for t in padded.reshape(runs, run)]
    first_keys = lax.iota(jnp.uint32, count + 1) << jnp.uint32(room)
    edges = jnp.stack([jnp.searchsorted(k, first_keys).astype(jnp.int32) for k in keys])

    counts = edges[:, 1:] - edges[:, :-1]
    in_earlier_runs = jnp.cumsum(counts, 0) - counts
    lengths = counts.sum(0, dtype=jnp.int32)
    starts = jnp.cumsum(lengths) - lengths
    shift = starts[None] + in_earlier_runs - edges[:, :-1]

    key = jnp.stack(keys)
    tile = (key >> jnp.uint32(room)).astype(jnp.int32)
    number = lax.broadcasted_iota(jnp.int32, key.shape, 0)
    to = shift.at[number, tile].get(mode="fill", fill_value=size) + place.astype(jnp.int32)[None]
    slot = number * run + (key & jnp.uint32(2**room - 1)).astype(jnp.int32)
    slots = jnp.zeros(size, jnp.int32).at[to.reshape(-1)].set(slot.reshape(-1), mode="drop", unique_indices=True)
    return starts, lengths, slots
