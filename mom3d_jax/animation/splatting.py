"""Forward warping: softmax splats, one layer over another, and holes filled from coarser scales."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from mom3d_jax.types import Array

NEARER = 40.0
"""β of the softmax exp(-β log z): content 10 % nearer outweighs what it covers 50 to 1, and the 2 % per pixel of a
slanted surface hardly shows."""
SOLID = 0.5
"""Sum of tents from which a pixel counts as fully covered."""
CRACK = 1e-4
"""Weight of the 3×3 neighbourhood's content in a pixel: nothing, unless the pixel has none of its own."""
HOLE = 0.05
"""Cover below which a pixel is a hole."""


class Sources(NamedTuple):
    """Pixels of the still."""

    position: Float[jax.Array, "m 2"]
    color: Float[jax.Array, "m 3"]
    log_depth: Float[jax.Array, " m"]
    alive: Bool[jax.Array, " m"]
    whole: Float[jax.Array, " m"]
    """1, less where the motion has torn the content apart, 0 where it must leave its place to a layer behind."""


class Layer(NamedTuple):
    """A splatted image."""

    color: Float[jax.Array, "h w 3"]
    cover: Float[jax.Array, "h w"]
    """0..1."""
    whole: Float[jax.Array, "h w"]
    """1, less where the content is torn: that share of its cover counts in front of another layer."""
    touched: Bool[jax.Array, "h w"]
    """Whether moving content reaches the pixel."""


def splat(
    sources: Sources, still: Float[Array, "h w 3"], log_depth: Float[Array, "h w"], rests: Bool[Array, "h w"]
) -> Layer:
    """Softmax splat of moving sources among pixels that stay where they are.

        C(q) = Σ_s e^{-β log z_s} b(q - x_s) C_s / Σ_s e^{-β log z_s} b(q - x_s),    b the bilinear tent

    `whole` is a mean under the same weights.

    Args:
      sources: what moves.
      still: colours of the pixels that rest.
      log_depth: log z of the pixels that rest.
      rests: which do; they are sources with zero displacement.
    """
    height, width = rests.shape
    p = sources.position - 0.5
    corner = jnp.floor(p)
    taps = corner[None] + jnp.array([[0, 0], [1, 0], [0, 1], [1, 1]], jnp.float32)[:, None]
    tent = jnp.prod(1 - jnp.abs(p[None] - taps), axis=-1)
    inside = ((taps >= 0) & (taps < jnp.array([width, height], jnp.float32)[None, None])).all(axis=-1)
    tent = jnp.where(inside & sources.alive[None], tent, 0).ravel()
    cell = jnp.where(inside, taps[..., 1] * width + taps[..., 0], 0).astype(jnp.int32).ravel()
    depth = jnp.tile(sources.log_depth, 4)

    # The softmax is taken relative to the nearest content of each pixel, so that it neither overflows nor vanishes.
    nearest = jnp.where(rests, log_depth, jnp.inf).ravel()
    nearest = nearest.at[cell].min(jnp.where(tent > 0, depth, jnp.inf))
    heat = jnp.where(tent > 0, jnp.exp(-NEARER * jnp.where(tent > 0, depth - nearest[cell], 0)), 0)
    rest = rests.ravel().astype(jnp.float32)
    rest_heat = jnp.where(rests.ravel(), jnp.exp(-NEARER * jnp.where(rests.ravel(), log_depth.ravel() - nearest, 0)), 0)
    weight = heat * tent
    content = jnp.concatenate([sources.color, sources.whole[:, None], jnp.ones_like(sources.whole)[:, None]], -1)
    arrived = jnp.concatenate([weight[:, None] * jnp.tile(content, (4, 1)), tent[:, None]], -1)
    moving = jnp.zeros((height * width, 6), jnp.float32).at[cell].add(arrived).reshape(height, width, 6)
    resting = jnp.concatenate([jnp.asarray(still).reshape(-1, 3), jnp.ones((height * width, 2), jnp.float32)], -1)
    staying = jnp.concatenate([rest_heat[:, None] * resting, rest[:, None]], -1).reshape(height, width, 6)
    # Where content spreads, cracks between its pixels belong to it, not to what lies behind.
    around = _mean3(moving)
    total = moving + staying + CRACK * around
    mean = total[..., :4] / jnp.where(total[..., 4:5] > 0, total[..., 4:5], 1)
    cover = jnp.minimum((jnp.maximum(moving[..., 5], around[..., 5]) + staying[..., 5]) / SOLID, 1)
    return Layer(mean[..., :3], cover, mean[..., 3], moving[..., 5] > 0)


def _mean3(image: Float[jax.Array, "h w c"]) -> Float[jax.Array, "h w c"]:
    """3×3 mean, zero beyond the border."""
    total = jax.lax.reduce_window(image, 0.0, jax.lax.add, (3, 3, 1), (1, 1, 1), "SAME")
    return total / 9


def over(front: Layer, back: Layer) -> Layer:
    """`front` where it covers and is whole, `back` where it leaves the image open, torn `front` where both do."""
    own = front.cover * front.whole
    through = (1 - own) * back.cover
    torn = (1 - back.cover) * (front.cover - own)
    cover = own + through + torn
    color = front.color * (own + torn)[..., None] + back.color * through[..., None]
    color = color / jnp.where(cover > 0, cover, 1)[..., None]
    return Layer(color, cover, jnp.ones_like(cover), front.touched | back.touched)


def fill_holes(color: Float[jax.Array, "h w 3"], weight: Float[jax.Array, "h w"]) -> Float[jax.Array, "h w 3"]:
    """Push-pull: pixels of little weight take the weighted mean of the nearest scale that has some."""
    height, width = weight.shape
    if max(height, width) == 1:
        return color
    ceiling = ((0, height % 2), (0, width % 2))
    w = jnp.pad(weight, ceiling)
    c = jnp.pad(color * weight[..., None], (*ceiling, (0, 0)))
    half = (w.shape[0] // 2, w.shape[1] // 2)
    w_sum = w.reshape(half[0], 2, half[1], 2).sum(axis=(1, 3))
    c_sum = c.reshape(half[0], 2, half[1], 2, 3).sum(axis=(1, 3))
    mean = c_sum / jnp.where(w_sum > 0, w_sum, 1)[..., None]
    coarse = fill_holes(mean, jnp.minimum(w_sum, 1))
    smooth = jax.image.resize(coarse, (2 * half[0], 2 * half[1], 3), "linear")[:height, :width]
    return color * weight[..., None] + smooth * (1 - weight[..., None])
