"""Where the pixels of a still go: Euler integration of one flow that is constant in time."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from mom3d_jax.types import Array


class Trajectories(NamedTuple):
    """Positions after k = 0..T frames, px; pixel k is centred at k + 0.5."""

    position: Float[jax.Array, "t+1 m 2"]
    alive: Bool[jax.Array, "t+1 m"]
    """False from the frame on in which the path leaves the ground it may run on."""


def sample(image: Float[Array, "h w c"], position: Float[Array, "m 2"]) -> Float[jax.Array, "m c"]:
    """Bilinear look-up; positions beyond the outermost pixel centres read the border."""
    image = jnp.asarray(image)
    height, width = image.shape[:2]
    p = jnp.clip(position - 0.5, 0, jnp.array([[width - 1, height - 1]], jnp.float32))
    corner = jnp.minimum(jnp.floor(p), jnp.array([[width - 2, height - 2]], jnp.float32))
    fraction = p - corner
    column, row = corner[:, 0].astype(jnp.int32), corner[:, 1].astype(jnp.int32)
    fx, fy = fraction[:, :1], fraction[:, 1:]
    top = image[row, column] * (1 - fx) + image[row, column + 1] * fx
    bottom = image[row + 1, column] * (1 - fx) + image[row + 1, column + 1] * fx
    return top * (1 - fy) + bottom * fy


def advect(
    flow: Float[Array, "h w 2"], start: Float[Array, "m 2"], ground: Bool[Array, "h w"], frames: int
) -> Trajectories:
    """x(k + 1) = x(k) + F(x(k)) for `frames` steps.

    Args:
      flow: px per frame; pass its negative to go back in time.
      start: positions at k = 0.
      ground: where paths may run. One that leaves it or the image is over for good.
      frames: number of steps.
    """
    height, width = flow.shape[:2]
    ground = jnp.asarray(ground)

    def on_ground(x: jax.Array) -> jax.Array:
        column, row = jnp.floor(x[:, 0]).astype(jnp.int32), jnp.floor(x[:, 1]).astype(jnp.int32)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        return inside & ground[jnp.clip(row, 0, height - 1), jnp.clip(column, 0, width - 1)]

    def advance(now: Trajectories, _: None) -> tuple[Trajectories, Trajectories]:
        x = now.position + sample(flow, now.position)
        after = Trajectories(x, now.alive & on_ground(x))
        return after, after

    first = Trajectories(jnp.asarray(start), on_ground(jnp.asarray(start)))
    _, rest = jax.lax.scan(advance, first, None, length=frames)
    return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)


def spread(position: Float[Array, "m 2"], sources: Int[Array, " m"], width: int, height: int) -> Float[jax.Array, " m"]:
    """How many times their pixel's area the content of moving pixels covers: |det J| of the motion so far.

    By one-sided differences to the moving neighbours: per axis the side that went less far counts, since content at a
    border parts from what is outside and is whole all the same.

    Args:
      position: where the content of each source pixel is now, px.
      sources: row-major index of each source pixel; negative ones are padding.
      width: of the image.
      height: of the image.
    """
    slot = jnp.where(sources >= 0, sources, width * height)
    landed = jnp.full((width * height, 2), jnp.nan).at[slot].set(position, mode="drop").reshape(height, width, 2)
    ringed = jnp.pad(landed, ((1, 1), (1, 1), (0, 0)), constant_values=jnp.nan)
    inner = slice(1, -1)

    def axis(ahead: jax.Array, behind: jax.Array, unit: tuple[float, float]) -> jax.Array:
        sides = ahead - landed, landed - behind
        lengths = [jnp.where(jnp.isnan(side[..., 0]), jnp.inf, (side**2).sum(-1)) for side in sides]
        shorter = jnp.where((lengths[0] <= lengths[1])[..., None], *sides)
        alone = jnp.isinf(lengths[0]) & jnp.isinf(lengths[1])
        return jnp.where(alone[..., None], jnp.float32([[unit]]), shorter)

    right = axis(ringed[inner, 2:], ringed[inner, :-2], (1.0, 0.0))
    down = axis(ringed[2:, inner], ringed[:-2, inner], (0.0, 1.0))
    area = jnp.abs(right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]).ravel()
    return jnp.where(sources >= 0, area[jnp.maximum(sources, 0)], 1.0)
