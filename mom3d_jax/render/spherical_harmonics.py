"""View-dependent colour: real spherical harmonics up to degree 3, signs as in 3D Gaussian splatting."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.gaussians.parameters import SH_C0 as C0
from mom3d_jax.types import Array

C1 = 0.4886025119029199
C2 = (1.0925484305920792, -1.0925484305920792, 0.31539156525252005, -1.0925484305920792, 0.5462742152960396)
C3 = (
    -0.5900435899266435,
    2.890611442640554,
    -0.4570457994644658,
    0.3731763325901154,
    -0.4570457994644658,
    1.445305721320277,
    -0.5900435899266435,
)


def basis(directions: Float[Array, "n 3"], degree: int) -> Float[jax.Array, "n b"]:
    """The (degree + 1)² basis functions at unit directions."""
    d = jnp.asarray(directions)
    x, y, z = d[:, 0], d[:, 1], d[:, 2]
    bands = [jnp.full_like(x, C0)]
    if degree >= 1:
        bands += [-C1 * y, C1 * z, -C1 * x]
    if degree >= 2:
        bands += [
            C2[0] * x * y,
            C2[1] * y * z,
            C2[2] * (2 * z * z - x * x - y * y),
            C2[3] * x * z,
            C2[4] * (x * x - y * y),
        ]
    if degree >= 3:
        bands += [
            C3[0] * y * (3 * x * x - y * y),
            C3[1] * x * y * z,
            C3[2] * y * (4 * z * z - x * x - y * y),
            C3[3] * z * (2 * z * z - 3 * x * x - 3 * y * y),
            C3[4] * x * (4 * z * z - x * x - y * y),
            C3[5] * z * (x * x - y * y),
            C3[6] * x * (x * x - 3 * y * y),
        ]
    return jnp.stack(bands, axis=-1)


def sh_colors(
    sh: Float[Array, "n b 3"], means: Float[Array, "n 3"], eye: Float[Array, " 3"]
) -> Float[jax.Array, "n 3"]:
    """Colours seen from `eye`: max(0, 0.5 + Σ sh · basis(direction from the eye to the Gaussian)).

    Raises:
      ValueError: a number of bands that is not 1, 4, 9 or 16.
    """
    sh = jnp.asarray(sh)
    degrees = {1: 0, 4: 1, 9: 2, 16: 3}
    if sh.shape[1] not in degrees:
        raise ValueError(f"{sh.shape[1]} SH bands are not those of a degree; have 1, 4, 9 or 16")
    degree = degrees[sh.shape[1]]
    if degree == 0:
        return jnp.maximum(0.5 + C0 * sh[:, 0], 0.0)
    offset = jnp.asarray(means) - jnp.asarray(eye)[None]
    directions = offset * jax.lax.rsqrt(jnp.maximum(jnp.sum(offset**2, axis=-1, keepdims=True), 1e-20))
    bands = basis(directions, degree)
    return jnp.maximum(0.5 + jnp.einsum("nb,nbc->nc", bands, sh, precision=jax.lax.Precision.HIGHEST), 0.0)
