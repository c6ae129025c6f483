"""The 3D-MOM problem evaluated: loss, priors, derivatives and per-point normal equations.

Everything is a scan over views, so that never more than one view's Jacobian exists at a time.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.motion3d import priors
from mom3d_jax.motion3d.losses import LOSSES, width
from mom3d_jax.motion3d.priors import UPPER, Penalty, Vector
from mom3d_jax.motion3d.problem import (
    Observation,
    Problem,
    coordinates,
    misfit,
    observations,
    residuals,
    viewing_rays,
)
from mom3d_jax.types import Array

SHARP = 1e-6
"""Smoothing of the loss where it is reported, px: none that float32 could tell."""


class Size(NamedTuple):
    """How large a problem is."""

    points: int
    views: int
    observations: int
    """Pairs of a point and a view that says something about it."""
    bytes: int
    """Of the problem's own arrays."""


def size(problem: Problem) -> Size:
    """Points, views, observations and bytes of a problem."""
    weight = problem.weight
    return Size(
        points=weight.shape[1],
        views=weight.shape[0],
        observations=int(np.count_nonzero(np.asarray(weight))),
        bytes=sum(np.dtype(a.dtype).itemsize * int(np.prod(a.shape)) for a in jax.tree.leaves(problem) if np.ndim(a)),
    )


def total_weight(problem: Problem) -> Float[jax.Array, " n"]:
    """S = Σ_v w of each point."""
    return jnp.asarray(problem.weight).sum(axis=0)


def penalty_of(problem: Problem) -> Penalty:
    """The problem's priors, ready to be evaluated at u = F / pixel."""
    rays, pixel = viewing_rays(problem)
    total, own = total_weight(problem), problem.priors
    normals = jnp.zeros_like(rays) if problem.normals is None else jnp.asarray(problem.normals)
    neighbours = jnp.asarray(problem.neighbours).T
    return Penalty(
        rays=coordinates(rays),
        normals=coordinates(normals),
        along_ray=jnp.float32(own.damping) * total,
        along_normal=jnp.float32(own.tangency) * total,
        neighbours=neighbours,
        coupling=priors.couplings(own, neighbours, pixel[:, 0], total),
    )


@jax.jit
def point_losses(
    problem: Problem, motion: Float[Array, "n 3"], epsilon: float | Array = SHARP
) -> Float[jax.Array, " n"]:
    """Σ_v w_v ρ(r) of each point, summed over the two image axes, in px (L2: px²)."""
    rho, c = LOSSES[problem.loss].value, width(problem.loss, epsilon, problem.noise)
    X, F = coordinates(problem.points), coordinates(motion)

    def add(total: jax.Array, seen: Observation) -> tuple[jax.Array, None]:
        r, _ = misfit(seen, X, F)
        return total + seen.weight * sum(rho(x, c) for x in r), None

    return jax.lax.scan(add, jnp.zeros(len(problem.points), jnp.float32), observations(problem))[0]


@jax.jit
def prior_energies(problem: Problem, motion: Float[Array, "n 3"]) -> Float[jax.Array, " n"]:
    """What the priors charge each point; pairs are halved between their points."""
    return priors.energy(penalty_of(problem), in_pixels(problem, motion))


@jax.jit
def loss(problem: Problem, motion: Float[Array, "n 3"]) -> Float[jax.Array, ""]:
    """Mean loss per point and view, Σ w ρ(r) / Σ w, without priors; 0 for a problem without observations."""
    return point_losses(problem, motion).sum() / _observed(problem)


@jax.jit
def objective(problem: Problem, motion: Float[Array, "n 3"], epsilon: float | Array = SHARP) -> Float[jax.Array, ""]:
    """What is minimised: (Σ w ρ_ε(r) + priors) / Σ w; 0 for a problem without observations."""
    data = point_losses(problem, motion, epsilon)
    return (data + prior_energies(problem, motion)).sum() / _observed(problem)


@jax.jit
def gradient(problem: Problem, motion: Float[Array, "n 3"], epsilon: float | Array = SHARP) -> Float[jax.Array, "n 3"]:
    """∂/∂F of Σ w ρ_ε(r) + priors: `objective` before it is divided by Σ w. Where ρ has a kink, at 0, it is 0."""
    _, pixel = viewing_rays(problem)
    return jnp.stack(pixel_gradient(problem, penalty_of(problem), motion, epsilon), axis=-1) / pixel


def pixel_gradient(
    problem: Problem, penalty: Penalty, motion: Float[Array, "n 3"], epsilon: float | Array = SHARP
) -> Vector:
    """`gradient` with respect to u = F / pixel, by coordinates."""
    weigh, c = LOSSES[problem.loss].weight, width(problem.loss, epsilon, problem.noise)
    X, F = coordinates(problem.points), coordinates(motion)

    def add(total: Vector, seen: Observation) -> tuple[Vector, None]:
        for r, J in zip(*misfit(seen, X, F), strict=True):
            pull = seen.weight * weigh(r, c) * r
            total = tuple(t + pull * j for t, j in zip(total, J, strict=True))
        return total, None

    data, _ = jax.lax.scan(add, _zeros(problem, 3), observations(problem))
    pixel = viewing_rays(problem)[1][:, 0]
    prior = priors.pull(penalty, in_pixels(problem, motion))
    return tuple(d * pixel + p for d, p in zip(data, prior, strict=True))


