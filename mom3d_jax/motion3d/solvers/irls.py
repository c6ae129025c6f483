"""Iteratively reweighted least squares, each point by itself: the robust optimum to any precision."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from mom3d_jax.motion3d.objective import in_pixels, in_world, local_model, penalty_of, point_losses
from mom3d_jax.motion3d.priors import energy
from mom3d_jax.motion3d.problem import Problem
from mom3d_jax.motion3d.solvers.base import LOCAL_PRIORS
from mom3d_jax.motion3d.solvers.linear import factorize, solve
from mom3d_jax.types import pytree, static


class Reweighted(NamedTuple):
    """Motion, the trust in the quadratic model of each point, and the number of steps taken."""

    motion: Float[jax.Array, "n 3"]
    caution: Float[jax.Array, " n"]
    """Ridge as a share of the trace."""
    round: Int[jax.Array, ""]
    epsilon: Float[jax.Array, ""]
    """Smoothing of the loss in the last step, px."""


@pytree
class IRLS:
    """Gauss-Newton on ρ_ε with ρ_ε'(r)/r as weights and ε shrinking towards the loss itself.

    A step that would raise a point's objective is not taken and the point becomes more cautious, so the objective at a
    given ε never rises.
    """

    epsilon: float = 1.0
    """First smoothing of the loss, px."""
    shrink: float = 0.6
    """Factor on ε per step."""
    sharpest: float = 1e-4
    """Last ε, px."""
    iterations: int = static(default=30)
    tolerance: float = 1e-5

    uses_priors = LOCAL_PRIORS
    evaluations = 3

    def init(self, problem: Problem) -> Reweighted:
        """No motion."""
        n = len(problem.points)
        start = jnp.zeros((n, 3), jnp.float32), jnp.full(n, 1e-6, jnp.float32)
        return Reweighted(*start, jnp.int32(0), jnp.float32(self.epsilon))

    def step(self, problem: Problem, state: Reweighted) -> Reweighted:
        """One reweighted Gauss-Newton step per point, in units of a pixel."""
        ramp = jnp.float32(self.shrink) ** state.round.astype(jnp.float32)
        epsilon = jnp.asarray(jnp.maximum(self.epsilon * ramp, self.sharpest), jnp.float32)
        penalty = penalty_of(problem)

        def objective(motion: jax.Array) -> jax.Array:
            return point_losses(problem, motion, epsilon) + energy(penalty, in_pixels(problem, motion))

        H, g = local_model(problem, penalty, state.motion, epsilon)
        update = solve(factorize(H, state.caution * (H[0] + H[3] + H[5]) + 1e-12), g)
        proposal = state.motion - in_world(problem, update)
        better = objective(proposal) <= objective(state.motion)
        caution = jnp.clip(state.caution * jnp.where(better, 0.1, 10.0), 1e-6, 1e3)
        return Reweighted(jnp.where(better[:, None], proposal, state.motion), caution, state.round + 1, epsilon)
