"""Symmetric 3×3 systems, one per point, in closed form: LAPACK on a million tiny matrices is mostly call overhead."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.motion3d.priors import Vector


class Cholesky3(NamedTuple):
    """L of A = L Lᵀ, one array per entry; the diagonal is inverted."""

    i11: Float[jax.Array, "*n"]
    l21: Float[jax.Array, "*n"]
    l31: Float[jax.Array, "*n"]
    i22: Float[jax.Array, "*n"]
    l32: Float[jax.Array, "*n"]
    i33: Float[jax.Array, "*n"]


def factorize(entries: Vector, ridge: Float[jax.Array, "*n"] | float = 0.0) -> Cholesky3:
    """Cholesky factor of positive (semi)definite A + ridge · 1; pivots are floored at 1e-6 of the trace.

    Args:
      entries: the six `priors.UPPER` entries of A.
      ridge: added to the diagonal.
    """
    a11, a12, a13, a22, a23, a33 = entries
    a11, a22, a33 = a11 + ridge, a22 + ridge, a33 + ridge
    floor = jnp.maximum(1e-6 * (a11 + a22 + a33), 1e-30)
    i11 = jax.lax.rsqrt(jnp.maximum(a11, floor))
    l21, l31 = a12 * i11, a13 * i11
    i22 = jax.lax.rsqrt(jnp.maximum(a22 - l21**2, floor))
    l32 = (a23 - l31 * l21) * i22
    i33 = jax.lax.rsqrt(jnp.maximum(a33 - l31**2 - l32**2, floor))
    return Cholesky3(i11, l21, l31, i22, l32, i33)


def solve(L: Cholesky3, b: Vector) -> Vector:
    """x of L Lᵀ x = b."""
    y1 = b[0] * L.i11
    y2 = (b[1] - L.l21 * y1) * L.i22
    y3 = (b[2] - L.l31 * y1 - L.l32 * y2) * L.i33
    x3 = y3 * L.i33
    x2 = (y2 - L.l32 * x3) * L.i22
    x1 = (y1 - L.l21 * x2 - L.l31 * x3) * L.i11
    return (x1, x2, x3)


def times(entries: Vector, x: Vector) -> Vector:
    """A x."""
    a11, a12, a13, a22, a23, a33 = entries
    return (
        a11 * x[0] + a12 * x[1] + a13 * x[2],
        a12 * x[0] + a22 * x[1] + a23 * x[2],
        a13 * x[0] + a23 * x[1] + a33 * x[2],
    )


def conjugate_gradients(
    apply: Callable[[Vector], Vector], precondition: Callable[[Vector], Vector], b: Vector, iterations: int
) -> Vector:
    """x of A x = b after a fixed number of preconditioned steps from zero; exact zeros stay zero.

    M. Hestenes and E. Stiefel, 1952. A and the preconditioner must be symmetric and positive (semi)definite.
    """

    def inner(x: Vector, y: Vector) -> jax.Array:
        return jnp.sum(x[0] * y[0] + x[1] * y[1] + x[2] * y[2])

    def ahead(x: Vector, length: jax.Array, y: Vector) -> Vector:
        return tuple(p + length * q for p, q in zip(x, y, strict=True))

    def divide(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(b > 0, a / jnp.where(b > 0, b, 1), 0)

    def advance(_: int, carry: Any) -> Any:
        x, r, p, rz = carry
        Ap = apply(p)
        length = divide(rz, inner(p, Ap))
        x, r = ahead(x, length, p), ahead(r, -length, Ap)
        z = precondition(r)
        rz_next = inner(r, z)
        return x, r, ahead(z, divide(rz_next, rz), p), rz_next

    z = precondition(b)
    start = (tuple(jnp.zeros_like(x) for x in b), b, z, inner(b, z))
    return jax.lax.fori_loop(0, iterations, advance, start)[0]
