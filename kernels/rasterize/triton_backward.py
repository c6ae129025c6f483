"""Triton kernels of the backward pass: partial gradients per (tile, Gaussian) pair, and their sums per Gaussian.

The sums over the pixels of a tile are one matrix product for `group` Gaussians,

    [slopes; weights] [2 group, pixels] · (x, y, x², xy, y², 1, ∂L/∂A) [pixels, 6 + k]

of which the product of slopes with monomials and the product of weights with ∂L/∂A are used. Matrix units want 16 rows
at least, so that two products of their own would need more registers than one that is half thrown away. Nothing is
added in memory: each pair has a row of its own, and each Gaussian is summed by one program in a fixed order.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl
from jaxtyping import Float

from .reference import MAX_ALPHA
from .triton_forward import (
    PIXELS,
    Gaussian,
    Lists,
    Tile,
    evaluate_alpha,
    load_gaussians,
    row_of,
    step,
    this_tile,
    unfinished,
)

MOMENTS = 6
"""Columns of a row of partial gradients before the features: the sums of slope · (dx, dy, dx², dx dy, dy², 1)."""
HALF = 8
"""Rows of slopes, then as many of weights: both halves of 16 rows lie in the same threads of a matrix unit."""


def matrix_width(channels: int) -> int:
    """Columns of a row of partial gradients, padded for the matrix units."""
    return max(16, pl.next_power_of_2(MOMENTS + channels))


def backward(
    group: int,
    columns: int,
    precision: Any,
    store: Callable[..., None],
    starts: Any,
    lengths: Any,
    gaussians: Any,
    table: Any,
    slots: Any,
    pixels: Any,
    untouched: Any,
    rows: Any,
) -> None:
    """Partial gradients of one tile: one row for each Gaussian of its list that was reached.

    Args:
      group: Gaussians per pass of the loop, a multiple of `HALF` and a power of two.
      columns: tiles per row of the image.
      precision: of the matrix product.
      store: masked write.
      starts: as the next three in `Lists`.
      lengths: see there.
      gaussians: see there.
      table: see there.
      slots: reference to [images, capacity], see `Bins`: the row of each place in the lists.
      pixels: reference to [images, tiles, 1 + k, pixels]: A · ∂L/∂A + T_final ∂L/∂T_final, ∂L/∂A.
      untouched: `rows` as it was before, all zero.
      rows: reference to [images, capacity, 6 + k]: Σ slope · (dx, dy, dx², dx dy, dy², 1), Σ α T ∂L/∂A.
    """
    del untouched
    lists = Lists(starts, lengths, gaussians, table)
    tile = this_tile(lists, columns)
    pixel = lax.iota(jnp.int32, PIXELS)
    behind, *grad = (pixels[tile.image, tile.number, k, pixel] for k in range(1 + lists.channels))
    width = matrix_width(lists.channels)
    right = pixel_matrix(tile, grad, width)
    row = lax.broadcasted_iota(jnp.int32, (2 * group, PIXELS), 0)
    column = lax.broadcasted_iota(jnp.int32, (group, width), 1)

    def advance(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        place, T, behind = carry
        left = jnp.zeros((2 * group, PIXELS), jnp.float32)
        for g, gaussian in enumerate(load_gaussians(lists, tile, place, group)):
            alpha = evaluate_alpha(tile, gaussian)
            T, behind, slope, weight = slope_and_weight(T, behind, alpha, gaussian, grad)
            # All rows of a column of pixels lie in the registers of one thread, so that these choices cost nothing.
            at = g // HALF * 2 * HALF + g % HALF
            left = jnp.where(row == at, slope[None], jnp.where(row == at + HALF, weight[None], left))
        sums = used_half(jnp.dot(left, right, precision=precision))

        listed = place + lax.iota(jnp.int32, group)
        within = jnp.minimum(listed, tile.end - 1)
        owner = lists.gaussians[row_of(tile.image, lists.gaussians), within]
        # What is behind the end gets rows of its own beyond the last one: interpreted, a masked write puts back what
        # was there, which must not be the row of another.
        slot = slots[row_of(tile.image, slots), within]
        slot = jnp.where(listed < tile.end, slot, rows.shape[1] + lax.iota(jnp.int32, group))
        x, y = (table[row_of(tile.image, table), owner, jnp.full(group, k, jnp.int32)] for k in (0, 1))
        sums = about_mean(sums, x - tile.center_x, y - tile.center_y)
        to, known = (jnp.broadcast_to(a[:, None], (group, width)) for a in (slot, listed < tile.end))
        store(rows.at[tile.image, to, column], sums, mask=known & (column < MOMENTS + lists.channels))
        return place + group, T, behind

    start = (tile.begin, jnp.ones(PIXELS, jnp.float32), behind)
    lax.while_loop(lambda carry: unfinished(tile, *carry[:2]), advance, start)


def slope_and_weight(
    T: Float[Array, " p"],
    behind: Float[Array, " p"],
    alpha: Float[Array, " p"],
    gaussian: Gaussian,
    grad: list[Float[Array, " p"]],
) -> tuple[Float[Array, " p"], ...]:
    """T and `behind` after a Gaussian, its ∂L/∂log α and its weight α T; the equations are those of `xla.py`."""
    after, weight = step(T, alpha)
    gain = grad[0] * gaussian.features[0]
    for k in range(1, len(grad)):
        gain += grad[k] * gaussian.features[k]
    behind -= weight * gain
    slope = jnp.where((after > 0) & (alpha < MAX_ALPHA), alpha * (T * gain - behind / (1 - alpha)), 0)
    return after, behind, slope, weight


def pixel_matrix(tile: Tile, grad: list[Float[Array, " p"]], width: int) -> Float[Array, "p w"]:
    """(x, y, x², xy, y², 1, ∂L/∂A, 0 …) with x, y from the tile's centre."""
    x, y = tile.x - tile.center_x, tile.y - tile.center_y
    column = lax.broadcasted_iota(jnp.int32, (PIXELS, width), 1)
    matrix = jnp.zeros((PIXELS, width), jnp.float32)
    for k, value in enumerate([x, y, x * x, x * y, y * y, jnp.ones_like(x), *grad]):
        matrix = jnp.where(column == k, value[:, None], matrix)
    return matrix


