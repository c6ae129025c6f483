"""How the XLA backend walks over tiles: what its forward and backward passes share.

Tiles are sorted by the length of their lists and walked in batches; a step of a batch blends the next `CHUNK` Gaussians
of each of its tiles. A batch has enough pixels for XLA to split its operations over the cores of a CPU.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Int

from ..binning.extents import MIN_ALPHA
from ..binning.op import TILE, Bins, tile_grid
from .reference import MAX_ALPHA, MIN_TRANSMITTANCE

PIXELS = TILE * TILE
BATCH = 256
CHUNK = 16
LOG2E = 1 / math.log(2)
MIN_EXPONENT = math.log2(MIN_ALPHA)
# Pixel centres relative to the tile's centre, row-major. As constants: computed, they cost more than α itself.
PIXEL_Y, PIXEL_X = (np.mgrid[:TILE, :TILE].reshape(2, PIXELS) - (TILE - 1) / 2).astype(np.float32)


class Image(NamedTuple):
    """Static description of a rendering."""

    width: int
    height: int
    capacity: int
    deterministic: bool = True
    """Whether gradients are added up in a fixed order on every platform."""

    @property
    def grid(self) -> tuple[int, int]:
        """Columns and rows of tiles."""
        return tile_grid(self.width, self.height, TILE)


class Work(NamedTuple):
    """Tiles by decreasing length of their lists. Padding has length 0 and numbers beyond the grid."""

    tiles: Int[Array, "*b t"]
    starts: Int[Array, "*b t"]
    lengths: Int[Array, "*b t"]


def in_batches(bins: Bins) -> Work:
    """Sort the tiles and split them into arrays [batches, tiles] of about equal batches."""
    tiles = bins.lengths.shape[0]
    batches = -(-tiles // BATCH)
    batch = -(-tiles // batches)
    order = jnp.argsort(-bins.lengths).astype(jnp.int32)
    spare = batches * batch - tiles
    numbers = jnp.concatenate([order, tiles + lax.iota(jnp.int32, spare)])
    columns = [numbers, *(jnp.pad(x[order], (0, spare)) for x in (bins.starts, bins.lengths))]
    return Work(*(c.reshape(batches, batch) for c in columns))


def gaussian_table(
    means2d: Float[Array, "n 2"],
    conics: Float[Array, "n 3"],
    features: Float[Array, "n k"],
    opacities: Float[Array, " n"],
) -> Float[Array, "n 6+k"]:
    """One row per Gaussian: mean, (A, B, C) and o such that α = 2^(A dx² + B dx dy + C dy² + o), features."""
    scale = jnp.array([[-0.5 * LOG2E, -LOG2E, -0.5 * LOG2E]], jnp.float32)
    return jnp.concatenate([means2d, conics * scale, jnp.log2(opacities)[:, None], features], -1)


def to_tiles(pixels: Float[Array, "h w"], image: Image) -> Float[Array, "tiles p"]:
    """Pixels by tile, zero beyond the border of the image."""
    columns, rows = image.grid
    padded = jnp.pad(pixels, ((0, rows * TILE - image.height), (0, columns * TILE - image.width)))
    return padded.reshape(rows, TILE, columns, TILE).swapaxes(1, 2).reshape(rows * columns, PIXELS)


def from_tiles(tiles: Float[Array, "tiles p"], image: Image) -> Float[Array, "h w"]:
    """Inverse of `to_tiles`."""
    columns, rows = image.grid
    pixels = tiles.reshape(rows, columns, TILE, TILE).swapaxes(1, 2).reshape(rows * TILE, columns * TILE)
    return pixels[: image.height, : image.width]


class Chunk(NamedTuple):
    """The next `CHUNK` Gaussians of every tile of a batch."""

    place: Int[Array, "t g"]
    """In the lists; their capacity where a list has ended."""
    x: Float[Array, "t g"]
    """Mean relative to the tile's centre."""
    y: Float[Array, "t g"]
    features: Float[Array, "t g k"]
    alpha: Float[Array, "t g p"]


def evaluate_alpha(
    x: Float[Array, "t g"], y: Float[Array, "t g"], form: Float[Array, "t g 3"], exponent: Float[Array, "t g"]
) -> Float[Array, "t g p"]:
    """α at all pixels of a tile for means relative to its centre; 0 below the threshold, capped above."""
    dx = PIXEL_X[None, None] - x[..., None]
    dy = PIXEL_Y[None, None] - y[..., None]
    a, b, c = form[..., 0:1], form[..., 1:2], form[..., 2:3]
    exponent = jnp.minimum(dx * (a * dx + b * dy) + c * dy * dy, 0) + exponent[..., None]
    # Not compared with α itself: used once, α is one operation with what follows.
    return jnp.where(exponent >= MIN_EXPONENT, jnp.minimum(jnp.exp2(exponent), MAX_ALPHA), 0)


def load_chunk(table: Float[Array, "n 6+k"], bins: Bins, work: Work, index: Int[Array, ""], columns: int) -> Chunk:
    """Gather chunk `index` of every tile and evaluate its α at all pixels."""
    number = index * CHUNK + lax.iota(jnp.int32, CHUNK)[None]
    listed = number < work.lengths[:, None]
    capacity = bins.gaussians.shape[0]
    place = jnp.where(listed, work.starts[:, None] + number, capacity)
    rows = table[bins.gaussians.at[place].get(mode="clip")]
    x = rows[..., 0] - (work.tiles % columns * TILE + TILE // 2).astype(jnp.float32)[:, None]
    y = rows[..., 1] - (work.tiles // columns * TILE + TILE // 2).astype(jnp.float32)[:, None]
    exponent = jnp.where(listed, rows[..., 5], -jnp.inf)
    alpha = evaluate_alpha(x, y, rows[..., 2:5], exponent)
    return Chunk(place, x, y, rows[..., 6:], alpha)


def step(T: Float[Array, "t p"], alpha: Float[Array, "t p"]) -> tuple[Float[Array, "t p"], Float[Array, "t p"]]:
    """Π (1 - α) with a Gaussian included, and the weight α T of the Gaussian.

    The product goes on behind the end of a pixel. It can only fall, so that being below the limit says that the pixel
    has ended; to carry this in any other way costs more than the product.
    """
    after = T * (1 - alpha)
    return after, jnp.where(after >= MIN_TRANSMITTANCE, alpha * T, 0)


State = TypeVar("State")


def walk(
    work: Work, blend: Callable[[Array, Array, State], tuple[Array, State]], state: State
) -> tuple[Float[Array, "t p"], State]:
    """Blend chunk after chunk of one batch until its lists or all its pixels have ended.

    Returns T as `step` leaves it, and the state.

    Args:
      work: one batch, longest list first.
      blend: (index, T, state) to (T, state) over one chunk.
      state: what `blend` carries besides T.
    """
    chunks = -(-work.lengths[0] // CHUNK)

    def unfinished(carry: tuple[Array, Array, State]) -> Array:
        return (carry[0] < chunks) & (carry[1].max() >= MIN_TRANSMITTANCE)

    def advance(carry: tuple[Array, Array, State]) -> tuple[Array, Array, State]:
        index, T, state = carry
        return (index + 1, *blend(index, T, state))

    T = jnp.ones((work.tiles.shape[0], PIXELS), jnp.float32)
    _, T, state = lax.while_loop(unfinished, advance, (jnp.int32(0), T, state))
    return T, state
