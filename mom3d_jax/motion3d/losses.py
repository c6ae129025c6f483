"""Robust functions of image residuals, and the weights that reweighted least squares gives them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

NOISE = 0.08
"""Standard deviation of what is taken for noise of the flow, px."""
HUBER, CAUCHY = 1.345 * NOISE, 2.385 * NOISE
"""Scales of `huber` and `cauchy`, px: with these factors they are 95 % as efficient as least squares where the noise is
normal (Holland and Welsch, 1977)."""


class Loss(NamedTuple):
    """ρ_ε(r) of one image component of a residual in px, smoothed below ε px, and its weight ρ_ε'(r) / r.

    The weight falls with |r|, so ½ w r² + const majorises ρ_ε and reweighted least squares never raises it (P. Holland
    and R. Welsch, 1977).
    """

    value: Callable[[jax.Array, jax.Array], jax.Array]
    weight: Callable[[jax.Array, jax.Array], jax.Array]


def _huber(r: jax.Array, c: jax.Array) -> jax.Array:
    return jnp.where(jnp.abs(r) > c, jnp.abs(r) - c / 2, jnp.square(r) / (2 * c))


def _cauchy(r: jax.Array, c: jax.Array) -> jax.Array:
    return c / 2 * jnp.log1p(jnp.square(r / c))


LOSSES: dict[str, Loss] = {
    # |r|, below ε its quadratic majoriser r²/2ε + ε/2.
    "l1": Loss(
        value=lambda r, e: jnp.where(jnp.abs(r) > e, jnp.abs(r), jnp.square(r) / (2 * e) + e / 2),
        weight=lambda r, e: 1 / jnp.maximum(jnp.abs(r), e),
    ),
    # With c = max(ε, HUBER): r²/2c up to c, |r| - c/2 beyond.
    "huber": Loss(
        value=lambda r, e: _huber(r, jnp.maximum(e, HUBER)),
        weight=lambda r, e: 1 / jnp.maximum(jnp.abs(r), jnp.maximum(e, HUBER)),
    ),
    # With c = max(ε, CAUCHY): (c/2) log(1 + r²/c²), as stiff as `huber` at 0, and a residual far out hardly pulls. A
    # shrinking ε starts wide, where there is one minimum, and narrows it (graduated non-convexity: A. Blake and
    # A. Zisserman, 1987).
    "cauchy": Loss(
        value=lambda r, e: _cauchy(r, jnp.maximum(e, CAUCHY)),
        weight=lambda r, e: 1 / (jnp.maximum(e, CAUCHY) * (1 + jnp.square(r / jnp.maximum(e, CAUCHY)))),
    ),
    "l2": Loss(value=lambda r, e: jnp.square(r) / 2, weight=lambda r, e: jnp.ones_like(r)),
}
