"""What a solver is, and the loop that runs any of them."""

import dataclasses
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from mom3d_jax.motion3d.nuisance import fit_response, identity
from mom3d_jax.motion3d.objective import loss, prior_energies, total_weight
from mom3d_jax.motion3d.problem import Problem
from mom3d_jax.types import Array

ALL_PRIORS = ("damping", "smoothness", "tangency")
LOCAL_PRIORS = ("damping", "tangency")
"""Of solvers that take each point by itself."""


class State(Protocol):
    """A pytree that carries at least the current motion.

    A state may also say how often it has evaluated the residuals (`evaluations`) and how sharp its loss is (`epsilon`,
    px), where these differ from what its solver says.
    """

    @property
    def motion(self) -> Float[Array, "n 3"]:
        """World units per frame."""


class Solver(Protocol):
    """A frozen pytree dataclass (`types.pytree`): its leaves are hyper-parameters, so runs can be vmapped over them.

    The stopping rule is the same for all: `iterations` steps, or fewer once a step changes the objective by less than
    `tolerance` of its value (0: never).

    Three things may be said about the class, for which there are defaults: `uses_priors`, the priors that it honours
    (default: all); `evaluations`, how often a step evaluates the residuals of the whole problem (default: once);
    `refit`, after how many steps the nuisance model is fitted anew (default: each; 0: never).
    """

    @property
    def iterations(self) -> int:
        """Steps at most; static."""

    @property
    def tolerance(self) -> float:
        """Relative change of the objective that ends the run."""

    def init(self, problem: Problem) -> Any:
        """The state before the first step."""

    def step(self, problem: Problem, state: Any) -> Any:
        """One step; pure, jit-able, of fixed cost."""


class Run(NamedTuple):
    """A run under way or finished; a pytree, so it can be saved and gone on with (`advance`)."""

    state: Any
    response: Float[Array, "v 2"] | None
    """(a, b) of each view, None without a nuisance model."""
    losses: Float[jax.Array, " iterations+1"]
    """Loss before each step and after the last; NaN beyond `steps`."""
    objectives: Float[jax.Array, " iterations+1"]
    """The same with the priors."""
    steps: Int[jax.Array, ""]


def start(solver: Solver, problem: Problem) -> Run:
    """A run before its first step."""
    state = solver.init(problem)
    response = identity(problem) if fits_response(solver, problem) else problem.response
    blank = jnp.full(solver.iterations + 1, jnp.nan, jnp.float32)
    return _measured(Run(state, response, blank, blank, jnp.int32(0)), problem)


def advance(solver: Solver, problem: Problem, run: Run) -> Run:
    """One step of the solver, then, if it is due, of the nuisance model."""
    present = dataclasses.replace(problem, response=run.response)
    state, steps, response = solver.step(present, run.state), run.steps + 1, run.response
    if fits_response(solver, problem):
        epsilon = getattr(state, "epsilon", jnp.float32(REFIT_EPSILON))
        every = getattr(solver, "refit", 1)
        response = jax.lax.cond(
            steps % every == 0, lambda: fit_response(present, state.motion, epsilon), lambda: response
        )
    return _measured(run._replace(state=state, response=response, steps=steps), problem)


REFIT_EPSILON = 0.01
"""Smoothing of the loss in which responses are fitted, px, for states that do not say how sharp theirs is."""


def fits_response(solver: Solver, problem: Problem) -> bool:
    """Whether a nuisance model is fitted along."""
    return problem.nuisance != "none" and getattr(solver, "refit", 1) > 0


def unfinished(solver: Solver, run: Run) -> jax.Array:
    """Whether the stopping rule lets the run go on."""
    still = (run.steps > 0) & (last_change(run) <= jnp.float32(solver.tolerance)) & (jnp.float32(solver.tolerance) > 0)
    return (run.steps < solver.iterations) & ~still


def last_change(run: Run) -> Float[jax.Array, ""]:
    """By how much of its value the last step changed the objective; 0 before the first step, and at the value 0."""
    now, before = run.objectives[run.steps], run.objectives[jnp.maximum(run.steps - 1, 0)]
    return jnp.abs(before - now) / jnp.where(before > 0, before, 1)


@jax.jit
def run(solver: Solver, problem: Problem) -> Run:
    """Iterate a solver to its stopping rule."""
    return jax.lax.while_loop(
        lambda r: unfinished(solver, r), lambda r: advance(solver, problem, r), start(solver, problem)
    )


def _measured(run: Run, problem: Problem) -> Run:
    present = dataclasses.replace(problem, response=run.response)
    data = loss(present, run.state.motion)
    priors = prior_energies(problem, run.state.motion).sum() / jnp.maximum(total_weight(problem).sum(), 1e-9)
    return run._replace(
        losses=run.losses.at[run.steps].set(data), objectives=run.objectives.at[run.steps].set(data + priors)
    )
