"""The released optimizer, kept to compare with: plain SGD on a loss that averages over all points."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from mom3d_jax.motion3d.problem import Observation, Problem, coordinates, image_motion, observations
from mom3d_jax.types import pytree, static


class Descent(NamedTuple):
    """Motion and the number of steps taken."""

    motion: Float[jax.Array, "n 3"]
    epoch: Int[jax.Array, ""]


@pytree
class OfficialSGD:
    """SGD on L = 1/V Σ_v 1/(2 |S_v|) Σ_{i∈S_v} |r_vi|₁ from zero, 200 epochs with step 0.5 · 0.97^e (released code).

    |S_v| counts every point that projects into the view (`Problem.population`), so the step of a single point shrinks
    with the size of the image: a point travels at most about 16.6 f² / (2 N z²) px in all, often less than its target.
    The loss is L1 whatever `Problem.loss` says, and visibility is yes or no.
    """

    rate: float = 0.5
    decay: float = 0.97
    iterations: int = static(default=200)
    tolerance: float = 0.0

    def init(self, problem: Problem) -> Descent:
        """No motion."""
        return Descent(jnp.zeros(problem.points.shape, jnp.float32), jnp.int32(0))

    def step(self, problem: Problem, state: Descent) -> Descent:
        """One gradient step. The gradient of |r| is Jᵀ sign(r), and sign(0) = 0 leaves static points at rest."""
        X, F = coordinates(problem.points), coordinates(state.motion)

        def add(total: jax.Array, seen: tuple[Observation, jax.Array]) -> tuple[jax.Array, None]:
            view, population = seen
            share = (view.weight > 0).astype(jnp.float32) / (2 * len(problem.population) * jnp.maximum(population, 1))
            rows = zip(*image_motion(view.camera, X, F), coordinates(view.target), strict=True)
            pulls = [(share * jnp.sign(moved - f), row) for moved, row, f in rows]
            return total + jnp.stack([sum(pull * row[k] for pull, row in pulls) for k in range(3)]), None

        views = (observations(problem), jnp.asarray(problem.population))
        gradient, _ = jax.lax.scan(add, jnp.zeros((3, len(X[0])), jnp.float32), views)
        rate = jnp.float32(self.rate) * jnp.float32(self.decay) ** state.epoch.astype(jnp.float32)
        return Descent(state.motion - rate * gradient.T, state.epoch + 1)
