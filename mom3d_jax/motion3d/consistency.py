"""Whether the flows of several views tell of one motion (paper §4.4.1, EPE)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.cameras import project, unproject
from mom3d_jax.motion3d.problem import Observation, Problem, coordinates, image_motion, observations
from mom3d_jax.types import Array


@jax.jit
def consistency_epe(problem: Problem, flows: Float[Array, "v n 2"]) -> Float[jax.Array, ""]:
    """How much the views' flows disagree once carried to the input view through the depth, px (paper §4, EPE).

    The end point p_v + F_v(p_v) is lifted to the depth of X in view v and projected into the input view; the motion
    found there is compared with F of the input view. Mean over points seen by both, over all other views.

    Args:
      problem: points, cameras and visibility.
      flows: flow of each view under each point, px; `problem.target`, or what `predict(problem, motion)` returns.
    """
    flows = jnp.asarray(flows)
    return _mean_disagreement(problem, lambda v, _: flows[v])


@jax.jit
def consistency_of_motion(problem: Problem, motion: Float[Array, "n 3"]) -> Float[jax.Array, ""]:
    """`consistency_epe` of what the views see of one 3D motion, px; never the flow of all of them in memory."""
    X, F = coordinates(problem.points), coordinates(motion)
    return _mean_disagreement(problem, lambda _, seen: jnp.stack(image_motion(seen.camera, X, F)[0], axis=-1))


def _mean_disagreement(
    problem: Problem, flow_of: Callable[[jax.Array, Observation], jax.Array]
) -> Float[jax.Array, ""]:
    """The EPE of flows that are given as a function of (index of the view, view)."""
    views = observations(problem)
    count = len(problem.weight)
    reference = jnp.int32(problem.reference)
    centre: Observation = jax.tree.map(lambda a: jnp.asarray(a)[problem.reference], views)
    origin, _ = project(centre.camera, problem.points)
    wanted = flow_of(reference, centre)

    def add(total: jax.Array, view: tuple[jax.Array, Observation]) -> tuple[jax.Array, None]:
        index, seen = view
        p, z = project(seen.camera, problem.points)
        carried, _ = project(centre.camera, unproject(seen.camera, p + flow_of(index, seen), z))
        # The input view agrees with itself: it is left out of the mean.
        both = (centre.weight > 0) & (seen.weight > 0) & (index != reference)
        error = jnp.where(both, jnp.linalg.norm(carried - origin - wanted, axis=-1), 0)
        return total + jnp.stack([error.sum(), both.sum(dtype=jnp.float32)]), None

    total, _ = jax.lax.scan(add, jnp.zeros(2, jnp.float32), (jnp.arange(count, dtype=jnp.int32), views))
    return total[0] / jnp.maximum(total[1], 1)
