"""Robust functions of image residuals, and the weights that reweighted least squares gives them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mom3d_jax.types import Array

NOISE = 0.08
"""Standard deviation of the noise of a flow that problems are stated for unless they say otherwise, px per axis."""


class Loss(NamedTuple):
    """ρ_c(r) of one image component of a residual in px, of width c px, and its weight ρ_c'(r) / r.

    The weight falls with |r|, so ½ w r² + const majorises ρ_c and reweighted least squares never raises it (P. Holland
    and R. Welsch, 1977).
    """

    value: Callable[[jax.Array, jax.Array], jax.Array]
    weight: Callable[[jax.Array, jax.Array], jax.Array]
    scale: float
    """Least width in standard deviations of the noise: with it the loss is 95 % as efficient as least squares where the
    noise is normal (Holland and Welsch). 0: any width, which then only smooths."""


def _huber(r: jax.Array, c: jax.Array) -> jax.Array:
    return jnp.where(jnp.abs(r) > c, jnp.abs(r) - c / 2, jnp.square(r) / (2 * c))


def _pull_l1(r: jax.Array, c: jax.Array) -> jax.Array:
    return 1 / jnp.maximum(jnp.abs(r), c)


LOSSES: dict[str, Loss] = {
    # |r|, below c its quadratic majoriser r²/2c + c/2.
    "l1": Loss(lambda r, c: _huber(r, c) + c / 2, _pull_l1, 0.0),
    # r²/2c up to c, |r| - c/2 beyond.
    "huber": Loss(_huber, _pull_l1, 1.345),
    # (c/2) log(1 + r²/c²), as stiff as `huber` at 0, and a residual far out hardly pulls. A shrinking width starts
    # wide, where there is one minimum, and narrows it (graduated non-convexity: A. Blake and A. Zisserman, 1987).
    "cauchy": Loss(
        lambda r, c: c / 2 * jnp.log1p(jnp.square(r / c)), lambda r, c: 1 / (c * (1 + jnp.square(r / c))), 2.385
    ),
    "l2": Loss(lambda r, c: jnp.square(r) / 2, lambda r, c: jnp.ones_like(r), 0.0),
}


def width(loss: str, epsilon: float | Array, noise: float | Array) -> jax.Array:
    """c of a loss: its smoothing, or what the noise asks for where that is more.

    Args:
      loss: a key of `LOSSES`.
      epsilon: smoothing, px.
      noise: standard deviation, px.
    """
    return jnp.maximum(jnp.float32(epsilon), LOSSES[loss].scale * jnp.float32(noise))
