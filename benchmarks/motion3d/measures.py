"""How far a motion is from the flows it was given, and from the truth."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.motion3d import Problem, consistency_epe, predict
from mom3d_jax.motion3d.truth import truth_report
from mom3d_jax.types import Array

OF_TRUTH = ("epe_truth_px", "lateral_error", "relative_3d_error")


def measure(
    problem: Problem, motion: Float[np.ndarray, "n 3"], truth: Float[np.ndarray, "n 3"] | None
) -> dict[str, float | None]:
    """Figures of a motion; None for those that need a truth where nobody knows it.

    * fit_residual_px: mean Euclidean distance between projected motion and given flow, weighted as in the problem;
      whatever nuisance model the solver had is left out, so that all rows mean the same.
    * epe_truth_px: mean distance of the projected end points of motion and truth over visible pairs of point and view.
    * lateral_error: ‖ΔF⊥‖ / ‖F⊥‖ over all points, world units, with the part across the input view's rays.
    * relative_3d_error: ‖ΔF‖ / ‖F‖ likewise.
    * consistency_epe_px: `motion3d.consistency_epe` of the projected motion; near 0 for any single motion, even none.
    """
    fit, consistency = _fit(problem, jnp.asarray(motion))
    exact = {} if truth is None else truth_report(problem, motion, truth)
    return {
        "fit_residual_px": float(fit),
        **{name: exact.get(name) for name in OF_TRUTH},
        "consistency_epe_px": float(consistency),
    }


def truth_epe(problem: Problem, motion: Float[Array, "n 3"], truth: Float[np.ndarray, "n 3"] | None) -> float | None:
    """`epe_truth_px` alone."""
    return None if truth is None else truth_report(problem, motion, truth)["epe_truth_px"]


@jax.jit
def _fit(problem: Problem, motion: Float[jax.Array, "n 3"]) -> tuple[Float[jax.Array, ""], Float[jax.Array, ""]]:
    weight, predicted = jnp.asarray(problem.weight), predict(problem, motion)
    distance = jnp.linalg.norm(predicted - problem.target, axis=-1)
    fit = (weight * distance).sum() / jnp.maximum(weight.sum(), 1e-9)
    return fit, consistency_epe(problem, predicted)
