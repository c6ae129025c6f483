"""Which Gaussians are drawn at all, and which tiles each one can reach.

A Gaussian with opacity o reaches α ≥ 1/255 inside the ellipse (p - μ)ᵀ Q (p - μ) ≤ 2 ln(255 o), whose bounding box has
the half sizes √(2 ln(255 o) Σxx) and √(2 ln(255 o) Σyy) with Σ = Q⁻¹: a faint Gaussian has a small box, and one that
falls between pixel centres has none.
"""

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int

MIN_ALPHA = 1 / 255
# Boxes are a little larger than the exact ones, so that rounding can only add a tile without a visible pixel.
DETERMINANT_SLACK = 1e-6
EXPONENT_SLACK = 1e-4
POSITION_SLACK = 1e-5


def drawable(
    means2d: Float[Array, "n 2"],
    conics: Float[Array, "n 3"],
    opacities: Float[Array, " n"],
    depths: Float[Array, " n"],
    features: Float[Array, "n k"] | None = None,
) -> tuple[Bool[Array, " n"], Int[Array, ""]]:
    """Which Gaussians take part, and how many were culled because they are broken.

    Gaussians fainter than 1/255 or not in front of the camera take no part, whatever their other values, and are not
    counted. Of the others, those with a non-finite value or a conic that is not positive definite are culled: counted.
    """
    hidden = (opacities < MIN_ALPHA) | (depths <= 0)
    a, b, c = conics[:, 0], conics[:, 1], conics[:, 2]
    sound = (a > 0) & (c > 0) & (a * c > b * b)
    for x in (means2d, conics, opacities[:, None], depths[:, None], *([] if features is None else [features])):
        sound &= jnp.isfinite(x).all(-1)
    return sound & ~hidden, (~sound & ~hidden).sum(dtype=jnp.int32)


def tile_rectangles(
    means2d: Float[Array, "n 2"],
    conics: Float[Array, "n 3"],
    opacities: Float[Array, " n"],
    *,
    width: int,
    height: int,
    tile: int,
) -> tuple[Int[Array, "n 2"], Int[Array, "n 2"]]:
    """First tile (x, y) and number of tiles (x, y) of each Gaussian; a size of zero where no pixel can be reached.

    Expects finite values. Gaussians with an opacity below 1/255 reach nothing.
    """
    a, b, c = conics[:, 0], conics[:, 1], conics[:, 2]
    ac, bb = a * c, b * b
    # The determinant of a needle is a small difference of large numbers. Its lower bound is used; where that is not
    # positive the box is unbounded, that is, the whole image.
    determinant = jnp.maximum(ac - bb - DETERMINANT_SLACK * (ac + bb), jnp.finfo(a.dtype).tiny)
    reach = 2 * jnp.maximum(jnp.log(jnp.maximum(opacities, MIN_ALPHA) * 255), 0) + EXPONENT_SLACK
    half = jnp.sqrt(reach[:, None] * (jnp.stack([c, a], -1) / determinant[:, None]))
    half += POSITION_SLACK * (1 + jnp.abs(means2d))
    size = jnp.array([width, height], means2d.dtype)[None]
    # Pixel k is inside where mean - half <= k + 0.5 <= mean + half. Clipped as floats: int32 cannot hold every float.
    first = jnp.clip(jnp.ceil(means2d - half - 0.5), 0, size).astype(jnp.int32)
    last = jnp.clip(jnp.floor(means2d + half - 0.5), -1, size - 1).astype(jnp.int32)
    reached = (last >= first).all(-1) & (opacities >= MIN_ALPHA)
    first_tile, last_tile = first // tile, last // tile
    return lax.stop_gradient((first_tile, jnp.where(reached[:, None], last_tile - first_tile + 1, 0)))
