"""The photometric loss over valid pixels (paper eq. 3): (1 - λ) L1 + λ (1 - SSIM)."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.metrics import ssim_map
from mom3d_jax.types import Array


def photometric(
    image: Float[Array, "h w 3"], target: Float[Array, "h w 3"], valid: Float[Array, "h w"], ssim_weight: float
) -> Float[jax.Array, ""]:
    """Loss of one view, a mean over its valid pixels; 0 for a view without any.

    Args:
      image: what was rendered.
      target: what should have been.
      valid: weight of each pixel; pixels of weight 0 have no influence, also not through the SSIM window, because the
        rendering takes the target's place there.
      ssim_weight: λ, 0 for L1 alone.
    """
    image, target, valid = jnp.asarray(image), jnp.asarray(target), jnp.asarray(valid)
    total = jnp.maximum(jnp.sum(valid), 1.0)
    l1 = jnp.sum(valid * jnp.mean(jnp.abs(image - target), axis=-1)) / total
    if ssim_weight == 0:
        return l1
    seen = jnp.where(valid[..., None] > 0, image, target)
    dissimilarity = jnp.sum(valid * (1 - ssim_map(seen, target, padding="same"))) / total
    return (1 - ssim_weight) * l1 + ssim_weight * dissimilarity
