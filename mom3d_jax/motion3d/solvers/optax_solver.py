"""Any optimizer of optax, by its own name: "optax:adam", "optax:lion", "optax:lbfgs", "optax:schedule_free_adamw"."""

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float, Int

from mom3d_jax.motion3d.objective import in_world, objective, penalty_of, pixel_gradient, total_weight
from mom3d_jax.motion3d.problem import Problem
from mom3d_jax.motion3d.solvers.base import ALL_PRIORS
from mom3d_jax.types import pytree, static


def factory_of(name: str) -> Callable[..., optax.GradientTransformation] | None:
    """The optimizer of that name in optax or optax.contrib, None where there is none."""
    # Not getattr, which for deprecated names answers with a warning.
    found = vars(optax).get(name) or vars(optax.contrib).get(name)
    if not isinstance(found, types.FunctionType | functools.partial) or name.startswith("_"):
        return None
    return found if "learning_rate" in inspect.signature(found).parameters else None


def names() -> list[str]:
    """All optimizers that optax has here."""
    return sorted(n for module in (optax, optax.contrib) for n in dir(module) if factory_of(n))


class OptaxState(NamedTuple):
    """Motion, and the optimizer's own."""

    motion: Float[jax.Array, "n 3"]
    """What the run has arrived at: of schedule-free methods the average, not the place of the next gradient."""
    u: Float[jax.Array, "n 3"]
    """Where the next gradient is taken: the motion in px."""
    inner: Any
    evaluations: Int[jax.Array, ""]


@pytree
class Optax:
    """The objective over u = F / pixel, divided by the mean Σ_v w, minimised by an optax optimizer.

    In px one learning rate fits every scene, depth and focal length. The rate falls from `rate` to `last` · `rate`
    log-linearly; a schedule-free method keeps its rate, and L-BFGS searches along its lines instead. Points that
    nobody sees have no gradient and stay.
    """

    rate: float = 0.1
    """Learning rate, px."""
    last: float = 0.01
    epsilon: float = 0.0
    """Smoothing of the loss, px; 0 takes 0.01 for L-BFGS, which has to find curvature, and none (1e-6) otherwise."""
    optimizer: str = static(default="adam")
    extra: tuple[tuple[str, Any], ...] = static(default=())
    """The optimizer's own options."""
    iterations: int = static(default=200)
    tolerance: float = 0.0

    uses_priors = ALL_PRIORS

    @property
    def refit(self) -> int:
        """A line search is told the truth if the response changes seldom."""
        return 20 if self._searches else 5

    def transformation(self) -> optax.GradientTransformationExtraArgs:
        """The optimizer with its rates.

        Raises:
          ValueError: no such optimizer, or options that it does not take.
        """
        make = factory_of(self.optimizer)
        if make is None:
            raise ValueError(f"optax has no optimizer {self.optimizer!r}; known: {', '.join(names())}")
        rate: Any = jnp.asarray(self.rate, jnp.float32)
        if self._searches:
            rate = None
        elif not self.optimizer.startswith("schedule_free"):
            first, last, steps = rate, jnp.asarray(self.last, jnp.float32), max(self.iterations, 1)
            rate = lambda count: first * last ** (jnp.asarray(count, jnp.float32) / steps)
        try:
            return optax.with_extra_args_support(make(learning_rate=rate, **dict(self.extra)))
        except TypeError as error:
            raise ValueError(f"solver 'optax:{self.optimizer}': {error}") from error

    def init(self, problem: Problem) -> OptaxState:
        """No motion."""
        u = jnp.zeros(problem.points.shape, jnp.float32)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return OptaxState(u, u, _strong(self.transformation().init(u)), jnp.int32(0))

    def step(self, problem: Problem, state: OptaxState) -> OptaxState:
        """One update; as many evaluations of the objective as a line search asks for."""
        total = total_weight(problem)
        observed = jnp.maximum(total.sum(), 1e-9)
        scale = jnp.maximum((total**2).sum() / observed, 1e-9)
        penalty = penalty_of(problem)
        epsilon = jnp.where(jnp.float32(self.epsilon) > 0, self.epsilon, 0.01 if self._searches else 1e-6)

        @jax.custom_vjp
        def value(u: jax.Array) -> jax.Array:
            return objective(problem, in_world(problem, tuple(u.T)), epsilon) * observed / scale

        def forward(u: jax.Array) -> tuple[jax.Array, jax.Array]:
            g = pixel_gradient(problem, penalty, in_world(problem, tuple(u.T)), epsilon)
            return value(u), jnp.stack(g, axis=-1) / scale

        value.defvjp(forward, lambda g, out: (g * out,))
        # optax raises floats to its int32 counts, and knows nothing of the rule against it.
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            start, g = forward(state.u)
            rule = self.transformation()
            updates, inner = rule.update(g, state.inner, state.u, value=start, grad=g, value_fn=value)
            inner = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), inner, state.inner)
            u = motion = optax.apply_updates(state.u, updates)
            if self.optimizer.startswith("schedule_free"):
                motion = optax.contrib.schedule_free_eval_params(inner, u)
        evaluations = state.evaluations + (_searched(inner) if self._searches else 1)
        return OptaxState(in_world(problem, tuple(motion.T)), u, inner, evaluations)

    @property
    def _searches(self) -> bool:
        return self.optimizer == "lbfgs"


def _strong(tree: Any) -> Any:
    """With no weak types, which a loop would see change."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.asarray(x).dtype), tree)


def _searched(inner: Any) -> Int[jax.Array, ""]:
    """Evaluations of an L-BFGS step: the start of the line search, then its trials."""
    return 1 + jnp.asarray(optax.tree.get(inner, "num_linesearch_steps"), jnp.int32)
