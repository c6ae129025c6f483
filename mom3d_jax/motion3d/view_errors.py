"""How far a motion is from what each view saw: order statistics per view, one view in memory at a time."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.motion3d.losses import LOSSES, width
from mom3d_jax.motion3d.problem import Observation, Problem, coordinates, misfit, observations, viewing_rays
from mom3d_jax.types import Array

FLOOR = 1e-4
"""Projections in float32 are no better than this: residuals below it are not told apart, px."""
TENTH, HALF = 0.1, 0.5
"""Lengths of residuals whose shares are reported, px."""
OUTLIER = 1 / 3
"""An observation is an outlier where the robust loss gives it less than this share of the median residual's weight."""
BEST = 0.05
"""No flow is better than this, px: a median residual below it counts as this where outliers are told apart."""


class ViewErrors(NamedTuple):
    """One entry per view, weighted with the problem's weights; NaN for a view without any. r is the residual, px.

    A problem with a `response` is judged under it.
    """

    weight: Float[jax.Array, " v"]
    """Σ w, the observations that the view holds."""
    l1: Float[jax.Array, " v"]
    """Mean |r_x| + |r_y|."""
    epe: Float[jax.Array, " v"]
    """Mean ‖r‖."""
    median: Float[jax.Array, " v"]
    """Of ‖r‖."""
    tenth: Float[jax.Array, " v"]
    """Share with ‖r‖ ≤ 0.1 px."""
    half: Float[jax.Array, " v"]
    """Share with ‖r‖ ≤ 0.5 px."""
    outliers: Float[jax.Array, " v"]
    """Share that the robust loss all but ignores (see `OUTLIER`); none under a loss that weighs all alike."""


@jax.jit
def view_errors(problem: Problem, motion: Float[Array, "n 3"]) -> tuple[ViewErrors, Float[jax.Array, ""]]:
    """The residuals of each view, and how much the views see of motion along the viewing ray.

    Args:
      problem: n points in v views.
      motion: world units per frame.

    Returns:
      The errors per view, and the median over points of the image motion, root mean square over the point's views,
      that a motion of 1 px along the viewing ray makes, px. Across the ray it would be about 1.
    """
    X, F = coordinates(problem.points), coordinates(motion)
    rays, pixel = viewing_rays(problem)
    unit = coordinates(rays * pixel)

    def add(sensitivity: jax.Array, seen: Observation) -> tuple[jax.Array, ViewErrors]:
        r, rows = misfit(seen, X, F)
        along = sum(jnp.square(sum(j * u for j, u in zip(row, unit, strict=True))) for row in rows)
        errors = _errors(problem, jnp.hypot(*r), jnp.abs(r[0]) + jnp.abs(r[1]), jnp.asarray(seen.weight))
        return sensitivity + seen.weight * along, errors

    start = jnp.zeros(len(problem.points), jnp.float32)
    sensitivity, errors = jax.lax.scan(add, start, observations(problem))
    total = jnp.asarray(problem.weight).sum(axis=0)
    seen = jnp.sqrt(sensitivity / jnp.maximum(total, 1e-9))
    return errors, weighted_quantile(seen, (total > 0).astype(jnp.float32))


def _errors(problem: Problem, length: jax.Array, l1: jax.Array, weight: jax.Array) -> ViewErrors:
    weigh, c = LOSSES[problem.loss].weight, width(problem.loss, FLOOR, problem.noise)
    total = weight.sum()
    median = weighted_quantile(length, weight)
    typical = weigh(jnp.maximum(median, BEST), c)

    def mean(values: jax.Array) -> jax.Array:
        return jnp.where(total > 0, (weight * values).sum() / jnp.where(total > 0, total, 1), jnp.nan)

    return ViewErrors(
        weight=total,
        l1=mean(l1),
        epe=mean(length),
        median=median,
        tenth=mean((length <= TENTH).astype(jnp.float32)),
        half=mean((length <= HALF).astype(jnp.float32)),
        outliers=mean((weigh(length, c) < OUTLIER * typical).astype(jnp.float32)),
    )


def weighted_quantile(
    values: Float[jax.Array, " n"], weight: Float[jax.Array, " n"], share: float = 0.5
) -> Float[jax.Array, ""]:
    """The least value that holds this share of the weight below and at it; NaN where there is no weight."""
    if len(values) == 0:
        return jnp.float32(jnp.nan)
    order = jnp.argsort(values)
    held = jnp.cumsum(weight[order])
    place = jnp.minimum(jnp.searchsorted(held, share * held[-1]), len(values) - 1)
    return jnp.where(held[-1] > 0, values[order][place], jnp.nan)


def number(value: Any) -> float | None:
    """A figure that JSON can hold: None for NaN."""
    return None if math.isnan(value) else float(value)
