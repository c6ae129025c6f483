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
from jaxtyping import Bool, Float

from mom3d_jax.deformation.fields import FIELDS, Copy, ramp
from mom3d_jax.deformation.residuals import Delta, Residual, make_residual
from mom3d_jax.gaussians import concatenate, fade, movable_rows, rest_rows
from mom3d_jax.types import Array, Displacements, Gaussians, pytree, static

REAR = 1.01
"""How much farther from the input camera the rear copy lies."""


@pytree
class Dynamics:
    """What makes a scene move, apart from its Gaussians."""

    displacements: Displacements
    where: Float[Array, "m 3"]
    """Where the residual is looked up: undisplaced positions in perspective coordinates, scaled to [-1, 1]³."""
    pixel_size: Float[Array, " m"]
    """World units per px of the input view at each Gaussian's depth, the unit of the residual's translation."""
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
    if not 0 < crossfade <= 1:
        raise ValueError(f"crossfade {crossfade} is not in (0, 1]")
    m = gaussians.movable
    if displacements.forward.shape[1] != m:
        raise ValueError(f"a displacement table of {displacements.forward.shape[1]} rows for {m} movable Gaussians")
    model = make_residual(residual, **(residual_options or {}))
    dynamics = Dynamics(
        displacements=displacements,
        where=_look_up_coordinates(np.asarray(gaussians.means[:m]), np.asarray(gaussians.alive[:m])),
        pixel_size=np.asarray(pixel_size[:m]),
        period=displacements.forward.shape[0] - 1,
        crossfade=crossfade,
        residual=model,
    )
    return dynamics, model.init(key)


def _look_up_coordinates(points: Float[np.ndarray, "m 3"], alive: Bool[np.ndarray, " m"]) -> Float[np.ndarray, "m 3"]:
    """(x/z, y/z, log z) in the input camera, scaled to [-1, 1]: a landscape fills this box evenly, not one in xyz."""
    z = np.maximum(points[:, 2:], 1e-6)
    box = np.concatenate([points[:, :2] / z, np.log(z)], axis=1)
    if not alive.any():
        return np.zeros_like(box)
    # One stray Gaussian must not stretch the box of all others.
    low, high = np.percentile(box[alive], [0.1, 99.9], axis=0)
    return np.clip(2 * (box - low) / np.maximum(high - low, 1e-6) - 1, -1, 1).astype(np.float32)


def _moved(
    gaussians: Gaussians, dynamics: Dynamics, delta: Delta, elapsed: Float[jax.Array, ""], forward: bool
) -> Gaussians:
    """The movable Gaussians after `elapsed` frames (negative: against the motion)."""
    table = dynamics.displacements.forward if forward else dynamics.displacements.backward
    displacement = jnp.asarray(table)[jnp.round(jnp.abs(elapsed)).astype(jnp.int32)]
    gate = ramp(elapsed)
    return dataclasses.replace(
        gaussians,
        means=gaussians.means + displacement + gate * delta.pixels * jnp.asarray(dynamics.pixel_size)[:, None],
        log_scales=gaussians.log_scales + gate * delta.log_scales,
        quaternions=gaussians.quaternions + gate * delta.quaternions,
        opacity_logits=gaussians.opacity_logits + gate * delta.opacity_logits,
        sh=jnp.asarray(gaussians.sh).at[:, 0].add(gate * delta.sh_dc),
        movable=0,
    )


def _placed(moved: Gaussians, copy: Copy) -> Gaussians:
    """A copy where the field wants it."""
    if copy.rear:
        # Scaling about the input camera keeps the copy where it was in the photo.
        moved = dataclasses.replace(moved, means=REAR * moved.means, log_scales=moved.log_scales + np.log(REAR))
    return moved if copy.opacity is None else fade(moved, copy.opacity)


def gaussian_sets(
    gaussians: Gaussians, dynamics: Dynamics, params: dict, frame: float | Float[Array, ""], field: str = "fill"
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
    copy_sets = FIELDS[field](frame, dynamics.period, dynamics.crossfade)
    # All fields move the Gaussians in two ways at most; each is computed once.
    ways = sorted({copy.forward for copies, _ in copy_sets for copy in copies})
    elapsed = [frame if forward else frame - dynamics.period for forward in ways]
    deltas = dynamics.residual.apply(params, dynamics.where, jnp.stack(elapsed) / dynamics.period)
    moved = {
        forward: _moved(movable, dynamics, jax.tree.map(lambda d, k=k: d[k], deltas), elapsed[k], forward)
        for k, forward in enumerate(ways)
    }
    sets, weights = [], []
    for copies, weight in copy_sets:
        front, *rear = (_placed(moved[copy.forward], copy) for copy in copies)
        sets.append(concatenate(front, rest, *rear))
        weights.append(weight)
    return sets, weights
