"""Reweighted least squares with neighbouring points coupled: the default solver."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from mom3d_jax.motion3d import priors
from mom3d_jax.motion3d.objective import in_pixels, in_world, local_model, penalty_of, residual_spread
from mom3d_jax.motion3d.problem import Problem
from mom3d_jax.motion3d.solvers.base import ALL_PRIORS
from mom3d_jax.motion3d.solvers.linear import conjugate_gradients, factorize, solve, times
from mom3d_jax.types import pytree, static


class CoupledState(NamedTuple):
    """Motion, and how it came about."""

    motion: Float[jax.Array, "n 3"]
    round: Int[jax.Array, ""]
    """Rounds done."""
    epsilon: Float[jax.Array, ""]
    """Smoothing of the loss in the last round, px."""


@pytree
class Coupled:
    """Each round freezes the weights of the robust loss, smoothed by ε, and takes `inner` steps of conjugate gradients.

    The linear system holds every point and all priors; it is preconditioned by each point's own 3×3 block. Where the
    residuals spread less than the problem's noise, the loss is scaled for what they spread: flows that agree are
    followed closely, and priors matter less.
    """

    epsilon: float = 0.6
    """First smoothing of the loss, px."""
    shrink: float = 0.6
    """Factor on ε per round."""
    sharpest: float = 0.002
    """Last ε, and the least noise that is believed in, px."""
    inner: int = static(default=10)
    iterations: int = static(default=12)
    tolerance: float = 5e-4

    uses_priors = ALL_PRIORS

    def init(self, problem: Problem) -> CoupledState:
        """No motion."""
        return CoupledState(jnp.zeros(problem.points.shape, jnp.float32), jnp.int32(0), jnp.float32(self.epsilon))

    def step(self, problem: Problem, state: CoupledState) -> CoupledState:
        """One round: linearise, reweight, solve for the update in px."""
        ramp = jnp.float32(self.shrink) ** state.round.astype(jnp.float32)
        epsilon = jnp.maximum(self.epsilon * ramp, self.sharpest)
        noise = jnp.clip(residual_spread(problem, state.motion), self.sharpest, problem.noise)
        problem = dataclasses.replace(problem, noise=noise)
        penalty = penalty_of(problem)
        H, g = local_model(problem, penalty, state.motion, epsilon)
        u = in_pixels(problem, state.motion)

        def apply(x: priors.Vector) -> priors.Vector:
            return tuple(h + c for h, c in zip(times(H, x), priors.laplacian(penalty, x), strict=True))

        downhill = tuple(a + b for a, b in zip(g, priors.laplacian(penalty, u), strict=True))
        block = factorize(H, priors.degree(penalty) + 1e-9)
        update = conjugate_gradients(apply, lambda r: solve(block, r), downhill, self.inner)
        motion = state.motion - in_world(problem, update)
        return CoupledState(motion, state.round + 1, jnp.asarray(epsilon, jnp.float32))