@jax.jit
def jvp(problem: Problem, motion: Float[Array, "n 3"], tangent: Float[Array, "n 3"]) -> Float[jax.Array, "v n 2"]:
    """J · tangent: how the residuals change with the motion, px."""
    X, F, T = coordinates(problem.points), coordinates(motion), coordinates(tangent)

    def view(seen: Observation) -> jax.Array:
        _, rows = misfit(seen, X, F)
        return jnp.stack([priors.dot(row, T) for row in rows], axis=-1)

    return jax.lax.map(view, observations(problem))


@jax.jit
def vjp(problem: Problem, motion: Float[Array, "n 3"], cotangent: Float[Array, "v n 2"]) -> Float[jax.Array, "n 3"]:
    """Jᵀ · cotangent, summed over views."""
    X, F = coordinates(problem.points), coordinates(motion)

    def add(total: Vector, view: tuple[Observation, jax.Array]) -> tuple[Vector, None]:
        seen, pulls = view
        _, (row_u, row_v) = misfit(seen, X, F)
        c_u, c_v = coordinates(pulls)
        return tuple(t + c_u * u + c_v * v for t, u, v in zip(total, row_u, row_v, strict=True)), None

    start = _zeros(problem, 3)
    return jnp.stack(jax.lax.scan(add, start, (observations(problem), jnp.asarray(cotangent)))[0], axis=-1)


class Model(NamedTuple):
    """½ uᵀH u + gᵀu around a motion, per point, in u = F / pixel; local priors included, smoothness left out."""

    H: Vector
    """The six `UPPER` entries."""
    g: Vector


def local_model(
    problem: Problem, penalty: Penalty, motion: Float[Array, "n 3"], epsilon: float | Array = SHARP
) -> Model:
    """JᵀWJ and JᵀWr of each point with W = w ρ_ε'(r)/r, damping and tangency added."""
    weigh, c = LOSSES[problem.loss].weight, width(problem.loss, epsilon, problem.noise)
    X, F = coordinates(problem.points), coordinates(motion)

    def add(total: Vector, seen: Observation) -> tuple[Vector, None]:
        for r, J in zip(*misfit(seen, X, F), strict=True):
            w = seen.weight * weigh(r, c)
            rows = [w * J[i] * J[j] for i, j in UPPER] + [w * r * J[i] for i in range(3)]
            total = tuple(t + row for t, row in zip(total, rows, strict=True))
        return total, None

    entries, _ = jax.lax.scan(add, _zeros(problem, 9), observations(problem))
    return add_local_priors(problem, penalty, motion, entries)


def add_local_priors(problem: Problem, penalty: Penalty, motion: Float[Array, "n 3"], entries: Vector) -> Model:
    """Nine sums of the data term per unit of F as a `Model` per px, with damping and tangency."""
    pixel = viewing_rays(problem)[1][:, 0]
    u = in_pixels(problem, motion)
    stiff = priors.local_entries(penalty)
    force = priors.pull(penalty._replace(coupling=penalty.coupling[:0], neighbours=penalty.neighbours[:0]), u)
    return Model(
        H=tuple(h * pixel**2 + s for h, s in zip(entries[:6], stiff, strict=True)),
        g=tuple(g * pixel + f for g, f in zip(entries[6:], force, strict=True)),
    )


@jax.jit
def normal_equations(
    problem: Problem, motion: Float[Array, "n 3"], epsilon: float | Array = SHARP
) -> tuple[Float[jax.Array, "n 3 3"], Float[jax.Array, "n 3"]]:
    """JᵀWJ + local priors and JᵀWr + their gradient, per point, W = w ρ_ε'(r)/r; world units. No smoothness."""
    H, g = local_model(problem, penalty_of(problem), motion, epsilon)
    _, pixel = viewing_rays(problem)
    rows = [[H[UPPER.index((min(i, j), max(i, j)))] for j in range(3)] for i in range(3)]
    matrix = jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
    return matrix / pixel[..., None] ** 2, jnp.stack(g, axis=-1) / pixel


SAMPLE = 2048
"""About how many points tell how far residuals spread."""


def residual_spread(problem: Problem, motion: Float[Array, "n 3"]) -> Float[jax.Array, ""]:
    """Robust standard deviation of the residuals, 1.4826 · median |r| over observations and axes, px (F. Hampel, 1974).

    Of evenly chosen points; 0 without observations.
    """
    if not len(problem.points):
        return jnp.float32(0)
    step = max(1, len(problem.points) // SAMPLE)
    few = dataclasses.replace(
        problem,
        points=jnp.asarray(problem.points)[::step],
        target=jnp.asarray(problem.target)[:, ::step],
        weight=jnp.asarray(problem.weight)[:, ::step],
    )
    size = jnp.abs(residuals(few, jnp.asarray(motion)[::step]))
    median = jnp.nanmedian(jnp.where(few.weight[..., None] > 0, size, jnp.nan))
    return 1.4826 * jnp.where(jnp.isnan(median), 0, median)


def in_pixels(problem: Problem, motion: Float[Array, "n 3"]) -> Vector:
    """u = F / pixel by coordinates: the motion in px of the input view."""
    return coordinates(jnp.asarray(motion) / viewing_rays(problem)[1])


def in_world(problem: Problem, u: Vector) -> Float[jax.Array, "n 3"]:
    """F = u · pixel."""
    return jnp.stack(u, axis=-1) * viewing_rays(problem)[1]


def _observed(problem: Problem) -> Float[jax.Array, ""]:
    return jnp.maximum(jnp.asarray(problem.weight).sum(), 1e-9)


def _zeros(problem: Problem, count: int) -> Vector:
    return tuple(jnp.zeros(len(problem.points), jnp.float32) for _ in range(count))
