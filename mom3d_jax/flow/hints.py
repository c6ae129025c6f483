"""Arrows to a dense field: normalised Gaussian weights around the arrows' starts."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.cameras import pixel_grid
from mom3d_jax.types import Array, Hints


@jax.jit
def hint_flow(hints: Hints, mask: Float[Array, "h w"], sigma: float | Float[Array, ""]) -> Float[jax.Array, "h w 2"]:
    """F(p) = m(p) Σ_k softmax_k(-(|p - p_k| / σ)²) v_k over the valid hints; zero where there is none.

    The weights are those of 3D-Cinemagraphy's controllable animation. In the log domain they never underflow, so far
    from every hint the nearest one decides, where the plain quotient gives 0.

    Args:
      hints: K arrows of one view, px and px per frame.
      mask: 1 where content moves.
      sigma: width of the weights, px.
    """
    height, width = mask.shape
    start, motion, valid = jnp.asarray(hints.start), jnp.asarray(hints.motion), jnp.asarray(hints.valid)
    offset = jnp.asarray(pixel_grid(width, height))[:, :, None] - start[None, None]
    distance = (offset * offset).sum(-1) / jnp.square(jnp.asarray(sigma, jnp.float32))
    some = valid.any()
    weight = jax.nn.softmax(jnp.where(valid[None, None], -distance, -jnp.inf), axis=-1)
    flow = jnp.where(valid[None, None, :, None], weight[..., None] * motion[None, None], 0.0).sum(-2)
    return jnp.where(some, flow, 0.0) * jnp.asarray(mask)[..., None]
