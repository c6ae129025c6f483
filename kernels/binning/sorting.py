"""The two orders behind the lists of tiles: Gaussians by depth, then intersections by tile.

A CPU sorts keys alone several times faster than keys with values, one core per sort. There, a key is packed with its
position into 32 bits, as many bits of it at a time as fit, and long arrays are sorted in independent runs, which the
cores share. Other platforms sort keys with values, of any size, at once: the images of a `vmap` too, in one flat sort,
because XLA leaves a sort with a short leading axis on a GPU to a network that is many times slower than its radix sort,
which it has for unsigned keys.
"""

import jax.numpy as jnp
from jax import Array, lax
from jax.custom_batching import custom_vmap
from jaxtyping import Float, Int

RUNS = 16
"""Into which a CPU splits many intersections: with fewer, XLA leaves some of them to one core."""
SMALLEST_RUN = 4096

Lists = tuple[Int[Array, " tiles"], Int[Array, " tiles"], Int[Array, " slots"]]
"""Where the list of each tile begins, its length, and the slots list after list; 0 behind the last."""


def depth_order(depths: Float[Array, " n"]) -> Int[Array, " n"]:
    """Indices by increasing positive depth, ties by index."""
    return lax.platform_dependent(depths, cpu=depth_order_packed, default=depth_order_pairs)


@custom_vmap
def depth_order_pairs(depths: Float[Array, "*images n"]) -> Int[Array, "*images n"]:
    """`depth_order` as a sort of pairs; of several images by depth and then, stable, by image."""
    n = depths.shape[-1]
    bits = lax.bitcast_convert_type(depths, jnp.uint32).reshape(-1)  # of positive floats: in their order
    order = lax.sort((bits, lax.iota(jnp.int32, bits.size)), num_keys=1, is_stable=True)[1]
    if bits.size > n:
        order = lax.sort(((order // n).astype(jnp.uint32), order), num_keys=1, is_stable=True)[1]
    return (order % n).reshape(depths.shape)


@depth_order_pairs.def_vmap
def _depth_order_of_images(axis_size: int, batched: list[bool], depths: Array) -> tuple[Array, bool]:
    return depth_order_pairs(depths), True


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
    tiles, slots = _sort_slots(count, tiles)
    edges = jnp.searchsorted(tiles, lax.iota(jnp.int32, count + 1), method="scan_unrolled").astype(jnp.int32)
    return edges[:-1], edges[1:] - edges[:-1], jnp.where(tiles < count, slots, 0)


def _sort_slots(count: int, tiles: Int[Array, " slots"]) -> tuple[Int[Array, " slots"], Int[Array, " slots"]]:
    """Tiles in order, and the slot of each. All images of a `vmap` are one sort, their tiles numbered on."""

    @custom_vmap
    def sort(tiles: Int[Array, "*images slots"]) -> tuple[Array, Array]:
        slots = tiles.shape[-1]
        flat = lax.iota(jnp.int32, tiles.size)
        # Where there are more intersections than int32 counts, tiles are anything: they must not be of another image.
        keys = (jnp.clip(tiles, 0, count).reshape(-1) + flat // slots * (count + 1)).astype(jnp.uint32)
        keys, flat = lax.sort((keys, flat), num_keys=1, is_stable=True)
        in_order = (keys % jnp.uint32(count + 1)).astype(jnp.int32)
        return in_order.reshape(tiles.shape), (flat % slots).reshape(tiles.shape)

    @sort.def_vmap
    def of_images(axis_size: int, batched: list[bool], tiles: Array) -> tuple[tuple[Array, Array], tuple[bool, bool]]:
        return sort(tiles), (True, True)

    return sort(tiles)


def lists_from_runs(tiles: Int[Array, " slots"], count: int, runs: int = RUNS) -> Lists:
    """`lists_by_tile` with as many runs as asked for; fewer where they are short, more where keys outgrow 32 bits.

    Slots of a tile come from one run after the other, so that sorted runs are put together by counting.
    """
    size = tiles.shape[0]
    runs = max(min(runs, size // SMALLEST_RUN), -(-size >> (32 - count.bit_length())), 1)
    run = -(-size // runs)
    room = max((run - 1).bit_length(), 1)
    padded = jnp.pad(tiles, (0, runs * run - size), constant_values=count).astype(jnp.uint32)
    place = lax.iota(jnp.uint32, run)
    by_run = [lax.sort(t << jnp.uint32(room) | place, is_stable=True) for t in padded.reshape(runs, run)]
    first_keys = lax.iota(jnp.uint32, count + 1) << jnp.uint32(room)
    edges = jnp.stack([jnp.searchsorted(keys, first_keys).astype(jnp.int32) for keys in by_run])

    counts = edges[:, 1:] - edges[:, :-1]
    in_earlier_runs = jnp.cumsum(counts, 0) - counts
    lengths = counts.sum(0, dtype=jnp.int32)
    starts = jnp.cumsum(lengths) - lengths
    shift = starts[None] + in_earlier_runs - edges[:, :-1]

    keys = jnp.stack(by_run)
    tile = (keys >> jnp.uint32(room)).astype(jnp.int32)
    number = lax.broadcasted_iota(jnp.int32, keys.shape, 0)
    to = shift.at[number, tile].get(mode="fill", fill_value=size) + place.astype(jnp.int32)[None]
    slot = number * run + (keys & jnp.uint32(2**room - 1)).astype(jnp.int32)
    slots = jnp.zeros(size, jnp.int32).at[to.reshape(-1)].set(slot.reshape(-1), mode="drop", unique_indices=True)
    return starts, lengths, slots
