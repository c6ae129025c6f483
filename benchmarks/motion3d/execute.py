"""A setting run on a problem: its motion, time, memory, and how it got there."""

import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from benchmarks import timing
from benchmarks.motion3d.measures import truth_epe
from benchmarks.motion3d.settings import Setting
from benchmarks.motion3d.synthetic import Case
from mom3d_jax.motion3d.problem import Problem, across_rays
from mom3d_jax.motion3d.solvers import Run, Solver, advance, prepare, start, unfinished

MARKS = 12
"""About how many places a curve has."""


class Outcome(NamedTuple):
    """What a run gave."""

    motion: Float[np.ndarray, "n 3"]
    figures: dict[str, Any]
    """`loss`, `seconds`, `evaluations`, `peak_bytes`."""
    curve: dict[str, list]
    """`steps`, `evaluations`, `seconds`, `loss`, `epe_truth_px` along the run; with a single place where none was
    asked for."""


def execute(setting: Setting, case: Case, *, curve: bool) -> Outcome:
    """Run a setting after compilation.

    The clock stands still while a place of the curve is measured. The loop is that of `motion3d.solve`, cut in pieces.

    Args:
      setting: what to run.
      case: on what.
      curve: whether to look at the motion on the way.

    Raises:
      FloatingPointError: the solver left the finite numbers.
    """
    solver = setting.make()
    problem, notes = prepare(solver, setting.state(case.problem))
    problem = jax.device_put(problem)
    begin, proceed = _compile(solver, problem)
    marks = _marks(solver.iterations) if curve else [solver.iterations]
    clock, seconds = time.perf_counter(), 0.0
    run = jax.block_until_ready(begin(solver, problem))
    seconds += time.perf_counter() - clock
    path: dict[str, list] = {name: [] for name in ("steps", "evaluations", "seconds", "loss", "epe_truth_px")}

    def look(run: Run) -> None:
        place = {
            "steps": int(run.steps),
            "evaluations": _evaluations(solver, run),
            "seconds": seconds,
            "loss": float(run.losses[run.steps]),
            "epe_truth_px": truth_epe(case.problem, run.state.motion, case.truth),
        }
        for name, value in place.items():
            path[name].append(value)

    if curve:
        look(run)
    for mark in marks:
        clock = time.perf_counter()
        run = jax.block_until_ready(proceed(solver, problem, run, jnp.int32(mark)))
        spent = time.perf_counter() - clock
        if path["steps"] and int(run.steps) == path["steps"][-1]:
            break  # it had come to its end before
        seconds += spent
        look(run)
    motion = np.asarray(across_rays(problem, run.state.motion) if notes["radial_fixed"] else run.state.motion)
    if not np.isfinite(motion).all():
        raise FloatingPointError(f"solver {setting.solver!r} diverged: {(~np.isfinite(motion)).any(1).sum()} points")
    figures = {
        "loss": float(run.losses[run.steps]),
        "seconds": seconds,
        "evaluations": _evaluations(solver, run),
        "peak_bytes": planned_bytes(proceed),
    }
    return Outcome(motion, figures, path)


_COMPILED: dict[Any, tuple[Any, Any]] = {}
"""Programs by what they were compiled for, so that seeds and levels share them."""


def _compile(solver: Solver, problem: Problem) -> tuple[Any, Any]:
    """`start`, and `advance` until a given number of steps or the end, both compiled."""
    leaves, structure = jax.tree.flatten((solver, problem))
    key = structure, tuple(jax.typeof(leaf) for leaf in leaves)
    if key not in _COMPILED:
        first = jax.eval_shape(start, solver, problem)
        proceed = jax.jit(_proceed, donate_argnames="run").lower(solver, problem, first, jnp.int32(0)).compile()
        _COMPILED[key] = jax.jit(start).lower(solver, problem).compile(), proceed
    return _COMPILED[key]


def _proceed(solver: Solver, problem: Problem, run: Run, until: jax.Array) -> Run:
    """Go on to a number of steps, or to the end."""
    return jax.lax.while_loop(
        lambda r: unfinished(solver, r) & (r.steps < until), partial(advance, solver, problem), run
    )


def planned_bytes(compiled: Any) -> int:
    """Arguments, results and temporary memory of a program, with what it overwrites counted once."""
    return timing.planned_bytes(compiled) - int(compiled.memory_analysis().alias_size_in_bytes)


def _evaluations(solver: Solver, run: Run) -> int:
    """Of the residuals of the whole problem: what the state has counted, or else what the solver says of a step."""
    return int(getattr(run.state, "evaluations", int(run.steps) * getattr(solver, "evaluations", 1)))


def _marks(iterations: int) -> list[int]:
    """All steps of a short run, ever wider steps of a long one; the last step always."""
    if iterations <= MARKS:
        return list(range(1, iterations + 1))
    return sorted({round(iterations ** (k / (MARKS - 1))) for k in range(MARKS)})
