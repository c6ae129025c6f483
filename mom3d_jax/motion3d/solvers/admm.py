"""The alternating direction method of multipliers: L1 itself, without smoothing it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.motion3d.objective import Model, add_local_priors, in_world, penalty_of
from mom3d_jax.motion3d.priors import UPPER
from mom3d_jax.motion3d.problem import Problem, coordinates, misfit, observations
from mom3d_jax.motion3d.solvers.base import LOCAL_PRIORS
from mom3d_jax.motion3d.solvers.linear import factorize, solve
from mom3d_jax.types import pytree, static


class Split(NamedTuple):
    """Motion, multipliers, and the linear system of the next motion."""

    motion: Float[jax.Array, "n 3"]
    multiplier: Float[jax.Array, "v n 2"]
    """y, px: how far each residual is pushed towards 0; |y| ≤ 1/stiffness."""
    model: Model
    """Σ w JᵀJ and Σ w Jᵀ(r - z + y) at the motion, per px, each times the stiffness."""


@pytree
class ADMM:
    """min Σ w |z|₁ subject to z = r(F), with the penalty ½ s Σ w (r - z + y)² (S. Boyd et al., 2011, §6.1).

    F takes one Gauss-Newton step (three unknowns per point), z shrinks r + y by 1/s, y adds up r - z. By Moreau's
    identity z and y are the two parts of t = r + y, y = clip(t, ±1/s), so only y is kept, and r - z + y of the motion
    just found is 2 y - y_before.
    """

    stiffness: float = 10.0
    """s, 1/px."""
    iterations: int = static(default=150)
    tolerance: float = 0.0

    uses_priors = LOCAL_PRIORS
    refit = 5

    def init(self, problem: Problem) -> Split:
        """No motion.

        Raises:
          ValueError: a loss other than L1.
        """
        if problem.loss != "l1":
            raise ValueError(f"solver 'admm' solves loss 'l1', not {problem.loss!r}; take 'irls' or 'coupled' for that")
        motion = jnp.zeros(problem.points.shape, jnp.float32)
        return self._split(problem, motion, jnp.zeros_like(jnp.asarray(problem.target)))

    def step(self, problem: Problem, state: Split) -> Split:
        """One Gauss-Newton step, then all residuals split anew."""
        update = solve(factorize(state.model.H, 1e-12), state.model.g)
        return self._split(problem, state.motion - in_world(problem, update), state.multiplier)

    def _split(self, problem: Problem, motion: Float[jax.Array, "n 3"], multiplier: Float[jax.Array, "v n 2"]) -> Split:
        X, F = coordinates(problem.points), coordinates(motion)
        stiffness = jnp.float32(self.stiffness)
        seen = observations(problem)

        # The multipliers are replaced view by view: there is room for them once, not twice. A view's own are read at
        # the end of the turn before, from the array as it then is: read beside their replacement, XLA copies them all.
        def add(v: jax.Array, carry: tuple[jax.Array, jax.Array, tuple]) -> tuple[jax.Array, jax.Array, tuple]:
            multiplier, own, total = carry
            view = jax.tree.map(lambda a: a[v], seen)
            kept = []
            for r, J, before in zip(*misfit(view, X, F), coordinates(own), strict=True):
                y = jnp.clip(r + before, -1 / stiffness, 1 / stiffness)
                w = stiffness * view.weight
                pull = w * (2 * y - before)
                rows = [w * J[i] * J[j] for i, j in UPPER] + [pull * J[i] for i in range(3)]
                total = tuple(t + row for t, row in zip(total, rows, strict=True))
                kept.append(y)
            multiplier = multiplier.at[v].set(jnp.stack(kept, axis=-1))
            return multiplier, multiplier[jnp.minimum(v + 1, len(multiplier) - 1)], total

        zero = jnp.zeros(len(problem.points), jnp.float32)
        start = multiplier, multiplier[0], (zero,) * 9
        multiplier, _, entries = jax.lax.fori_loop(0, len(multiplier), add, start)
        return Split(motion, multiplier, add_local_priors(problem, penalty_of(problem), motion, entries))
