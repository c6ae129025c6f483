"""The solvers by name, and how to plug in one's own."""

import dataclasses
import difflib
import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from mom3d_jax.motion3d.problem import Problem
from mom3d_jax.motion3d.solvers.base import Solver, run
from mom3d_jax.motion3d.solvers.coupled import Coupled
from mom3d_jax.motion3d.solvers.irls import IRLS
from mom3d_jax.motion3d.solvers.lift import InputViewLift
from mom3d_jax.motion3d.solvers.sgd import OfficialSGD

SOLVERS: dict[str, Callable[..., Solver]] = {
    "coupled": Coupled,
    "input_view_lift": InputViewLift,
    "irls": IRLS,
    "official_sgd": OfficialSGD,
}


def make_solver(name: str, **options: Any) -> Solver:
    """A solver by its registered name, or any class by "module:attr".

    Raises:
      ValueError: an unknown name, a module or attribute that does not load, or an option the solver does not have.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            factory = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"cannot load solver {name!r}: {error}") from error
    elif name in SOLVERS:
        factory = SOLVERS[name]
    else:
        raise ValueError(f"unknown solver {name!r}{_nearest(name, SOLVERS)}; known: {', '.join(SOLVERS)}, module:attr")
    if dataclasses.is_dataclass(factory):
        known = [field.name for field in dataclasses.fields(factory)]
        for option in options:
            if option not in known:
                raise ValueError(
                    f"solver {name!r} has no option {option!r}{_nearest(option, known)}; it has: {', '.join(known)}"
                )
    return factory(**options)


def _nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def solve(problem: Problem, solver: str = "coupled", **options: Any) -> tuple[Float[np.ndarray, "n 3"], dict[str, Any]]:
    """Solve a problem.

    Args:
      problem: what to explain.
      solver: a key of `SOLVERS`, or "module:attr".
      options: the solver's hyper-parameters.

    Returns:
      The motion of the problem's points, world units per frame, and a report: `solver`, `options`, `steps`, `losses`
      (before each step and after the last), `seconds` (with compilation).

    Raises:
      ValueError: an unknown solver or option.
      FloatingPointError: the solver left the finite numbers.
    """
    rule = make_solver(solver, **options)
    start = time.perf_counter()
    state, losses, steps = run(rule, problem)
    motion = np.asarray(state.motion)
    if not np.isfinite(motion).all():
        raise FloatingPointError(f"solver {solver!r} diverged: {(~np.isfinite(motion)).any(axis=1).sum()} points")
    report = {
        "solver": solver,
        "options": options,
        "steps": int(steps),
        "losses": [float(loss) for loss in losses[: int(steps) + 1]],
        "seconds": time.perf_counter() - start,
    }
    return motion, report
