"""How well one 3D motion explains all views, in figures for `metrics.json` (section `motion`)."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.cameras import positions, project, select, unproject
from mom3d_jax.motion3d.problem import Observation, Problem, observations, point_losses, predict, viewing_rays
from mom3d_jax.motion3d.solvers import solve
from mom3d_jax.types import Array

# Projections in float32 are no better than this: residuals below it are not told apart, px.
FLOOR = 1e-4
# The L1 optimum is found on at most this many points, evenly spread: points do not interact in it.
SAMPLE = 4096


def motion_report(problem: Problem, motion: Float[Array, "n 3"]) -> dict[str, Any]:
    """Figures of a solution.

    Returns:
      residual_l1_px, residual_l1_px_per_view: mean |r_x| + |r_y| over observations, weighted; None for a silent view.
      residual_l1_ratio: that of a sample of points over its optimum without any prior (`irls` to convergence).
      residual_epe_px: the same in the Euclidean norm.
      consistency_epe_px_before, consistency_epe_px_after: `consistency_epe` of the flows and of the solution; the
        second is near 0 for any single motion, even none, and means nothing without the residual.
      lateral_px, radial_px: mean motion across and along the viewing ray, px of the input view.
      radial_observed: False where all views share one centre, so that the motion along the ray is a matter of priors.
    """
    means, per_view = _figures(problem, motion)
    return {
        **{name: float(value) for name, value in means.items()},
        "residual_l1_px_per_view": [None if np.isnan(e) else float(e) for e in per_view],
        "residual_l1_ratio": residual_l1_ratio(problem, motion),
        "radial_observed": radial_observed(problem),
    }


@jax.jit
def _figures(
    problem: Problem, motion: Float[Array, "n 3"]
) -> tuple[dict[str, Float[jax.Array, ""]], Float[jax.Array, " v"]]:
    """The plain means, and the residual of each view (NaN for a silent one)."""
    weight = jnp.asarray(problem.weight)
    predicted = predict(problem, motion)
    r = predicted - problem.target
    l1 = jnp.abs(r).sum(axis=-1)
    rays, pixel = viewing_rays(problem)
    along = (rays * motion).sum(axis=-1, keepdims=True)
    share = weight.sum(axis=1)
    means = {
        "residual_l1_px": _mean(l1, weight),
        "residual_epe_px": _mean(jnp.linalg.norm(r, axis=-1), weight),
        "consistency_epe_px_before": consistency_epe(problem, problem.target),
        "consistency_epe_px_after": consistency_epe(problem, predicted),
        "lateral_px": _mean(jnp.linalg.norm(motion - along * rays, axis=-1, keepdims=True) / pixel),
        "radial_px": _mean(jnp.abs(along) / pixel),
    }
    return means, jnp.where(share > 0, (l1 * weight).sum(axis=1) / jnp.where(share > 0, share, 1), jnp.nan)


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
        loss="l1",
    )
    mine = point_losses(part, jnp.asarray(motion)[rows])
    free, _ = solve(part, "irls", damping=0.0, iterations=80, tolerance=0.0)
    optimum = jnp.minimum(mine, point_losses(part, free))
    total = jnp.maximum(part.weight.sum(), 1e-9)
    return float(jnp.maximum(mine.sum() / total, FLOOR) / jnp.maximum(optimum.sum() / total, FLOOR))


@jax.jit
def consistency_epe(problem: Problem, flows: Float[Array, "v n 2"]) -> Float[jax.Array, ""]:
    """How much the views' flows disagree once carried to the input view through the depth, px (paper §4, EPE).

    The end point p_v + F_v(p_v) is lifted to the depth of X in view v and projected into the input view; the motion
    found there is compared with F of the input view. Mean over points seen by both, over all other views.

    Args:
      problem: points, cameras and visibility.
      flows: flow of each view under each point, px; `problem.target` or `predict(problem, motion)`.
    """
    centre = select(problem.cameras, problem.reference)
    origin, _ = project(centre, problem.points)
    wanted = jnp.asarray(flows)[problem.reference]
    in_centre = jnp.asarray(problem.weight)[problem.reference] > 0

    def add(total: jax.Array, view: tuple[Observation, jax.Array]) -> tuple[jax.Array, None]:
        seen, flow = view
        p, z = project(seen.camera, problem.points)
        carried, _ = project(centre, unproject(seen.camera, p + flow, z))
        both = in_centre & (seen.weight > 0)
        error = jnp.where(both, jnp.linalg.norm(carried - origin - wanted, axis=-1), 0)
        return total + jnp.stack([error.sum(), both.sum(dtype=jnp.float32)]), None

    total, _ = jax.lax.scan(add, jnp.zeros(2, jnp.float32), (observations(problem), jnp.asarray(flows)))
    # The input view agrees with itself: it is left out of the mean.
    return total[0] / jnp.maximum(total[1] - in_centre.sum(dtype=jnp.float32), 1)


def radial_observed(problem: Problem) -> bool:
    """Whether views that say anything stand at different places (0.1 % of the median distance apart)."""
    used = np.asarray(problem.weight).sum(axis=1) > 0
    if not used.any():
        return False
    centres = np.asarray(positions(problem.cameras))[used]
    distance = np.median(np.linalg.norm(np.asarray(problem.points) - centres[0], axis=-1))
    return bool(np.ptp(centres, axis=0).max() > 1e-3 * distance)


def _mean(values: Float[jax.Array, "*n"], weight: Float[jax.Array, "*n"] | None = None) -> Float[jax.Array, ""]:
    weight = jnp.ones_like(values) if weight is None else weight
    return (values * weight).sum() / jnp.maximum(weight.sum(), 1e-9)
