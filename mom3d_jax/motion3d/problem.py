"""The 3D-MOM problem: one 3-vector per point that explains the Eulerian flow of every view (paper §3.2.2, eq. 7).

    min_F  Σ_v Σ_i w_vi ρ( π_v(X_i + F_i) - π_v(X_i) - f_v(π_v(X_i)) )

Nothing couples two points but the priors a solver may add: without them it is N problems of three unknowns each.
The image motion is evaluated without cancellation: with x = R X + t and d = R F,

    π(X + F) - π(X) = focal · (d_xy - (x_xy / z) d_z) / (z + d_z).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from mom3d_jax.cameras import select, to_camera
from mom3d_jax.cameras.pinhole import HIGHEST
from mom3d_jax.types import Array, Cameras, pytree, static

Vector = tuple[jax.Array, ...]
UPPER = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))  # entries of a symmetric 3×3 matrix

# A motion may not carry a point nearer to a camera than this share of its depth: beyond it the projection is singular.
NEAREST = 0.05


class Loss(NamedTuple):
    """A robust function of residuals in px, smoothed below `epsilon`, and its weight ρ'(r)/r."""

    value: Callable[[jax.Array, jax.Array], jax.Array]
    weight: Callable[[jax.Array, jax.Array], jax.Array]


# |r| is replaced by its quadratic majoriser r²/2ε + ε/2 below ε, which keeps reweighted least squares a descent method.
LOSSES: dict[str, Loss] = {
    "l1": Loss(
        value=lambda r, e: jnp.where(jnp.abs(r) > e, jnp.abs(r), jnp.square(r) / (2 * e) + e / 2),
        weight=lambda r, e: 1 / jnp.maximum(jnp.abs(r), e),
    ),
    "l2": Loss(value=lambda r, e: jnp.square(r) / 2, weight=lambda r, e: jnp.ones_like(r)),
}


@pytree
class Problem:
    """Points, cameras and the motion each camera saw; a pytree, so it can be sharded, vmapped and saved."""

    points: Float[Array, "n 3"]
    cameras: Cameras
    """The views, batch of v."""
    target: Float[Array, "v n 2"]
    """Image motion to explain, px per frame."""
    weight: Float[Array, "v n"]
    """Visibility × view weight × mask; 0 where the view says nothing about the point."""
    neighbours: Int[Array, "n k"]
    """Mutual neighbours on the same surface, in this problem's numbering; the own index where there is none."""
    population: Float[Array, " v"]
    """How many points of the whole cloud, moving or not, project into each view: the divisor of the released loss."""
    index: Int[Array, " n"]
    """Row of each point in the cloud that the problem was built from."""
    reference: int = static(default=0)
    """The view whose rays are called viewing rays: the input view."""
    loss: str = static(default="l1")


class Observation(NamedTuple):
    """One view's share of a problem."""

    camera: Cameras
    target: Float[Array, "n 2"]
    weight: Float[Array, " n"]


def observations(problem: Problem) -> Observation:
    """The views as a batch, for `vmap` and `scan`."""
    return Observation(problem.cameras, jnp.asarray(problem.target), jnp.asarray(problem.weight))


def _turn(rotation: Float[Array, "3 3"], vector: Vector) -> Vector:
    return tuple(row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2] for row in rotation)


def image_motion(camera: Cameras, points: Vector, motion: Vector) -> tuple[Vector, tuple[Vector, Vector]]:
    """π(X + F) - π(X) in px of one view, and its Jacobian with respect to F.

    Points behind the camera give finite nonsense: their weight must be 0.

    Args:
      camera: one camera.
      points: X as three arrays of one shape (see `coordinates`).
      motion: F, likewise.

    Returns:
      (u, v) and the two rows ∂u/∂F, ∂v/∂F of three arrays each.
    """
    R = jnp.asarray(camera.rotation)
    *xy, z = (x + t for x, t in zip(_turn(R, points), jnp.asarray(camera.translation), strict=True))
    *d_xy, d_z = _turn(R, motion)
    z = jnp.where(z > 0, z, 1)
    z_moved = jnp.maximum(z + d_z, NEAREST * z)
    scale = [focal / z_moved for focal in jnp.asarray(camera.focal)]
    moved = tuple(s * (d - x / z * d_z) for s, x, d in zip(scale, xy, d_xy, strict=True))
    # ∂/∂F of f (x + d)_xy / (z + d_z) is f / z' (R_xy - (x' / z') R_z).
    slope = [(x + d) / z_moved for x, d in zip(xy, d_xy, strict=True)]
    row_u, row_v = (tuple(scale[i] * (R[i, k] - slope[i] * R[2, k]) for k in range(3)) for i in range(2))
    return moved, (row_u, row_v)


