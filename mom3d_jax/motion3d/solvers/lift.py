"""The motion of the input view alone, unprojected: what 3D-MOM has to improve on."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.cameras import select, to_camera
from mom3d_jax.cameras.pinhole import HIGHEST
from mom3d_jax.motion3d.problem import Problem
from mom3d_jax.types import pytree, static


class Lifted(NamedTuple):
    """The motion, and nothing else."""

    motion: Float[jax.Array, "n 3"]


@pytree
class InputViewLift:
    """F = z / f · flow at constant depth of the input view, 0 for points that it does not see."""

    iterations: int = static(default=0)
    tolerance: float = 0.0

    uses_priors = ()
    evaluations = 0
    refit = 0

    def init(self, problem: Problem) -> Lifted:
        """The answer: there is nothing to iterate."""
        v = problem.reference
        camera = select(problem.cameras, v)
        z = to_camera(camera, problem.points)[:, 2:]
        lateral = jnp.asarray(problem.target)[v] * z / jnp.broadcast_to(camera.focal, (len(z), 2))
        seen = jnp.asarray(problem.weight)[v][:, None] > 0
        motion = jnp.einsum("in,ji->nj", lateral.T, camera.rotation[:2].T, precision=HIGHEST)
        return Lifted(jnp.where(seen, motion, 0))

    def step(self, problem: Problem, state: Lifted) -> Lifted:
        """Nothing."""
        return state
