"""How well one 3D motion explains all views, in figures for `metrics.json` (section `motion`)."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.motion3d.consistency import consistency_epe, consistency_of_motion
from mom3d_jax.motion3d.objective import point_losses
from mom3d_jax.motion3d.priors import Priors
from mom3d_jax.motion3d.problem import Problem, radial_observed, viewing_rays
from mom3d_jax.motion3d.solvers import solve
from mom3d_jax.motion3d.truth import truth_report
from mom3d_jax.motion3d.view_errors import FLOOR, number, view_errors
from mom3d_jax.types import Array

# The L1 optimum is found on at most this many points, evenly spread: points do not interact in it.
SAMPLE = 4096


def motion_report(
    problem: Problem, motion: Float[Array, "n 3"], truth: Float[Array, "n 3"] | None = None
) -> dict[str, Any]:
    """Figures of a solution, ready for JSON; r is the residual under the problem's response, all means are weighted.

    Args:
      problem: n points in v views, best `as_solved`.
      motion: its solution, world units per frame.
      truth: the true motion of the same points, where it is known.

    Returns:
      residual_l1_px, residual_l1_px_per_view: mean |r_x| + |r_y| over observations; None for a silent view.
      residual_l1_ratio: that of a sample of points over its optimum without any prior (`irls` to convergence).
      residual_epe_px, residual_epe_px_per_view, residual_median_px_per_view: mean and median of ‖r‖.
      share_within_tenth_px, share_within_half_px, and both per view: observations with ‖r‖ up to 0.1 and 0.5 px.
      outlier_share, outlier_share_per_view: observations that count less than a third of the view's median one under
        the problem's loss.
      consistency_epe_px_before, consistency_epe_px_after: `consistency_epe` of the flows and of the solution; the
        second is near 0 for any single motion, even none, and means nothing without the residual.
      lateral_px, radial_px: mean motion across and along the viewing ray, px of the input view.
      radial_observed: False where all views share one centre, so that the motion along the ray is a matter of priors.
      radial_sensitivity_px: image motion in the views, root mean square, that 1 px along the viewing ray makes, median
        over points. Across the ray it is about 1.
      notes: what a reader has to know beside the figures, one line each.
      With `truth`, the figures of `truth_report` as well.
    """
    errors, sensitivity = view_errors(problem, motion)
    weight = np.asarray(errors.weight, np.float64)

    def mean(values: Float[jax.Array, " v"]) -> float:
        return float((weight * np.where(weight > 0, values, 0)).sum() / max(weight.sum(), 1e-9))

    def each(values: Float[jax.Array, " v"]) -> list[float | None]:
        return [number(value) for value in np.asarray(values)]

    figures: dict[str, Any] = {
        "residual_l1_px": mean(errors.l1),
        "residual_l1_px_per_view": each(errors.l1),
        "residual_l1_ratio": residual_l1_ratio(problem, motion),
        "residual_epe_px": mean(errors.epe),
        "residual_epe_px_per_view": each(errors.epe),
        "residual_median_px_per_view": each(errors.median),
        "share_within_tenth_px": mean(errors.tenth),
        "share_within_tenth_px_per_view": each(errors.tenth),
        "share_within_half_px": mean(errors.half),
        "share_within_half_px_per_view": each(errors.half),
        "outlier_share": mean(errors.outliers),
        "outlier_share_per_view": each(errors.outliers),
        "consistency_epe_px_before": float(consistency_epe(problem, problem.target)),
        "consistency_epe_px_after": float(consistency_of_motion(problem, motion)),
        **{name: float(value) for name, value in _split(problem, motion).items()},
        "radial_observed": radial_observed(problem),
        "radial_sensitivity_px": number(sensitivity),
    }
    figures["notes"] = notes(problem, figures)
    return figures | ({} if truth is None else truth_report(problem, motion, truth))


def as_solved(problem: Problem, report: dict[str, Any]) -> Problem:
    """The problem as a solver took it: without the priors that it ignored, under the responses that it fitted.

    Args:
      problem: as it was stated.
      report: of `solve`.
    """
    priors = dataclasses.replace(problem.priors, **dict.fromkeys(report["ignored_priors"], 0.0))
    response = np.asarray(report["nuisance"], np.float32) if "nuisance" in report else problem.response
    return dataclasses.replace(problem, priors=priors, response=response)


@jax.jit
def _split(problem: Problem, motion: Float[Array, "n 3"]) -> dict[str, Float[jax.Array, ""]]:
    """Mean motion across and along the rays of the input view, in its px."""
    rays, pixel = viewing_rays(problem)
    along = (rays * motion).sum(axis=-1, keepdims=True)
    count = jnp.maximum(jnp.float32(len(problem.points)), 1)
    return {
        "lateral_px": (jnp.linalg.norm(motion - along * rays, axis=-1, keepdims=True) / pixel).sum() / count,
        "radial_px": (jnp.abs(along) / pixel).sum() / count,
    }


def residual_l1_ratio(problem: Problem, motion: Float[Array, "n 3"]) -> float:
    """Mean L1 fit residual over the L1 optimum of the same points, without priors; neither counted below `FLOOR`."""
    n = len(problem.points)
    if n == 0:
        return 1.0
    rows = np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.int32))
    part = dataclasses.replace(
        problem,
        points=jnp.asarray(problem.points)[rows],
        target=jnp.asarray(problem.target)[:, rows],
        weight=jnp.asarray(problem.weight)[:, rows],
        neighbours=np.arange(len(rows), dtype=np.int32)[:, None],
        index=rows,
        normals=None,
        priors=Priors(),
        loss="l1",
        nuisance="none",
    )
    mine = point_losses(part, jnp.asarray(motion)[rows])
    free, _ = solve(part, "irls", iterations=80, tolerance=0.0)
    optimum = jnp.minimum(mine, point_losses(part, free))
    total = jnp.maximum(part.weight.sum(), 1e-9)
    return float(jnp.maximum(mine.sum() / total, FLOOR) / jnp.maximum(optimum.sum() / total, FLOOR))


def notes(problem: Problem, figures: dict[str, Any]) -> list[str]:
    """What the figures do not say by themselves: where the motion along the viewing rays comes from, what is silent.

    Args:
      problem: what was solved.
      figures: of `motion_report`.
    """
    said = []
    silent = [v for v, share in enumerate(figures["residual_l1_px_per_view"]) if share is None]
    if silent:
        names = ", ".join(map(str, silent))
        said.append(f"views {names} say nothing" if len(silent) > 1 else f"view {names} says nothing")
    if not len(problem.points):
        return [*said, "nothing moves: there is no motion to find"]
    if not figures["radial_observed"]:
        said.append("all views share one centre: motion along the viewing rays leaves no trace in any of them")
    elif float(problem.priors.damping) > 0 and (problem.normals is None or float(problem.priors.tangency) == 0):
        said.append("motion along the viewing rays is damped (see radial_px); only a prior of tangency can recover it")
    return said
