"""How much a rasterizer has to evaluate, and how fast the bare loop of the XLA backend evaluates here."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float
from mom3d_jax.kernels.binning.extents import MIN_ALPHA
from mom3d_jax.kernels.rasterize import tiles

from benchmarks.timing import measure
from mom3d_jax.types import Array

BLOCK = 1 << 16
"""Gaussians whose rows of pixels are counted at a time."""


def count_pairs(
    means2d: Float[Array, "n 2"],
    conics: Float[Array, "n 3"],
    opacities: Float[Array, " n"],
    depths: Float[Array, " n"],
    *,
    width: int,
    height: int,
) -> int:
    """(pixel, Gaussian) pairs with α ≥ 1/255, without early termination, in float64.

    In a row of pixels, α = o exp(-½ (a x² + 2 b x y + c y²)) reaches 1/255 between two roots in x.
    """
    arrays = [np.asarray(x, np.float64) for x in (means2d, conics, opacities)]
    drawn = (np.asarray(depths) > 0) & (arrays[2] >= MIN_ALPHA)
    means2d, conics, opacities = (x[drawn] for x in arrays)
    (u, v), (a, b, c) = means2d.T, conics.T
    level = 2 * np.log(opacities / MIN_ALPHA)
    reach = np.sqrt(level * a / (a * c - b * b))
    first = np.clip(np.ceil(v - reach - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.floor(v + reach - 0.5), -1, height - 1).astype(np.int64)
    rows = np.maximum(last - first + 1, 0)
    pairs = 0
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        which = np.repeat(np.arange(start, start + len(rows[block])), rows[block])
        ends = np.cumsum(rows[block])
        row = np.arange(len(which)) - (ends - rows[block])[which - start] + first[which]
        y = row + 0.5 - v[which]
        across = np.maximum((b[which] * y) ** 2 - a[which] * (c[which] * y * y - level[which]), 0)
        middle, half = u[which] - b[which] * y / a[which], np.sqrt(across) / a[which]
        left = np.clip(np.ceil(middle - half - 0.5), 0, width)
        right = np.clip(np.floor(middle + half - 0.5), -1, width - 1)
        pairs += int(np.maximum(right - left + 1, 0).sum())
    return pairs


def loop_rate(repeats: int) -> float:
    """Evaluations per second of the forward loop alone: α, transmittance and four channels of one resident chunk."""
    rows = np.random.default_rng(0).uniform(0.1, 1, (9, tiles.BATCH, tiles.CHUNK)).astype(np.float32)
    x, y, a, b, c, *features = (jnp.asarray(r) for r in rows)
    form, rounds = jnp.stack([-a, 0.1 * b, -c], -1), 100

    def run(x: jax.Array) -> Any:
        def chunk(i: Any, carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            T, *sums = carry
            moved = x + 1e-3 * i.astype(jnp.float32)
            alpha = lax.optimization_barrier(tiles.evaluate_alpha(moved, y, form, jnp.full_like(x, -4.0)))
            for g in range(tiles.CHUNK):
                T, weight = tiles.step(T, alpha[:, g])
                sums = [s + weight * f[:, g, None] for s, f in zip(sums, features, strict=True)]
            return T, *sums

        empty = jnp.zeros((tiles.BATCH, tiles.PIXELS))
        return lax.fori_loop(0, rounds, chunk, (empty + 1, *[empty] * 4))

    evaluations = rounds * tiles.BATCH * tiles.CHUNK * tiles.PIXELS
    return evaluations / (1e-3 * measure(run, x, repeats=repeats).ms)
