"""Batches of 3×3 symmetric systems in closed form: LAPACK on a million tiny matrices is mostly call overhead."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float


class Cholesky3(NamedTuple):
    """L of A = L Lᵀ, one array per entry; the diagonal is inverted."""

    i11: Float[jax.Array, "*n"]
    l21: Float[jax.Array, "*n"]
    l31: Float[jax.Array, "*n"]
    i22: Float[jax.Array, "*n"]
    l32: Float[jax.Array, "*n"]
    i33: Float[jax.Array, "*n"]


def factorize(A: Float[jax.Array, "*n 3 3"]) -> Cholesky3:
    """Cholesky factor of positive (semi)definite matrices; pivots are floored at 1e-6 of the trace."""
    floor = jnp.maximum(1e-6 * jnp.trace(A, axis1=-2, axis2=-1), 1e-30)
    i11 = jax.lax.rsqrt(jnp.maximum(A[..., 0, 0], floor))
    l21, l31 = A[..., 1, 0] * i11, A[..., 2, 0] * i11
    i22 = jax.lax.rsqrt(jnp.maximum(A[..., 1, 1] - l21**2, floor))
    l32 = (A[..., 2, 1] - l31 * l21) * i22
    i33 = jax.lax.rsqrt(jnp.maximum(A[..., 2, 2] - l31**2 - l32**2, floor))
    return Cholesky3(i11, l21, l31, i22, l32, i33)


def solve(L: Cholesky3, b: Float[jax.Array, "*n 3"]) -> Float[jax.Array, "*n 3"]:
    """x of L Lᵀ x = b."""
    y1 = b[..., 0] * L.i11
    y2 = (b[..., 1] - L.l21 * y1) * L.i22
    y3 = (b[..., 2] - L.l31 * y1 - L.l32 * y2) * L.i33
    x3 = y3 * L.i33
    x2 = (y2 - L.l32 * x3) * L.i22
    x1 = (y1 - L.l21 * x2 - L.l31 * x3) * L.i11
    return jnp.stack([x1, x2, x3], axis=-1)
