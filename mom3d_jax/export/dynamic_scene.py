"""A scene in motion as one value: what is written to files, and what a player asks for frame by frame."""

import dataclasses
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from mom3d_jax.deformation import FIELDS, Dynamics, gaussian_sets
from mom3d_jax.types import Array, Cameras, Gaussians

_sets_at = partial(jax.jit, static_argnames="field")(gaussian_sets)


@partial(jax.jit, static_argnames="field")
def _visible_rows(
    gaussians: Gaussians, dynamics: Dynamics, residual: dict, frames: Float[Array, " t"], field: str
) -> Int[jax.Array, " t"]:
    def count(frame: Float[Array, ""]) -> jax.Array:
        (front, *_), _ = gaussian_sets(gaussians, dynamics, residual, frame, field)
        return jnp.sum(front.alive & ~jnp.isneginf(front.opacity_logits))

    return jax.lax.map(count, frames)


class Copies(NamedTuple):
    """Which copies of the movable Gaussians exist at each frame: S sets of C copies, the one in front first."""

    weights: Float[np.ndarray, "t s"]
    """Of the images of the sets in their blend; 1 for a single set."""
    forward: Bool[np.ndarray, "s c"]
    """Moved n frames along the motion, or T - n frames against it."""
    rear: Bool[np.ndarray, "s c"]
    """Whether the copy lies 1 % farther away."""
    opacity: Float[np.ndarray, "t s c"]
    """Factor on the opacities of the copy; where it is 0 there is none."""
    sinks: Bool[np.ndarray, "s c"]
    """Whether the copy goes behind the rear one where its motion tears it apart."""
    rests: Bool[np.ndarray, "s c"]
    """Whether the copy is the backdrop, which does not move and lies 10 % farther away."""


@dataclasses.dataclass(frozen=True)
class DynamicScene:
    """Gaussians, how they move, and from where they were seen."""

    gaussians: Gaussians
    """The static scene, N rows of which M movable."""
    dynamics: Dynamics
    residual: dict
    """Parameters of the residual, a nested dict of arrays."""
    field: str
    """A key of `FIELDS`."""
    camera: Cameras
    """The input camera."""
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """JSON of whoever made the scene: its name, the config, …"""

    @property
    def frames(self) -> int:
        """T, frames of the clip: 0..T-1."""
        return self.dynamics.period

    @property
    def times(self) -> Float[np.ndarray, " t"]:
        """t of each frame, from 0 to 1."""
        return np.arange(self.frames) / self.dynamics.duration

    def at(self, frame: int) -> tuple[list[Gaussians], list[Float[Array, ""] | None]]:
        """The scene at a frame 0..T: `gaussian_sets`, compiled once per scene."""
        return _sets_at(self.gaussians, self.dynamics, self.residual, frame, field=self.field)

    def visible_rows(self) -> Int[np.ndarray, " t"]:
        """How many Gaussians of the first set exist and are not exactly invisible, at frames 0..T-1."""
        frames = jnp.arange(self.frames, dtype=jnp.float32)
        return np.asarray(_visible_rows(self.gaussians, self.dynamics, self.residual, frames, field=self.field))

    @cached_property
    def copies(self) -> Copies:
        """What the field says about frames 0..T-1, evaluated."""
        over_frames = [
            FIELDS[self.field](jnp.float32(frame), self.dynamics.period, self.dynamics.crossfade)
            for frame in range(self.frames)
        ]
        one = lambda value: 1.0 if value is None else value
        first = over_frames[0]
        return Copies(
            weights=np.array([[one(s.weight) for s in sets] for sets in over_frames], np.float32),
            forward=np.array([[copy.forward for copy in s.copies] for s in first], bool),
            rear=np.array([[copy.rear for copy in s.copies] for s in first], bool),
            opacity=np.array([[[one(copy.opacity) for copy in s.copies] for s in sets] for sets in over_frames], "f4"),
            sinks=np.array([[copy.sinks for copy in s.copies] for s in first], bool),
            rests=np.array([[copy.rests for copy in s.copies] for s in first], bool),
        )
