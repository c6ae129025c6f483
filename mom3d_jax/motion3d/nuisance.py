"""What a flow model gets wrong about a whole view: one 2×2 response A_v = [[a, -b], [b, a]] per view.

A network that looks at each view by itself misjudges the speed in one view, the direction in another. A view's flow
is then A_v times the motion seen in it. As complex numbers A = a + ib, and for a given motion m_vi the best A_v is a
weighted least-squares fit with the weights of the robust loss, in closed form.

Gauge: the motion and all responses may be changed together without changing any residual (m → m C, A → A C⁻¹, for small
changes of view). The mean of A over the views that have observations is the identity. Views far off the others count
less in it (`in_gauge`), views without observations keep the identity and do not count.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.motion3d.losses import LOSSES, width
from mom3d_jax.motion3d.problem import Observation, Problem, coordinates, image_motion, misfit, observations
from mom3d_jax.types import Array

NUISANCES = ("none", "gain", "similarity")
"""No response; b = 0, a factor on the view's motion; factor and rotation."""


def identity(problem: Problem) -> Float[jax.Array, "v 2"]:
    """A = 1 for every view."""
    return jnp.broadcast_to(jnp.float32([[1, 0]]), (problem.weight.shape[0], 2))


def fit_response(problem: Problem, motion: Float[Array, "n 3"], epsilon: float | Array) -> Float[jax.Array, "v 2"]:
    """The responses that explain each view best for this motion, in their gauge.

    One reweighted least-squares step from the problem's present response; it does not raise the loss but for the
    gauge, which the next step of the motion makes up for.

    Args:
      problem: with `nuisance` "gain" or "similarity".
      motion: world units per frame.
      epsilon: smoothing of the loss, px.
    """
    present = identity(problem) if problem.response is None else jnp.asarray(problem.response)
    problem = dataclasses.replace(problem, response=present)
    weigh, c = LOSSES[problem.loss].weight, width(problem.loss, epsilon, problem.noise)
    X, F = coordinates(problem.points), coordinates(motion)
    gain_only = problem.nuisance == "gain"

    def view(args: tuple[Observation, jax.Array]) -> tuple[jax.Array, jax.Array]:
        seen, before = args
        (r_u, r_v), _ = misfit(seen, X, F)
        (u, v), _ = image_motion(seen.camera, X, F)
        w_u, w_v = (seen.weight * weigh(r, c) for r in (r_u, r_v))
        # Rows (u, -v) and (v, u) of the unknowns (a, b); right-hand side the change from the present response.
        aa, ab, bb = (jnp.sum(x) for x in (w_u * u * u + w_v * v * v, (w_v - w_u) * u * v, w_u * v * v + w_v * u * u))
        ra, rb = jnp.sum(w_u * r_u * u + w_v * r_v * v), jnp.sum(w_v * r_v * u - w_u * r_u * v)
        observed = (jnp.sum(seen.weight) > 0) & (aa > 1e-12) & ((bb > 1e-12) | gain_only)
        if gain_only:
            change = jnp.stack([ra / jnp.where(observed, aa, 1), jnp.float32(0)])
        else:
            det = jnp.where(observed, aa * bb - ab * ab, 1)
            change = jnp.stack([bb * ra - ab * rb, aa * rb - ab * ra]) / jnp.where(det > 0, det, 1)
        return jnp.where(observed, before - change, before), observed

    return in_gauge(*jax.lax.map(view, (observations(problem), present)))


ODD = 5.0
"""A view counts less if its response is farther from the mean than this many times the median distance."""


def in_gauge(response: Float[Array, "v 2"], observed: Float[Array, " v"]) -> Float[jax.Array, "v 2"]:
    """Responses divided, as complex numbers, by their mean over the observed views; the others are the identity.

    The mean is Huber's, from the median on: one odd view (one that sees a single hint, say) must not change the motion
    of all others, while for normally distributed responses it is as good as the plain mean.
    """
    counts = jnp.asarray(observed, bool)
    known = jnp.where(counts[:, None], response, jnp.nan)
    mean = jnp.nanmedian(known, axis=0)
    for _ in range(5):
        distance = jnp.linalg.norm(known - mean[None], axis=-1)
        bound = ODD * jnp.nanmedian(distance)
        share = jnp.where(counts, jnp.where(distance > bound, bound / jnp.where(distance > 0, distance, 1), 1), 0)
        mean = (share[:, None] * jnp.where(counts[:, None], response, 0)).sum(axis=0) / jnp.maximum(share.sum(), 1e-9)
    a, b = mean
    size = a**2 + b**2
    divided = jnp.stack([response[:, 0] * a + response[:, 1] * b, response[:, 1] * a - response[:, 0] * b], axis=-1)
    defined = counts[:, None] & (size > 0)
    return jnp.where(defined, divided / jnp.where(size > 0, size, 1), jnp.float32([[1, 0]]))
