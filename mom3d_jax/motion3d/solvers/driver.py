"""A problem solved, and what there is to say about it."""

import dataclasses
import logging
import time
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from mom3d_jax.motion3d.losses import LOSSES
from mom3d_jax.motion3d.nuisance import NUISANCES
from mom3d_jax.motion3d.priors import Priors
from mom3d_jax.motion3d.problem import Problem, across_rays, radial_observed
from mom3d_jax.motion3d.solvers.base import ALL_PRIORS, Run, Solver, fits_response, last_change, run
from mom3d_jax.motion3d.solvers.registry import make_solver, nearest

log = logging.getLogger(__name__)

SETTLED = 0.01
"""A run is called converged if its last step changed the objective by less than this share (or its own tolerance)."""
EXACT = 1e-4
"""The same, for flows that fit almost exactly: by less than this much, px."""
RAY_HOLD = 1.0
"""Least damping along rays that no view observes, where the part along them is set to 0 in the end, 1/px²."""


def solve(problem: Problem, solver: str = "coupled", **options: Any) -> tuple[Float[np.ndarray, "n 3"], dict[str, Any]]:
    """Solve a problem.

    Args:
      problem: what to explain; its priors and its nuisance model are those that are used.
      solver: a key of `SOLVERS`, "optax:name", or "module:attr".
      options: the solver's hyper-parameters.

    Returns:
      The motion of the problem's points, world units per frame, and a report:
      solver, options: as asked for.
      steps, evaluations: of the solver; how often the residuals of the whole problem were evaluated.
      losses: before each step and after the last, mean |r| per observation, in px for L1; objective: the same with the
        priors, where there are any.
      stopped, converged, last_change: why the run ended ("tolerance", "iterations", "nothing to iterate"), whether the
        last step still changed the objective (by more than 1 % and 1e-4 px), and by which share it did.
      ignored_priors: priors of the problem that this solver does not know.
      radial_fixed: True where all views share one centre; the motion along the viewing rays is then set to 0.
      idle_points: how many points no view says anything about; they stay at 0.
      nuisance: with a nuisance model, (a, b) of each view.
      seconds: with compilation.

    Raises:
      ValueError: an unknown solver, option, loss or nuisance model.
      FloatingPointError: the solver left the finite numbers.
    """
    rule = make_solver(solver, **options)
    began = time.perf_counter()
    stated, notes = prepare(rule, problem)
    done: Run = run(rule, stated)
    motion = across_rays(stated, done.state.motion) if notes["radial_fixed"] else done.state.motion
    motion = np.asarray(motion)
    if not np.isfinite(motion).all():
        raise FloatingPointError(f"solver {solver!r} diverged: {(~np.isfinite(motion)).any(axis=1).sum()} points")
    report = {"solver": solver, "options": options, **_course(rule, done, stated.priors), **notes}
    if fits_response(rule, problem):
        report["nuisance"] = np.asarray(done.response).tolist()
    if not report["converged"]:
        log.warning(
            "solver %r did not converge: step %d still changed the objective by %.2g %%; the residual is %.3g px",
            *(solver, report["steps"], 100 * report["last_change"], report["losses"][-1]),
        )
    return motion, {**report, "seconds": time.perf_counter() - began}


def prepare(solver: Solver, problem: Problem) -> tuple[Problem, dict[str, Any]]:
    """The problem as this solver takes it: without priors that it ignores, and with hold where nothing is observed.

    Returns:
      The problem, and `ignored_priors`, `radial_fixed` and `idle_points` of the report of `solve`.

    Raises:
      ValueError: an unknown loss or nuisance model, or a prior that is not a number from 0 up.
    """
    _check(problem)
    own, used = problem.priors, getattr(solver, "uses_priors", ALL_PRIORS)
    ignored = [name for name in ALL_PRIORS if name not in used and float(getattr(own, name)) > 0]
    priors = dataclasses.replace(own, **dict.fromkeys(ignored, 0.0))
    idle = ~(np.asarray(problem.weight) > 0).any(axis=0)
    observed = radial_observed(problem)
    fixed = not observed and not (float(priors.tangency) > 0 and problem.normals is not None)
    if fixed and "damping" in used:
        priors = dataclasses.replace(priors, damping=max(float(priors.damping), RAY_HOLD))
    priors = jax.tree.map(np.float32, priors)
    neighbours = np.asarray(problem.neighbours)
    if float(priors.smoothness) == 0:
        neighbours = neighbours[:, :0]  # no neighbours, no work for them
    stated = dataclasses.replace(
        problem, priors=priors, neighbours=neighbours, noise=np.asarray(problem.noise, np.float32)
    )
    return stated, {"ignored_priors": ignored, "radial_fixed": fixed, "idle_points": int(idle.sum())}


def _check(problem: Problem) -> None:
    for name, value, known in (("loss", problem.loss, LOSSES), ("nuisance", problem.nuisance, NUISANCES)):
        if value not in known:
            raise ValueError(f"unknown {name} {value!r}{nearest(value, known)}; known: {', '.join(known)}")
    if not 0 < float(problem.noise) < np.inf:
        raise ValueError(f"noise={float(problem.noise)} is not a number of px above 0")
    for field in dataclasses.fields(Priors):
        stiffness = float(getattr(problem.priors, field.name))
        if not 0 <= stiffness < np.inf or (field.name == "depth_edge" and stiffness == 0):
            raise ValueError(f"prior {field.name}={stiffness} is not a number from 0 up; 0 switches a prior off")


def _course(solver: Solver, done: Run, priors: Priors) -> dict[str, Any]:
    """How the run went."""
    steps, change = int(done.steps), float(last_change(done))
    tolerance = float(solver.tolerance)
    by_tolerance = steps > 0 and tolerance > 0 and change <= tolerance
    evaluations = getattr(done.state, "evaluations", steps * getattr(solver, "evaluations", 1))
    moved = abs(float(done.objectives[steps]) - float(done.objectives[max(steps - 1, 0)]))
    course = {
        "steps": steps,
        "evaluations": int(evaluations),
        "losses": [float(x) for x in done.losses[: steps + 1]],
        "stopped": "nothing to iterate" if not solver.iterations else "tolerance" if by_tolerance else "iterations",
        "converged": change <= max(tolerance, SETTLED) or moved <= EXACT,
        "last_change": change,
    }
    if any(float(getattr(priors, name)) > 0 for name in ALL_PRIORS):
        course["objective"] = [float(x) for x in done.objectives[: steps + 1]]
    return course
