"""Motion metrics."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.metrics.image import Scalar, weighted_mean
from mom3d_jax.types import Array


@jax.jit
def end_point_error(
    flow: Float[Array, "*b h w 2"], reference: Float[Array, "*b h w 2"], weight: Float[Array, "*b h w"] | None = None
) -> Scalar:
    """Mean end-point error |F - F*| in px, Σ w |F - F*| / Σ w (M. Otte and H.-H. Nagel 1994).

    Args:
      flow: what is judged, px per frame.
      reference: the truth, px per frame.
      weight: of each pixel; pixels of weight 0 do not count, NaN or not. All weights 0 give NaN.
    """
    difference = jnp.asarray(flow) - jnp.asarray(reference)
    return weighted_mean(jnp.sqrt(jnp.sum(jnp.square(difference), axis=-1)), weight)
