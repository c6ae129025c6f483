"""Arrows to a dense field: normalised Gaussian weights around the arrows' starts."""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

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
    grid = jnp.asarray(pixel_grid(width, height)).reshape(-1, 2)
    flow = interpolate(hints.start, hints.motion, hints.valid, grid, sigma).reshape(height, width, 2)
    return flow * jnp.asarray(mask)[..., None]


def interpolate(
    start: Float[Array, "k 2"],
    motion: Float[Array, "k c"],
    valid: Bool[Array, " k"],
    places: Float[Array, "n 2"],
    sigma: float | Float[Array, ""],
) -> Float[jax.Array, "n c"]:
    """The weighted mean of `hint_flow` at any places, px."""
    offset = jnp.asarray(places)[:, None] - jnp.asarray(start)[None]
    distance = (offset * offset).sum(-1) / jnp.square(jnp.asarray(sigma, jnp.float32))
    return mean(distance, jnp.asarray(valid), jnp.asarray(motion))


def mean(
    distance: Float[Array, "n k"], valid: Bool[Array, " k"], values: Float[Array, "k c"]
) -> Float[jax.Array, "n c"]:
    """Mean of the valid values under softmax_k(-distance); zero where there are none."""
    shares = jax.nn.softmax(jnp.where(valid[None], -jnp.asarray(distance), -jnp.inf), axis=-1)
    shares = jnp.where(valid[None] & valid.any(), shares, 0.0)
    # A value that is not valid may be NaN, and 0 · NaN is not 0.
    values = jnp.where(valid[:, None], jnp.asarray(values), 0.0)
    return jnp.matmul(shares, values, precision=jax.lax.Precision.HIGHEST)
