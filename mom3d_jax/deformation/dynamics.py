"""Gaussians(t): the static scene, its displacement table, a field and a residual (paper §3.3, eq. 9 and 10).

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

from mom3d_jax.deformation.fields import FIELDS, RAMP, Copy, ramp, wholeness
from mom3d_jax.deformation.residuals import Delta, Residual, make_residual
from mom3d_jax.gaussians import concatenate, fade, movable_rows, rest_rows
from mom3d_jax.types import Array, Displacements, Gaussians, pytree, static

REAR = 1.01
"""How much farther from the input camera the rear copy lies."""
BACKDROP = 1.1
"""How much farther the backdrop lies: far enough not to come through where a surface is seen at a low angle and its
rows differ by some per cent in depth."""
SUNK = 1.02
"""How much farther a copy lies that has sunk behind the rear one."""
MOST_GROWTH = 16.0
"""Of the area of a torn Gaussian; what is torn further is lost in any case."""


@pytree
class Dynamics:
    """What makes a scene move, apart from its Gaussians."""

    displacements: Displacements
    where: Float[Array, "m 3"]
    """Where the residual is looked up: undisplaced positions in perspective coordinates, scaled to [-1, 1]³."""
    pixel_size: Float[Array, " m"]
    """World units per unit of the residual's translation: the size of a px at each Gaussian's depth, or 1."""
    period: int = static()
    """T, frames of a clip."""
    duration: int = static()
    """Frames from t = 0 to t = 1: T, or T - 1 where the last frame is at 1."""
    ramp: float = static()
    """Frames over which the residual comes in; 0: at once."""
    torn: tuple[float, float] = static()
    """Multiples of its area between which a copy in front sinks behind the rear one."""
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
    inclusive: bool = False,
    ramp: float = RAMP,
    torn: tuple[float, float] = (1.25, 2.0),
    coordinates: str = "perspective",
    residual: str = "hexplane",
    residual_options: dict[str, Any] | None = None,
) -> tuple[Dynamics, dict]:
    """Set a scene in motion.

    Args:
      key: random key of the residual's initial parameters.
      gaussians: the static scene.
      displacements: table over k = 0..T frames for its movable rows.
      pixel_size: step length at each Gaussian, world units: the size of a pixel there, or 1.
      crossfade: share of the period over which the `loop` field blends, in (0, 1].
      inclusive: frame i of T is at t = i / (T - 1), as released, instead of i / T.
      ramp: frames over which the residual comes in. With 0 it acts at t = 0 too, as released: frame 0 is then not the
        static scene, and a loop does not close to the bit.
      torn: a copy in front that covers up to `torn[0]` times its area stays there, from `torn[1]` times on it has sunk
        behind the rear one.
      coordinates: where the residual is looked up. "perspective": (x/z, y/z, log z) in the input camera, a box that a
        landscape fills evenly; "box": xyz in its bounding box, as released.
      residual: a key of `RESIDUALS`.
      residual_options: options of that residual.

    Returns:
      The dynamics and the residual's parameters.

    Raises:
      ValueError: an unknown residual or unknown coordinates, a crossfade outside (0, 1], a negative ramp, `torn`
        that is not 1 <= torn[0] < torn[1], a table of another number of Gaussians.
    """
    if coordinates not in COORDINATES:
        raise ValueError(f"unknown coordinates {coordinates!r}; known: {', '.join(COORDINATES)}")
    if not 1 <= torn[0] < torn[1]:
        raise ValueError(f"torn={torn} is not two rising multiples of an area, from 1 on")
    if not ramp >= 0:
        raise ValueError(f"ramp={ramp} frames is not a number from 0 up")
    if not 0 < crossfade <= 1:
        raise ValueError(f"crossfade {crossfade} is not in (0, 1]")
    m = gaussians.movable
    if displacements.forward.shape[1] != m:
        raise ValueError(f"a displacement table of {displacements.forward.shape[1]} rows for {m} movable Gaussians")
    model = make_residual(residual, **(residual_options or {}))
    period = displacements.forward.shape[0] - 1
    dynamics = Dynamics(
        displacements=displacements,
        where=COORDINATES[coordinates](np.asarray(gaussians.means[:m]), np.asarray(gaussians.alive[:m])),
        pixel_size=np.asarray(pixel_size[:m]),
        period=period,
        duration=max(period - inclusive, 1),
        ramp=ramp,
        torn=torn,
        crossfade=crossfade,
        residual=model,
    )
    return dynamics, model.init(key)


def _perspective(points: Float[np.ndarray, "m 3"], alive: Bool[np.ndarray, " m"]) -> Float[np.ndarray, "m 3"]:
    """(x/z, y/z, log z) in the input camera, scaled to [-1, 1]: a landscape fills this box evenly, not one in xyz."""
    z = np.maximum(points[:, 2:], 1e-6)
    box = np.concatenate([points[:, :2] / z, np.log(z)], axis=1)
    if not alive.any():
        return np.zeros_like(box)
    # One stray Gaussian must not stretch the box of all others.
    low, high = np.percentile(box[alive], [0.1, 99.9], axis=0)
    return np.clip(2 * (box - low) / np.maximum(high - low, 1e-6) - 1, -1, 1).astype(np.float32)


def _bounding_box(points: Float[np.ndarray, "m 3"], alive: Bool[np.ndarray, " m"]) -> Float[np.ndarray, "m 3"]:
    """xyz scaled to [-1, 1] by the bounding box of the living points."""
    if not alive.any():
        return np.zeros_like(points)
    low, high = points[alive].min(axis=0), points[alive].max(axis=0)
    return np.clip(2 * (points - low) / np.maximum(high - low, 1e-6) - 1, -1, 1).astype(np.float32)


COORDINATES = {"perspective": _perspective, "box": _bounding_box}


def _moved(
    gaussians: Gaussians, dynamics: Dynamics, delta: Delta, elapsed: Float[jax.Array, ""], forward: bool
) -> Gaussians:
    """The movable Gaussians after `elapsed` frames (negative: against the motion)."""
    table = dynamics.displacements.forward if forward else dynamics.displacements.backward
    displacement = jnp.asarray(table)[_row(elapsed)]
    gate = ramp(elapsed, dynamics.ramp)
    return dataclasses.replace(
        gaussians,
        means=gaussians.means + displacement + gate * delta.pixels * jnp.asarray(dynamics.pixel_size)[:, None],
        log_scales=gaussians.log_scales + gate * delta.log_scales,
        quaternions=gaussians.quaternions + gate * delta.quaternions,
        opacity_logits=gaussians.opacity_logits + gate * delta.opacity_logits,
        sh=jnp.asarray(gaussians.sh).at[:, 0].add(gate * delta.sh_dc),
        movable=0,
    )


def _row(elapsed: Float[jax.Array, ""]) -> jax.Array:
    """Row of the displacement table."""
    return jnp.round(jnp.abs(elapsed)).astype(jnp.int32)


def _placed(moved: Gaussians, copy: Copy, spread: Float[jax.Array, " m"], torn: tuple[float, float]) -> Gaussians:
    """A copy where the field wants it."""
    growth = jnp.zeros_like(spread) if copy.rests else 0.5 * jnp.log(jnp.clip(spread, 1.0, MOST_GROWTH))
    away = jnp.full_like(spread, BACKDROP if copy.rests else REAR if copy.rear else 1.0)
    if copy.sinks:
        sunk = 1 - wholeness(spread, torn)
        growth, away = sunk * growth, 1 + sunk * (SUNK - 1)
    if copy.rear or copy.sinks:
        # Scaling about the input camera keeps the copy where it was in the photo.
        larger = moved.log_scales + (jnp.log(away) + growth)[:, None]
        moved = dataclasses.replace(moved, means=away[:, None] * moved.means, log_scales=larger)
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
    deltas = dynamics.residual.apply(params, dynamics.where, jnp.stack(elapsed) / dynamics.duration)
    moved = {
        forward: _moved(movable, dynamics, jax.tree.map(lambda d, k=k: d[k], deltas), elapsed[k], forward)
        for k, forward in enumerate(ways)
    }
    tables = {True: dynamics.displacements.forward_spread, False: dynamics.displacements.backward_spread}
    spread = {forward: jnp.asarray(tables[forward])[_row(elapsed[k])] for k, forward in enumerate(ways)}
    sets, weights = [], []
    still = dataclasses.replace(movable, movable=0)
    for copies, weight in copy_sets:
        front, *rear = (
            _placed(still if copy.rests else moved[copy.forward], copy, spread[copy.forward], dynamics.torn)
            for copy in copies
        )
        sets.append(concatenate(front, rest, *rear))
        weights.append(weight)
    return sets, weights
