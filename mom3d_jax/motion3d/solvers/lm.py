"""Levenberg-Marquardt, each point by itself, on the loss smoothed by a fixed ε."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.motion3d.objective import in_pixels, in_world, local_model, penalty_of, point_losses
from mom3d_jax.motion3d.priors import dot, energy
from mom3d_jax.motion3d.problem import Problem
from mom3d_jax.motion3d.solvers.base import LOCAL_PRIORS
from mom3d_jax.motion3d.solvers.linear import factorize, solve, times
from mom3d_jax.types import pytree, static


class Trust(NamedTuple):
    """Motion, and how far each point's quadratic model is trusted."""

    motion: Float[jax.Array, "n 3"]
    ridge: Float[jax.Array, " n"]
    """λ, as a share of the mean of the diagonal."""
    growth: Float[jax.Array, " n"]
    """Factor on λ at the next refusal."""
    epsilon: Float[jax.Array, ""]


@pytree
class LevenbergMarquardt:
    """(H + λ tr(H)/3 · 1) δ = g, with λ ruled by how much of the promised descent came true.

    With ϱ = actual / promised: a step that gains is taken and λ multiplied by max(1/3, 1 - (2ϱ - 1)³), otherwise λ
    grows by factors 2, 4, 8, … (H. B. Nielsen, Damping parameter in Marquardt's method, 1999). The Hessian is that of
    reweighted least squares, which majorises the loss.
    """

    epsilon: float = 0.01
    """Smoothing of the loss, px."""
    ridge: float = 1e-3
    """First λ."""
    iterations: int = static(default=40)
    tolerance: float = 1e-5

    uses_priors = LOCAL_PRIORS
    evaluations = 3

    def init(self, problem: Problem) -> Trust:
        """No motion."""
        n = len(problem.points)
        ridge = jnp.full(n, self.ridge, jnp.float32)
        return Trust(
            jnp.zeros((n, 3), jnp.float32), ridge, jnp.full(n, 2, jnp.float32), jnp.asarray(self.epsilon, jnp.float32)
        )

    def step(self, problem: Problem, state: Trust) -> Trust:
        """One step per point, taken or refused."""
        penalty = penalty_of(problem)

        def objective(motion: jax.Array) -> jax.Array:
            return point_losses(problem, motion, state.epsilon) + energy(penalty, in_pixels(problem, motion))

        H, g = local_model(problem, penalty, state.motion, state.epsilon)
        update = solve(factorize(H, state.ridge * (H[0] + H[3] + H[5]) / 3 + 1e-12), g)
        promised = dot(update, g) - dot(update, times(H, update)) / 2
        proposal = state.motion - in_world(problem, update)
        gained = objective(state.motion) - objective(proposal)
        # At the optimum both are 0 up to rounding: a step of nothing is a good step.
        share = jnp.where(promised > 0, gained / jnp.where(promised > 0, promised, 1), 1)
        good = gained >= 0
        trusted = state.ridge * jnp.maximum(1 / 3, 1 - (2 * jnp.minimum(share, 1) - 1) ** 3)
        ridge = jnp.clip(jnp.where(good, trusted, state.ridge * state.growth), 1e-7, 1e4)
        growth = jnp.where(good, 2, jnp.minimum(2 * state.growth, 1024))
        return state._replace(
            motion=jnp.where(good[:, None], proposal, state.motion), ridge=ridge, growth=growth.astype(jnp.float32)
        )
