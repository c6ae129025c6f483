"""Dense rasterizer: every pixel looks at every Gaussian. Slow, readable, differentiated by JAX: the truth.

For a pixel with centre p and the Gaussians i in order of depth (3D Gaussian Splatting, Kerbl et al. 2023, eq. 3;
thresholds of the released CUDA kernel):

    α_i = min(0.99, o_i exp(-½ (p - μ_i)ᵀ Q_i (p - μ_i))),   0 where below 1/255
    T_i = Π_{j<i} (1 - α_j)                                 the pixel ends before the first i with T_i (1 - α_i) < 10⁻⁴
    A   = Σ_i f_i α_i T_i

The derivative of the cap is exact: beyond 0.99 nothing flows back to o and the geometry. The form of a positive
definite Q is negative only by rounding; it then counts as zero.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from ..binning.extents import MIN_ALPHA
from ..binning.op import count

MAX_ALPHA = 0.99
MIN_TRANSMITTANCE = 1e-4


def blend_pixel(
    pixel: Float[Array, "2"],
    means2d: Float[Array, "n 2"],
    conics: Float[Array, "n 3"],
    features: Float[Array, "n k"],
    opacities: Float[Array, " n"],
) -> tuple[Float[Array, " k"], Float[Array, ""]]:
    """Blend Gaussians sorted by depth into one pixel: (Σ f α T, T_final)."""
    dx, dy = (pixel[None] - means2d).T
    a, b, c = conics.T
    alpha = opacities * jnp.exp(jnp.minimum(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy, 0))
    alpha = jnp.where(alpha >= MIN_ALPHA, jnp.minimum(alpha, MAX_ALPHA), 0)
    alpha = jnp.where(jnp.cumprod(1 - jax.lax.stop_gradient(alpha)) >= MIN_TRANSMITTANCE, alpha, 0)
    after = jnp.cumprod(1 - alpha)
    before = jnp.concatenate([jnp.ones_like(after[:1]), after])
    return (alpha * before[:-1]) @ features, before[-1]


def blend_image(
    means2d: Float[Array, "n 2"],
    conics: Float[Array, "n 3"],
    features: Float[Array, "n k"],
    opacities: Float[Array, " n"],
    depths: Float[Array, " n"],
    *,
    width: int,
    height: int,
) -> tuple[Float[Array, "h w k"], Float[Array, "h w"]]:
    """Blend Gaussians into an image, in any floating dtype.

    Args:
      means2d: centres in px.
      conics: (a, b, c) of the inverse 2D covariances, px⁻².
      features: what is blended.
      opacities: in [0, 1]; 0 for Gaussians that are not to be drawn.
      depths: their order, ties by index.
      width: image width in px.
      height: image height in px.

    Returns:
      Σ f α T and the transmittance that is left, per pixel.
    """
    order = jnp.argsort(depths, stable=True)
    gaussians = [x[order] for x in (means2d, conics, features, opacities)]
    dtype = means2d.dtype

    # One image row at a time, computed again in the backward pass: memory for width · n pairs, not height · width · n.
    @jax.checkpoint
    def row(y: Float[Array, ""]) -> tuple[Float[Array, "w k"], Float[Array, " w"]]:
        pixels = jnp.stack([jnp.arange(width, dtype=dtype) + 0.5, jnp.full(width, y)], -1)
        return jax.vmap(lambda p: blend_pixel(p, *gaussians))(pixels)

    return jax.lax.map(row, jnp.arange(height, dtype=dtype) + 0.5)


def blend(
    means2d: Float[Array, "n 2"],
    conics: Float[Array, "n 3"],
    features: Float[Array, "n k"],
    opacities: Float[Array, " n"],
    depths: Float[Array, " n"],
    *,
    width: int,
    height: int,
    capacity: int,
    deterministic: bool,
) -> tuple[Float[Array, "h w k"], Float[Array, "h w"], Int[Array, ""]]:
    """`blend_image` behind the interface of the backends; needs no capacity."""
    del capacity, deterministic
    blended, transmittance = blend_image(means2d, conics, features, opacities, depths, width=width, height=height)
    return blended, transmittance, count(means2d, conics, opacities, width=width, height=height)
