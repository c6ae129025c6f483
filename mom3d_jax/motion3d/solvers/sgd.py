"""Plain SGD: as released, on a loss that averages over all points, and on the same problem normalised per point."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from mom3d_jax.motion3d import priors
from mom3d_jax.motion3d.objective import in_world, penalty_of, pixel_gradient, total_weight
from mom3d_jax.motion3d.problem import Observation, Problem, coordinates, image_motion, observations
from mom3d_jax.motion3d.solvers.base import ALL_PRIORS
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
    The loss is L1 whatever `Problem.loss` says, visibility is yes or no, and there are no priors and no nuisance model.
    """

    rate: float = 0.5
    decay: float = 0.97
    iterations: int = static(default=200)
    tolerance: float = 0.0

    uses_priors = ()
    refit = 0

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


@pytree
class SGD:
    """The same schedule on Σ_v w |r_v|₁ / Σ_v w of each point, in px of the input view: u ← u - η_e ∂/∂u.

    Divided by its own total weight a point neither knows the size of the image nor how many views see it, and with
    u = F / pixel neither its depth nor the focal length. With L1 a point travels at most 16.6 px. Priors enter with
    their gradient; a step is divided by 1 + their stiffness, so that no prior makes it overshoot.
    """

    rate: float = 0.5
    decay: float = 0.97
    iterations: int = static(default=200)
    tolerance: float = 0.0

    uses_priors = ALL_PRIORS
    refit = 5

    def init(self, problem: Problem) -> Descent:
        """No motion."""
        return Descent(jnp.zeros(problem.points.shape, jnp.float32), jnp.int32(0))

    def step(self, problem: Problem, state: Descent) -> Descent:
        """One gradient step."""
        penalty, total = penalty_of(problem), total_weight(problem)
        stiffness = penalty.along_ray + penalty.along_normal + 2 * priors.degree(penalty)
        share = 1 / jnp.maximum(total + stiffness, 1e-9)
        rate = jnp.float32(self.rate) * jnp.float32(self.decay) ** state.epoch.astype(jnp.float32)
        step = tuple(rate * share * g for g in pixel_gradient(problem, penalty, state.motion))
        return Descent(state.motion - in_world(problem, step), state.epoch + 1)
