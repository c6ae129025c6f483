"""Iteratively reweighted least squares, each point by itself: the robust optimum to any precision."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from mom3d_jax.motion3d.problem import Problem, normal_equations, point_losses, viewing_rays
from mom3d_jax.motion3d.solvers.linear import factorize, solve
from mom3d_jax.types import pytree, static


class Reweighted(NamedTuple):
    """Motion, the trust in the quadratic model of each point, and the number of steps taken."""

    motion: Float[jax.Array, "n 3"]
    caution: Float[jax.Array, " n"]
    """Levenberg-Marquardt damping as a share of the trace."""
    round: Int[jax.Array, ""]


@pytree
class IRLS:
    """Gauss-Newton on ρ_ε with ρ_ε'(r)/r as weights and ε shrinking towards the loss itself.

    The part of the motion along the viewing ray moves no pixel of the input view and little in the others; it is
    damped by ½ (`damping` · Σ_v w)(r·F / pixel)². A step that would raise a point's objective is not taken and the
    point becomes more cautious, so the objective at a given ε never rises.
    """

    damping: float = 0.03
    """Stiffness along the viewing ray, as a share of Σ_v w, in 1/px²."""
    epsilon: float = 1.0
    """First smoothing of the loss, px."""
    shrink: float = 0.6
    """Factor on ε per step."""
    sharpest: float = 1e-4
    """Last ε, px."""
    iterations: int = static(default=30)
    tolerance: float = 1e-5

    def init(self, problem: Problem) -> Reweighted:
        """No motion."""
        n = len(problem.points)
        return Reweighted(jnp.zeros((n, 3), jnp.float32), jnp.full(n, 1e-6, jnp.float32), jnp.int32(0))

    def step(self, problem: Problem, state: Reweighted) -> Reweighted:
        """One reweighted Gauss-Newton step per point, in units of a pixel."""
        rays, pixel = viewing_rays(problem)
        ramp = jnp.float32(self.shrink) ** state.round.astype(jnp.float32)
        epsilon = jnp.maximum(self.epsilon * ramp, self.sharpest)
        stiffness = jnp.float32(self.damping) * jnp.asarray(problem.weight).sum(axis=0)

        def objective(motion: jax.Array) -> jax.Array:
            radial = (rays * motion / pixel).sum(axis=-1)
            return point_losses(problem, motion, epsilon) + stiffness * radial**2 / 2

        H, g = normal_equations(problem, state.motion, epsilon)
        ray_stiffness = stiffness[:, None] * rays
        H = H * pixel[..., None] ** 2 + ray_stiffness[..., None] * rays[:, None, :]
        g = g * pixel + ray_stiffness * (rays * state.motion / pixel).sum(axis=-1, keepdims=True)
        ridge = state.caution * jnp.trace(H, axis1=-2, axis2=-1) + 1e-12
        update = solve(factorize(H + ridge[:, None, None] * jnp.eye(3, dtype=jnp.float32)[None]), g)
        proposal = state.motion - update * pixel
        better = objective(proposal) <= objective(state.motion)
        caution = jnp.clip(state.caution * jnp.where(better, 0.1, 10.0), 1e-6, 1e3)
        return Reweighted(jnp.where(better[:, None], proposal, state.motion), caution, state.round + 1)
