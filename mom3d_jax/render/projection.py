"""EWA splatting: the 2D Gaussian that a 3D Gaussian leaves in an image (Zwicker et al. 2001; Kerbl et al. 2023, §4).

Σ₂ = J R Σ Rᵀ Jᵀ + 0.3 I px², with J the Jacobian of the projection at the Gaussian's centre. With Σ = Q S² Qᵀ that is
H Hᵀ + 0.3 I, H = J R Q S.

A CPU computes a Gaussian in a few nanoseconds where one array holds one number of all Gaussians, and ten times longer
through arrays of small matrices. XLA also repeats what several results share, except divisions: quantities that many
others use end in one, in both directions, so that they are computed once.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.gaussians.parameters import rotation_entries
from mom3d_jax.types import Array, Cameras

NEAR = 0.2
"""Gaussians nearer than this (world units) are not drawn."""
DILATION = 0.3
"""Added to the diagonal of the 2D covariance, px²: a low-pass filter of about one pixel."""
GUARD = 1.3
"""The Jacobian is taken no farther off-axis than this multiple of the half field of view."""


class Projected(NamedTuple):
    """2D Gaussians of one view."""

    means: Float[jax.Array, "n 2"]
    """px, pixel k centred at k + 0.5."""
    conics: Float[jax.Array, "n 3"]
    """(a, b, c) of the inverse covariance [[a, b], [b, c]], px⁻²."""
    depths: Float[jax.Array, " n"]
    """z in the camera; 0 for Gaussians nearer than NEAR, which the rasterizer leaves out."""


def project_gaussians(
    means: Float[Array, "n 3"], scales: Float[Array, "n 3"], quaternions: Float[Array, "n 4"], camera: Cameras
) -> Projected:
    """Project 3D Gaussians into one camera.

    Args:
      means: centres, world units.
      scales: standard deviations along the principal axes, world units.
      quaternions: (w, x, y, z), normalised here; a zero quaternion is no rotation and gets a zero gradient.
      camera: one camera, no leading axis.
    """
    m, R, shift = columns(means), jnp.asarray(camera.rotation), jnp.asarray(camera.translation)
    x, y, depth = columns(jnp.stack([_dot(m, R[i]) + shift[i] for i in range(3)], axis=-1))
    in_front = depth > NEAR
    # Off the branch that is not drawn, any safe point keeps the gradients finite.
    z = jnp.where(in_front, depth, 1.0)
    (fx, fy), (cx, cy) = camera.focal, camera.centre
    slope_x, slope_y = x / z, y / z
    limit_x, limit_y = GUARD * camera.width / 2 / fx, GUARD * camera.height / 2 / fy
    near_x, near_y = jnp.clip(slope_x, -limit_x, limit_x), jnp.clip(slope_y, -limit_y, limit_y)
    # z J R; the division comes last.
    zJR = [[fx * (R[0, k] - near_x * R[2, k]) for k in range(3)], [fy * (R[1, k] - near_y * R[2, k]) for k in range(3)]]
    Q, S = rotation_entries(*unit_columns(quaternions)), columns(scales)
    H = [[(row[0] * Q[0][k] + row[1] * Q[1][k] + row[2] * Q[2][k]) * S[k] / z for k in range(3)] for row in zJR]
    a, b, c = _dot(H[0], H[0]) + DILATION, _dot(H[0], H[1]), _dot(H[1], H[1]) + DILATION
    determinant = a * c - b * b
    conics = jnp.stack([c / determinant, -b / determinant, a / determinant], axis=-1)
    pixels = jnp.stack([fx * slope_x + cx, fy * slope_y + cy], axis=-1)
    return Projected(pixels, conics, jnp.where(in_front, depth, 0.0))


Column = Float[jax.Array, " n"]


def _dot(u: list[Column], v: list[Column] | Float[jax.Array, " 3"]) -> Column:
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


@jax.custom_vjp
def columns(rows: Float[Array, "n k"]) -> list[Column]:
    """The k numbers of all rows as k arrays. Their gradients come together again without repeated work."""
    rows = jnp.asarray(rows)
    return [rows[:, k] for k in range(rows.shape[1])]


columns.defvjp(lambda rows: (columns(rows), rows), lambda rows, gradients: (_gather(rows, gradients),))


@jax.custom_vjp
def unit_columns(quaternions: Float[Array, "n 4"]) -> list[Column]:
    """(w, x, y, z) of the normalised quaternions."""
    return _over_norm(columns(quaternions), _norm(columns(quaternions)))


def _unit_backward(quaternions: Float[Array, "n 4"], gradients: list[Column]) -> tuple[Float[jax.Array, "n 4"]]:
    """(I - u uᵀ) g / |q|."""
    q = columns(quaternions)
    u, g = _over_norm(q, _norm(q)), _over_norm(gradients, _norm(q))
    along = _dot(u, g) + u[3] * g[3]
    return (_gather(quaternions, [slope - unit * along for slope, unit in zip(g, u, strict=True)]),)


unit_columns.defvjp(lambda quaternions: (unit_columns(quaternions), quaternions), _unit_backward)


def _norm(q: list[Column]) -> Column:
    return jnp.sqrt(jnp.maximum(_dot(q, q) + q[3] * q[3], 1e-20))


def _over_norm(q: list[Column], norm: Column) -> list[Column]:
    return [x / norm for x in q]


def _gather(rows: Float[Array, "n k"], values: list[Column]) -> Float[jax.Array, "n k"]:
    """Columns to rows of the shape of `rows`, whose values do not matter."""

    def one_by_one(rows: jax.Array, *values: Column) -> jax.Array:
        # On a CPU, XLA would compute all columns in one loop, number by number and with everything they share anew.
        for k, column in enumerate(values):
            rows = jax.lax.dynamic_update_slice(rows, column[:, None], (0, k))
        return rows

    def together(rows: jax.Array, *values: Column) -> jax.Array:
        return jnp.stack(values, axis=-1)

    return jax.lax.platform_dependent(jnp.asarray(rows), *values, cpu=one_by_one, default=together)
