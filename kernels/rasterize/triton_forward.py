"""Triton kernel of the forward pass, and the walk over a tile that it shares with the backward pass.

One program per tile, image after image, with the pixels side by side in the threads. The values of a Gaussian are
scalars, the same for all pixels; a few Gaussians are loaded at a time, so that the latency of memory is paid once for
all of them. T and the sums stay in registers. Both passes do the same operations to T, so that the backward pass stops
where the forward pass did.

Written in what the Triton lowering of Pallas knows: sizes that are powers of two, no slices of values, no products over
an axis, loops unrolled by hand.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl
from jaxtyping import Bool, Float, Int

from ..binning.extents import MIN_ALPHA
from ..binning.op import TILE
from .reference import MAX_ALPHA, MIN_TRANSMITTANCE

PIXELS = TILE * TILE
FORM = 6
"""Columns of the table before the features: mean, quadratic form, exponent."""


class Lists(NamedTuple):
    """References to the lists of all tiles and to the table of all Gaussians, each of every image or of all of them."""

    starts: Any
    """[images, tiles], as the next two in `Bins`."""
    lengths: Any
    """[images, tiles]."""
    gaussians: Any
    """[images, capacity]."""
    table: Any
    """[images, n, 6 + k], see `tiles.gaussian_table`."""

    @property
    def channels(self) -> int:
        """How many features there are."""
        return self.table.shape[2] - FORM


class Tile(NamedTuple):
    """What a program works on."""

    image: Int[Array, ""]
    number: Int[Array, ""]
    """In its image."""
    x: Float[Array, " p"]
    """Pixel centres in px."""
    y: Float[Array, " p"]
    center_x: Float[Array, ""]
    center_y: Float[Array, ""]
    begin: Int[Array, ""]
    """Its part of the lists."""
    end: Int[Array, ""]


class Gaussian(NamedTuple):
    """One Gaussian: scalars."""

    x: Float[Array, ""]
    y: Float[Array, ""]
    form: tuple[Float[Array, ""], ...]
    exponent: Float[Array, ""]
    features: tuple[Float[Array, ""], ...]


def row_of(image: Int[Array, ""], reference: Any) -> Int[Array, ""] | int:
    """Where a reference has what belongs to an image: in a row of its own, or in the one row that all share."""
    return image if reference.shape[0] > 1 else 0


def this_tile(lists: Lists, columns: int) -> Tile:
    """The tile of this program, in an image with so many tiles per row."""
    tiles = lists.starts.shape[1]
    image, number = lax.div(pl.program_id(0), tiles), lax.rem(pl.program_id(0), tiles)
    left, top = ((i * TILE).astype(jnp.float32) for i in (lax.rem(number, columns), lax.div(number, columns)))
    pixel = lax.iota(jnp.int32, PIXELS)
    x, y = (i.astype(jnp.float32) + 0.5 for i in (pixel % TILE, pixel // TILE))
    row = row_of(image, lists.starts)
    begin = lists.starts[row, number]
    end = begin + lists.lengths[row, number]
    return Tile(image, number, left + x, top + y, left + TILE / 2, top + TILE / 2, begin, end)


def load_gaussians(lists: Lists, tile: Tile, place: Int[Array, ""], number: int) -> list[Gaussian]:
    """The Gaussians at `place`, `place + 1`, …; behind the end of the list the last one again, with opacity 0."""
    gaussians: list[Gaussian] = []
    listed, values = row_of(tile.image, lists.gaussians), row_of(tile.image, lists.table)
    for row in [lists.gaussians[listed, jnp.minimum(place + g, tile.end - 1)] for g in range(number)]:
        x, y, a, b, c, exponent, *features = (lists.table[values, row, k] for k in range(FORM + lists.channels))
        exponent = jnp.where(place + len(gaussians) < tile.end, exponent, -jnp.inf)
        gaussians.append(Gaussian(x, y, (a, b, c), exponent, tuple(features)))
    return gaussians


def evaluate_alpha(tile: Tile, gaussian: Gaussian) -> Float[Array, " p"]:
    """α at the pixels; 0 below the threshold, capped above."""
    dx, dy = tile.x - gaussian.x, tile.y - gaussian.y
    a, b, c = gaussian.form
    alpha = jnp.exp2(jnp.minimum(dx * (a * dx + b * dy) + c * dy * dy, 0) + gaussian.exponent)
    return jnp.where(alpha >= MIN_ALPHA, jnp.minimum(alpha, MAX_ALPHA), 0)


def step(T: Float[Array, " p"], alpha: Float[Array, " p"]) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
    """Transmittance after a Gaussian and its weight α T. A pixel that has ended holds -T."""
    after = T * (1 - alpha)
    goes_on = after >= MIN_TRANSMITTANCE
    return jnp.where(goes_on, after, -jnp.abs(T)), jnp.where(goes_on, alpha * T, 0)


def unfinished(tile: Tile, place: Int[Array, ""], T: Float[Array, " p"]) -> Bool[Array, ""]:
    """Whether the list goes on and a pixel does."""
    return (place < tile.end) & (jnp.max(T) > 0)


def forward(unroll: int, columns: int, starts: Any, lengths: Any, gaussians: Any, table: Any, out: Any) -> None:
    """Blend one tile.

    Args:
      unroll: Gaussians per pass of the loop.
      columns: tiles per row of the image.
      starts: as the next three in `Lists`.
      lengths: see there.
      gaussians: see there.
      table: see there.
      out: reference to [images, tiles, 1 + k, pixels]: T_final, Σ f α T.
    """
    lists = Lists(starts, lengths, gaussians, table)
    tile = this_tile(lists, columns)

    def advance(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        place, T, *sums = carry
        for gaussian in load_gaussians(lists, tile, place, unroll):
            T, weight = step(T, evaluate_alpha(tile, gaussian))
            sums = [s + weight * f for s, f in zip(sums, gaussian.features, strict=True)]
        return (place + unroll, T, *sums)

    black = (jnp.zeros(PIXELS, jnp.float32),) * lists.channels
    start = (tile.begin, jnp.ones(PIXELS, jnp.float32), *black)
    _, T, *sums = lax.while_loop(lambda carry: unfinished(tile, *carry[:2]), advance, start)
    pixel = lax.iota(jnp.int32, PIXELS)
    for k, values in enumerate([jnp.abs(T), *sums]):
        out[tile.image, tile.number, k, pixel] = values