def used_half(product: Float[Array, "2g w"]) -> Float[Array, "g w"]:
    """Moments from the rows of slopes, features from the rows of weights."""
    rows, width = product.shape
    of_weights = lax.broadcasted_iota(jnp.int32, product.shape, 0) % (2 * HALF) >= HALF
    of_features = lax.broadcasted_iota(jnp.int32, product.shape, 1) >= MOMENTS
    halves = jnp.where(of_weights == of_features, product, 0).reshape(rows // (2 * HALF), 2, HALF, width)
    return jnp.sum(halves, 1).reshape(rows // 2, width)


def about_mean(sums: Float[Array, "g w"], x: Float[Array, " g"], y: Float[Array, " g"]) -> Float[Array, "g w"]:
    """Moments about the mean at (x, y) from moments about the origin; other columns stay.

    No digits cancel: a mean far away makes all terms large.
    """
    column = lax.broadcasted_iota(jnp.int32, sums.shape, 1)
    mx, my, one = (jnp.sum(jnp.where(column == k, sums, 0), 1) for k in (0, 1, 5))
    shifts = (-x * one, -y * one, x * (x * one - 2 * mx), x * (y * one - my) - y * mx, y * (y * one - 2 * my))
    for k, shift in enumerate(shifts):
        sums += jnp.where(column == k, shift[:, None], 0)
    return sums


def sum_rows(
    block: int, unroll: int, load: Callable[..., Array], begins: Any, counts: Any, rows: Any, out: Any
) -> None:
    """Sum the rows of `block` Gaussians, one after the other per Gaussian, `unroll` at a time.

    Args:
      block: Gaussians per program, a power of two.
      unroll: rows of each of them per pass of the loop, a power of two.
      load: masked read.
      begins: reference to [images, n]: the first row of each Gaussian.
      counts: reference to [images, n]: how many it has.
      rows: reference to [images, capacity, 6 + k].
      out: reference to [images, ⌈n / block⌉ · block, width]; columns behind the last one become 0.
    """
    n, (_, padded, width), used = begins.shape[1], out.shape, rows.shape[2]
    image, number = lax.div(pl.program_id(0), padded // block), lax.rem(pl.program_id(0), padded // block)
    gaussian = number * block + lax.iota(jnp.int32, block)
    within = jnp.minimum(gaussian, n - 1)
    begin = begins[row_of(image, begins), within]
    count = jnp.where((gaussian < n) & (begin >= 0), counts[row_of(image, counts), within], 0)
    # Above the capacity there are fewer rows than are counted, and what is behind them is the memory of others.
    count = jnp.minimum(count, rows.shape[1] - begin)
    shape = (block, unroll, width)
    column = lax.broadcasted_iota(jnp.int32, shape, 2)

    def advance(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        done, sums = carry
        number = done + lax.broadcasted_iota(jnp.int32, (block, unroll), 1)
        row = jnp.broadcast_to((begin[:, None] + number)[:, :, None], shape)
        mask = jnp.broadcast_to((number < count[:, None])[:, :, None], shape) & (column < used)
        return done + unroll, sums + jnp.sum(load(rows.at[image, row, column], mask=mask, other=0.0), 1)

    start = (jnp.int32(0), jnp.zeros((block, width), jnp.float32))
    longest = jnp.max(count)
    _, sums = lax.while_loop(lambda carry: carry[0] < longest, advance, start)
    at = jnp.broadcast_to(gaussian[:, None], (block, width))
    out[image, at, lax.broadcasted_iota(jnp.int32, (block, width), 1)] = sums
