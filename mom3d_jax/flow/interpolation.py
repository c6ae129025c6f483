"""Which way to spread arrows over what moves: across the image, or in space. The arrows themselves tell."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.cameras import project
from mom3d_jax.flow.hints import interpolate
from mom3d_jax.flow.space import Velocities, spread_velocities
from mom3d_jax.types import Array, Cameras, Hints

INTERPOLATIONS = ("image", "space")
"""`hint_flow` of every view's own arrows (paper §3.2.1), or `space_flow` of the photo's."""


def cross_validate(hints: Hints, arrows: Velocities, camera: Cameras, sigma: float) -> dict[str, float | None]:
    """How well each arrow follows from the others: mean error over the arrows, px per frame, by interpolation.

    Space is better where the depth is right. Where a depth prior takes a waterfall for a plain, it is worse, and this
    shows: the arrows at the top do not predict those at the foot.

    Args:
      hints: arrows of the photo.
      arrows: the same in space.
      camera: the photo's.
      sigma: width of the weights, px.

    Returns:
      The errors, None where fewer than two arrows are usable.
    """
    usable = np.asarray(hints.valid) & np.asarray(arrows.valid)
    if usable.sum() < 2:
        return dict.fromkeys(INTERPOLATIONS)
    start, motion = jnp.asarray(hints.start), jnp.asarray(hints.motion)
    position = jnp.asarray(arrows.position)

    def errors(k: Float[Array, ""]) -> tuple[jax.Array, jax.Array]:
        others = jnp.asarray(usable) & (jnp.arange(len(usable)) != k)
        across = interpolate(start, motion, others, start[k][None], sigma)[0]
        velocity = spread_velocities(
            arrows._replace(valid=others), position[k][None], jnp.asarray(camera.focal)[0], sigma
        )
        landed, _ = project(camera, position[k][None] + velocity)
        return jnp.linalg.norm(across - motion[k]), jnp.linalg.norm(landed[0] - start[k] - motion[k])

    across, in_space = jax.lax.map(errors, jnp.flatnonzero(jnp.asarray(usable)))
    return {"image": float(across.mean()), "space": float(in_space.mean())}


def choose_interpolation(errors: dict[str, float | None]) -> str:
    """The one whose arrows predict each other better; space where they do not say."""
    image, space = errors["image"], errors["space"]
    return "image" if image is not None and space is not None and image < space else "space"
