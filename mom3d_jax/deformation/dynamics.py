"""Gaussians(t): the static scene, its displacement table, a field and a residual, put together (paper §3.3, eq. 8).

A copy that has moved k frames stands at x(k) = x + D(k) + Δx(x, k): D from the frozen table of Euler displacements
through the scene flow (integrated once per scene, never inside a training step), Δ from the residual. Only movable
Gaussians are copied and corrected; the rest of the scene is the same at every t.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array as JaxArray
from jaxtyping import Float

from mom3d_jax.deformation.fields import FIELDS, Copy, ramp
from mom3d_jax.deformation.residuals import RESIDUALS, Residual
from mom3d_jax.gaussians import concatenate, fade, movable_rows, rest_rows
from mom3d_jax.types import Array, Displacements, Gaussians, pytree, static

REAR = 1.01
"""How much farther from the input camera the rear copy lies."""


@pytree
class Dynamics:
    """What makes a scene move, apart from its Gaussians."""

    displacements: Displacements
    origin: Float[Array, "m 3"]
    """Positions that the displacements were integrated from; the residual is looked up there."""
    pixel_size: Float[Array, " m"]
    """World units per px of the input view at each Gaussian's depth, the unit of the residual's translation."""
    bounds: Float[Array, "2 3"]
    """Box around the residual's input coordinates."""
    period: int = static()
    """T, frames of a clip."""
    crossfade: float = static()
    """Share of the period over which `loop` blends."""
    residual: Residual = static()


def initialize(
    key: JaxArray,
    gaussians: Gaussians,
    displacements: Displacements,
    pixel_size: Float[Array, " n"],
    *,
    crossfade: float = 0.5,
    residual: str = "hexplane",
    residual_options: dict[str, Any] | None = None,
) -> tuple[Dynamics, dict]:
    """Set a scene in motion.

    Args:
      key: random key of the residual's initial parameters.
      gaussians: the static scene.
      displacements: table over k = 0..T frames for its movable rows.
      pixel_size: size of a pixel at each Gaussian, world units.
      crossfade: share of the period over which the `loop` field blends, in (0, 1].
      residual: a key of `RESIDUALS`.
      residual_options: options of that residual.

    Returns:
      The dynamics and the residual's parameters.

    Raises:
      ValueError: an unknown residual, a crossfade outside (0, 1], a table of another number of Gaussians.
    """
    if residual not in RESIDUALS:
        raise ValueError(f"unknown residual {residual!r}; known: {', '.join(RESIDUALS)}")
    if not 0 < crossfade <= 1:
        raise ValueError(f"crossfade {crossfade} is not in (0, 1]")
    m = gaussians.movable
    if displacements.forward.shape[1] != m:
        raise ValueError(f"a displacement table of {displacements.forward.shape[1]} rows for {m} movable Gaussians")
    model = RESIDUALS[residual](**(residual_options or {}))
    origin = np.asarray(gaussians.means[:m])
    coordinates = np.asarray(perspective_coordinates(origin))
    bounds = np.stack([coordinates.min(0), coordinates.max(0)]) if m else np.array([[0.0] * 3, [1.0] * 3])
    dynamics = Dynamics(
        displacements=displacements,
        origin=origin,
        pixel_size=np.asarray(pixel_size[:m]),
        bounds=bounds.astype(np.float32),
        period=displacements.forward.shape[0] - 1,
        crossfade=crossfade,
        residual=model,
    )
    return dynamics, model.init(key)


def perspective_coordinates(points: Float[Array, "n 3"]) -> Float[jax.Array, "n 3"]:
    """(x/z, y/z, log z) in the input camera: a landscape's points fill this box evenly, unlike one in x, y, z."""
    p = jnp.asarray(points)
    z = jnp.maximum(p[:, 2], 1e-6)
    return jnp.stack([p[:, 0] / z, p[:, 1] / z, jnp.log(z)], axis=-1)


def _moved(gaussians: Gaussians, dynamics: Dynamics, params: dict, copy: Copy) -> Gaussians:
    """One copy of the movable rows."""
    steps = jnp.round(jnp.abs(copy.elapsed)).astype(jnp.int32)
    table = dynamics.displacements
    displacement = jnp.where(
        copy.elapsed >= 0, jnp.asarray(table.forward)[steps], jnp.asarray(table.backward)[steps]
    )
    low, high = jnp.asarray(dynamics.bounds)
    box = perspective_coordinates(dynamics.origin)
    span = jnp.maximum(high - low, 1e-6)
    where = jnp.clip(2 * (box - low[None]) / span[None] - 1, -1.0, 1.0)
    delta = dynamics.residual.apply(params, where, copy.elapsed / dynamics.period)
    gate = ramp(copy.elapsed)
    moved = dataclasses.replace(
        gaussians,
        means=gaussians.means + displacement + gate * delta.pixels * jnp.asarray(dynamics.pixel_size)[:, None],
        log_scales=gaussians.log_scales + gate * delta.log_scales,
        quaternions=gaussians.quaternions + gate * delta.quaternions,
        opacity_logits=gaussians.opacity_logits + gate * delta.opacity_logits,
        sh=gaussians.sh.at[:, 0].add(gate * delta.sh_dc),
    )
    if copy.rear:
        # Scaling about the input camera keeps the copy where it was in the photo.
        moved = dataclasses.replace(moved, means=REAR * moved.means, log_scales=moved.log_scales + np.log(REAR))
    return moved if copy.opacity is None else fade(moved, copy.opacity)


def gaussian_sets(
    gaussians: Gaussians, dynamics: Dynamics, params: dict, frame: Float[Array, ""], field: str = "fill"
) -> tuple[list[Gaussians], list[Float[Array, ""] | None]]:
    """The scene at a frame.

    Args:
      gaussians: the static scene, N rows of which M movable.
      dynamics: its dynamics.
      params: the residual's parameters.
      frame: whole frames since the start, 0..T; t = frame / T. Frame T is frame 0 again under `loop`.
      field: a key of `FIELDS`.

    Returns:
      One or two complete sets of Gaussians, and the weights with which `blend` mixes their images.

    Raises:
      ValueError: an unknown field.
    """
    if field not in FIELDS:
        raise ValueError(f"unknown field {field!r}; known: {', '.join(FIELDS)}")
    frame = jnp.asarray(frame, jnp.float32)
    gaussians = jax.tree.map(jnp.asarray, gaussians)
    movable, rest = movable_rows(gaussians), rest_rows(gaussians)
    sets, weights = [], []
    for copy_set in FIELDS[field](frame, dynamics.period, dynamics.crossfade):
        copies = [_moved(movable, dynamics, params, copy) for copy in copy_set.copies]
        copies = [dataclasses.replace(copy, movable=0) for copy in copies]
        sets.append(concatenate(copies[0], rest, *copies[1:]))
        weights.append(copy_set.weight)
    return sets, weights
