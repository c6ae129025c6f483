"""How far a motion is from the true one, where that is known."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.motion3d.problem import Observation, Problem, coordinates, image_motion, observations, viewing_rays
from mom3d_jax.motion3d.view_errors import HALF, TENTH, number
from mom3d_jax.types import Array


def truth_report(problem: Problem, motion: Float[Array, "n 3"], truth: Float[Array, "n 3"]) -> dict[str, Any]:
    """Errors of a motion.

    Args:
      problem: n points in v views; its targets are not looked at.
      motion: world units per frame.
      truth: the true motion of the same points.

    Returns:
      epe_truth_px, epe_truth_px_per_view: mean distance of the two motions as the views see them, over the pairs of
        point and view that see each other; None where there is none.
      truth_share_within_tenth_px, truth_share_within_half_px: share of these pairs.
      lateral_error, radial_error: ‖ΔF‖ / ‖F*‖ across and along the viewing rays, norms over all points; None where the
        true motion has no such part.
      relative_3d_error: ‖ΔF‖ / ‖F*‖.
    """
    sums, norms = _sums(problem, jnp.asarray(motion, jnp.float32), jnp.asarray(truth, jnp.float32))
    count, distance, tenth, half = np.asarray(sums, np.float64).T
    total = count.sum()
    error, size = np.asarray(norms, np.float64)
    # What rounding leaves of a part that is not there is no part.
    parts = [number(e / s) if s > 1e-5 * size[2] else None for e, s in zip(error, size, strict=True)]
    return {
        "epe_truth_px": number(distance.sum() / total) if total else None,
        "epe_truth_px_per_view": [number(d / n) if n else None for d, n in zip(distance, count, strict=True)],
        "truth_share_within_tenth_px": number(tenth.sum() / total) if total else None,
        "truth_share_within_half_px": number(half.sum() / total) if total else None,
        "lateral_error": parts[0],
        "radial_error": parts[1],
        "relative_3d_error": parts[2],
    }


@jax.jit
def _sums(
    problem: Problem, motion: Float[Array, "n 3"], truth: Float[Array, "n 3"]
) -> tuple[Float[jax.Array, "v 4"], Float[jax.Array, "2 3"]]:
    """Per view the pairs, their distances and how many are short; ‖ΔF‖ and ‖F*‖ across, along the rays and in all."""
    X, F, true = (coordinates(a) for a in (problem.points, motion, truth))

    def view(seen: Observation) -> jax.Array:
        difference = [a - b for a, b in zip(*(image_motion(seen.camera, X, f)[0] for f in (F, true)), strict=True)]
        length, visible = jnp.hypot(*difference), seen.weight > 0
        counted = [visible, jnp.where(visible, length, 0), visible & (length <= TENTH), visible & (length <= HALF)]
        return jnp.stack([c.sum(dtype=jnp.float32) for c in counted])

    rays, _ = viewing_rays(problem)

    def norms(vectors: jax.Array) -> jax.Array:
        along = (rays * vectors).sum(axis=-1, keepdims=True)
        return jnp.stack([jnp.linalg.norm(part) for part in (vectors - along * rays, along, vectors)])

    difference = jnp.asarray(motion) - truth
    return jax.lax.map(view, observations(problem)), jnp.stack([norms(difference), norms(jnp.asarray(truth))])
