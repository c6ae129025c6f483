"""From unconstrained parameters to what they stand for (Kerbl et al. 2023, §4)."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.types import Array, Gaussians

SH_C0 = 0.28209479177387814
"""Degree-0 spherical harmonic; colour = 0.5 + SH_C0 · dc."""


def scales(gaussians: Gaussians) -> Float[jax.Array, "n 3"]:
    """Standard deviations along the principal axes, world units."""
    return jnp.exp(gaussians.log_scales)


def opacities(gaussians: Gaussians) -> Float[jax.Array, " n"]:
    """Opacities in [0, 1]; exactly 0 for free slots."""
    return jnp.where(gaussians.alive, jax.nn.sigmoid(gaussians.opacity_logits), 0.0)


def rotation_entries(
    w: Float[jax.Array, "*n"], x: Float[jax.Array, "*n"], y: Float[jax.Array, "*n"], z: Float[jax.Array, "*n"]
) -> list[list[Float[jax.Array, "*n"]]]:
    """Rows of the rotation matrices of unit quaternions, entry by entry."""
    return [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]


def fade(gaussians: Gaussians, factor: Float[Array, ""]) -> Gaussians:
    """The same Gaussians with every opacity multiplied by `factor` in [0, 1]; 0 makes them exactly invisible."""
    # In log space, so that factor 0 gives a logit of -inf with finite gradients instead of 0/0.
    log_opacity = jax.nn.log_sigmoid(gaussians.opacity_logits) + jnp.log(factor)
    # An opacity that rounds to 1 would have an infinite logit.
    log_opacity = jnp.minimum(log_opacity, -1e-7)
    logits = jnp.where(factor >= 1, gaussians.opacity_logits, log_opacity - jnp.log(-jnp.expm1(log_opacity)))
    return dataclasses.replace(gaussians, opacity_logits=logits)


def _rows(gaussians: Gaussians, rows: slice, movable: int) -> Gaussians:
    return dataclasses.replace(jax.tree.map(lambda a: a[rows], gaussians), movable=movable)


def movable_rows(gaussians: Gaussians) -> Gaussians:
    """The Gaussians that the scene flow carries, M rows."""
    return _rows(gaussians, slice(0, gaussians.movable), gaussians.movable)


def rest_rows(gaussians: Gaussians) -> Gaussians:
    """The Gaussians that never move, N - M rows."""
    return _rows(gaussians, slice(gaussians.movable, None), 0)


def concatenate(*sets: Gaussians) -> Gaussians:
    """All rows of several sets; only the first may hold movable rows, since those come first in a set."""
    if any(s.movable for s in sets[1:]):
        raise ValueError("only the first set of a concatenation may hold movable Gaussians")
    movable = sets[0].movable
    return jax.tree.map(lambda *a: jnp.concatenate(a), *(dataclasses.replace(s, movable=movable) for s in sets))