def coordinates(vectors: Float[Array, "n 3"]) -> Vector:
    """The columns as separate arrays.

    With coordinates as an axis XLA materialises every small product; apart, one view's whole evaluation becomes a
    single loop over points (ten times faster on a CPU).
    """
    return tuple(jnp.asarray(vectors).T)


@jax.jit
def predict(problem: Problem, motion: Float[Array, "n 3"]) -> Float[jax.Array, "v n 2"]:
    """The image motion of every point in every view, px per frame."""
    X, F = coordinates(problem.points), coordinates(motion)
    return jax.vmap(lambda camera: jnp.stack(image_motion(camera, X, F)[0], axis=-1))(problem.cameras)


@jax.jit
def residuals(problem: Problem, motion: Float[Array, "n 3"]) -> Float[jax.Array, "v n 2"]:
    """π(X + F) - π(X) - target, px, weighted or not."""
    return predict(problem, motion) - problem.target


@jax.jit
def point_losses(
    problem: Problem, motion: Float[Array, "n 3"], epsilon: float | Array = 1e-6
) -> Float[jax.Array, " n"]:
    """Σ_v w_v ρ(r) of each point, summed over the two image axes, in px (L1) or px² (L2)."""
    rho = LOSSES[problem.loss].value
    X, F = coordinates(problem.points), coordinates(motion)

    def add(total: jax.Array, seen: Observation) -> tuple[jax.Array, None]:
        moved, _ = image_motion(seen.camera, X, F)
        fits = (rho(m - f, jnp.float32(epsilon)) for m, f in zip(moved, coordinates(seen.target), strict=True))
        return total + seen.weight * sum(fits), None

    return jax.lax.scan(add, jnp.zeros(len(problem.points), jnp.float32), observations(problem))[0]


@jax.jit
def loss(problem: Problem, motion: Float[Array, "n 3"]) -> Float[jax.Array, ""]:
    """Mean loss per point and view, Σ w ρ(r) / Σ w; 0 for a problem without observations."""
    return point_losses(problem, motion).sum() / jnp.maximum(jnp.asarray(problem.weight).sum(), 1e-9)


@jax.jit
def normal_equations(
    problem: Problem, motion: Float[Array, "n 3"], epsilon: float | Array = 1e-6
) -> tuple[Float[jax.Array, "n 3 3"], Float[jax.Array, "n 3"]]:
    """JᵀWJ and JᵀWr of each point, W = w ρ'(r)/r. A scan over views: never more than one view's Jacobian at a time."""
    weigh = LOSSES[problem.loss].weight
    X, F = coordinates(problem.points), coordinates(motion)

    def add(total: jax.Array, seen: Observation) -> tuple[jax.Array, None]:
        entries = total
        for moved, J, f in zip(*image_motion(seen.camera, X, F), coordinates(seen.target), strict=True):
            r = moved - f
            w = seen.weight * weigh(r, jnp.float32(epsilon))
            entries += jnp.stack([w * J[i] * J[j] for i, j in UPPER] + [w * r * J[i] for i in range(3)])
        return entries, None

    start = jnp.zeros((9, len(problem.points)), jnp.float32)
    total, _ = jax.lax.scan(add, start, observations(problem))
    rows = [[UPPER.index((min(i, j), max(i, j))) for j in range(3)] for i in range(3)]
    return jnp.moveaxis(total[jnp.array(rows)], -1, 0), total[6:].T


def viewing_rays(problem: Problem) -> tuple[Float[jax.Array, "n 3"], Float[jax.Array, "n 1"]]:
    """Unit rays of the input view through the points, and the world length that one pixel spans at each of them."""
    camera = select(problem.cameras, problem.reference)
    x = to_camera(camera, problem.points)
    length = jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-9)
    rays = jnp.einsum("ij,ni->nj", camera.rotation, x / length, precision=HIGHEST)
    return rays, length / jnp.mean(camera.focal)
