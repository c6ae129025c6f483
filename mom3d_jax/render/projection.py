"""EWA splatting: the 2D Gaussian that a 3D Gaussian leaves in an image (Zwicker et al. 2001; Kerbl et al. 2023, §4).

Σ₂ = J R Σ Rᵀ Jᵀ + 0.3 I px², with J the Jacobian of the projection at the Gaussian's centre.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.cameras import to_camera
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


def project_gaussians(means: Float[Array, "n 3"], covariances: Float[Array, "n 3 3"], camera: Cameras) -> Projected:
    """Project 3D Gaussians into one camera."""
    x = to_camera(camera, means)
    in_front = x[:, 2] > NEAR
    # Off the branch that is not drawn, any safe point keeps the gradients finite.
    z = jnp.where(in_front, x[:, 2], 1.0)
    fx, fy = camera.focal[0], camera.focal[1]
    limit_x, limit_y = GUARD * camera.width / 2 / fx, GUARD * camera.height / 2 / fy
    slope_x, slope_y = jnp.clip(x[:, 0] / z, -limit_x, limit_x), jnp.clip(x[:, 1] / z, -limit_y, limit_y)
    zero = jnp.zeros_like(z)
    J = jnp.stack(
        [jnp.stack([fx / z, zero, -fx * slope_x / z], -1), jnp.stack([zero, fy / z, -fy * slope_y / z], -1)], axis=-2
    )
    JR = jnp.einsum("nij,jk->nik", J, jnp.asarray(camera.rotation), precision=jax.lax.Precision.HIGHEST)
    half = jnp.einsum("nij,njk->nik", JR, covariances, precision=jax.lax.Precision.HIGHEST)
    cov = jnp.einsum("nij,nkj->nik", half, JR, precision=jax.lax.Precision.HIGHEST)
    a, b, c = cov[:, 0, 0] + DILATION, cov[:, 0, 1], cov[:, 1, 1] + DILATION
    determinant = a * c - b * b
    conics = jnp.stack([c, -b, a], axis=-1) / determinant[:, None]
    pixels = jnp.stack([fx * x[:, 0] / z, fy * x[:, 1] / z], axis=-1) + jnp.asarray(camera.centre)[None]
    return Projected(pixels, conics, jnp.where(in_front, x[:, 2], 0.0))
