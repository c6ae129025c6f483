"""What training changes, and what it holds fixed."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Bool, Float, Int

from mom3d_jax.deformation import Dynamics
from mom3d_jax.types import Array, Gaussians, pytree, static

TRAINED = ("means", "log_scales", "quaternions", "opacity_logits", "sh")
"""The attributes of Gaussians that are optimised."""


@pytree
class TrainState:
    """Everything that a step changes; plain dicts and arrays, so checkpoints outlive the classes."""

    step: Int[Array, ""]
    """Steps taken, skipped ones included. The schedules count the steps that were applied, in `opt_state`."""
    params: dict[str, Any]
    """{"gaussians": {attribute: array}, "residual": {...}}."""
    opt_state: Any
    skipped: Int[Array, ""]
    """Steps whose loss or gradient was not finite; they changed nothing but `step`."""


@pytree
class Frozen:
    """What a step reads and never changes."""

    alive: Bool[Array, " n"]
    pixel_size: Float[Array, " n"]
    """World units per unit of the learning rates of positions: the size of a px at each Gaussian, or 1."""
    dynamics: Dynamics | None
    """None in stage 1."""
    movable: int = static()

    def moving(self) -> Dynamics:
        """The dynamics of a scene that has them."""
        if self.dynamics is None:
            raise ValueError("this scene was not set in motion: it has no dynamics")
        return self.dynamics


def new_state(gaussians: Gaussians, residual_params: dict, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step."""
    params = {
        "gaussians": {name: jnp.asarray(getattr(gaussians, name)) for name in TRAINED},
        "residual": jax.tree.map(jnp.asarray, residual_params),
    }
    return TrainState(
        step=jnp.zeros((), jnp.int32), params=params, opt_state=optimizer.init(params), skipped=jnp.zeros((), jnp.int32)
    )


def scene_gaussians(params: dict, frozen: Frozen) -> Gaussians:
    """The Gaussians that the parameters describe."""
    return Gaussians(**params["gaussians"], alive=frozen.alive, movable=frozen.movable)
