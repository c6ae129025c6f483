"""What a solver is, and the loop that runs any of them."""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from mom3d_jax.motion3d.problem import Problem, loss
from mom3d_jax.types import Array


class State(Protocol):
    """A pytree that carries at least the current motion."""

    @property
    def motion(self) -> Float[Array, "n 3"]:
        """World units per frame."""


class Solver(Protocol):
    """A frozen pytree dataclass (`types.pytree`): its leaves are hyper-parameters, so runs can be vmapped over them.

    The stopping rule is the same for all: `iterations` steps, or fewer once a step changes the loss by less than
    `tolerance` of its value (0: never).
    """

    @property
    def iterations(self) -> int:
        """Steps at most; static."""

    @property
    def tolerance(self) -> float:
        """Relative change of the loss that ends the run."""

    def init(self, problem: Problem) -> Any:
        """The state before the first step."""

    def step(self, problem: Problem, state: Any) -> Any:
        """One step; pure, jit-able, of fixed cost."""


class Run(NamedTuple):
    """The outcome of `run`."""

    state: Any
    losses: Float[jax.Array, " iterations+1"]
    """Loss before each step and after the last; NaN beyond `steps`."""
    steps: Int[jax.Array, ""]


@jax.jit
def run(solver: Solver, problem: Problem) -> Run:
    """Iterate a solver to its stopping rule."""

    def unfinished(run: Run) -> jax.Array:
        now = run.losses[run.steps]
        before = run.losses[jnp.maximum(run.steps - 1, 0)]
        moving = (run.steps == 0) | (jnp.abs(before - now) > jnp.float32(solver.tolerance) * before)
        return (run.steps < solver.iterations) & (moving | (jnp.float32(solver.tolerance) == 0))

    def advance(run: Run) -> Run:
        state, steps = solver.step(problem, run.state), run.steps + 1
        return Run(state, run.losses.at[steps].set(loss(problem, state.motion)), steps)

    state = solver.init(problem)
    losses = jnp.full(solver.iterations + 1, jnp.nan, jnp.float32).at[0].set(loss(problem, state.motion))
    return jax.lax.while_loop(unfinished, advance, Run(state, losses, jnp.int32(0)))
