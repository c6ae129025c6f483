"""The 3D-MOM problem: one 3-vector per point that explains the Eulerian flow of every view (paper §3.2.2, eq. 7).

    min_F  Σ_v Σ_i w_vi ρ( A_v (π_v(X_i + F_i) - π_v(X_i)) - f_v(π_v(X_i)) ) + priors

A_v is the identity unless a nuisance model is fitted along (`nuisance`). Nothing couples two points but the smoothness
prior: without it the problem is N problems of three unknowns each. Here is what it consists of; `objective` has values.

The image motion is evaluated without cancellation: with x = R X + t and d = R F,

    π(X + F) - π(X) = focal · (d_xy - (x_xy / z) d_z) / (z + d_z).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from mom3d_jax.cameras import positions, select, to_camera
from mom3d_jax.cameras.pinhole import HIGHEST
from mom3d_jax.motion3d.losses import NOISE
from mom3d_jax.motion3d.priors import PLAIN, Priors, Vector
from mom3d_jax.types import Array, Cameras, pytree, static

# A motion may not carry a point nearer to a camera than this share of its depth: beyond it the projection is singular.
NEAREST = 0.05


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
    normals: Float[Array, "n 3"] | None = None
    """Unit surface normals, world axes; 0 where unknown. None: nowhere known."""
    priors: Priors = PLAIN
    response: Float[Array, "v 2"] | None = None
    """(a, b) of A_v = [[a, -b], [b, a]], how each view's flow answers to the motion seen in it; None: the identity."""
    noise: float | Float[Array, ""] = NOISE
    """Standard deviation of the flows' noise, px per axis; what `huber` and `cauchy` are scaled for."""
    reference: int = static(default=0)
    """The view whose rays are called viewing rays: the input view."""
    loss: str = static(default="l1")
    """A key of `LOSSES`."""
    nuisance: str = static(default="none")
    """A key of `NUISANCES`: what of the response is fitted along with the motion."""


class Observation(NamedTuple):
    """One view's share of a problem."""

    camera: Cameras
    target: Float[Array, "n 2"]
    weight: Float[Array, " n"]
    response: Float[Array, " 2"] | None


def observations(problem: Problem) -> Observation:
    """The views as a batch, for `vmap` and `scan`."""
    response = None if problem.response is None else jnp.asarray(problem.response)
    return Observation(problem.cameras, jnp.asarray(problem.target), jnp.asarray(problem.weight), response)


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


def misfit(seen: Observation, points: Vector, motion: Vector) -> tuple[Vector, tuple[Vector, Vector]]:
    """A (π(X + F) - π(X)) - f of one view, px, and its Jacobian with respect to F; shapes as in `image_motion`."""
    (u, v), (row_u, row_v) = image_motion(seen.camera, points, motion)
    if seen.response is not None:
        a, b = seen.response
        u, v = a * u - b * v, b * u + a * v
        rows = list(zip(row_u, row_v, strict=True))
        row_u, row_v = tuple(a * x - b * y for x, y in rows), tuple(b * x + a * y for x, y in rows)
    f_u, f_v = coordinates(seen.target)
    return (u - f_u, v - f_v), (row_u, row_v)


def coordinates(vectors: Float[Array, "n c"]) -> Vector:
    """The columns as separate arrays.

    With coordinates as an axis XLA materialises every small product; apart, one view's whole evaluation becomes a
    single loop over points (ten times faster on a CPU).
    """
    return tuple(jnp.asarray(vectors).T)


@jax.jit
def predict(problem: Problem, motion: Float[Array, "n 3"]) -> Float[jax.Array, "v n 2"]:
    """The image motion of every point in every view, px per frame; without the views' response."""
    X, F = coordinates(problem.points), coordinates(motion)
    return jax.lax.map(lambda camera: jnp.stack(image_motion(camera, X, F)[0], axis=-1), problem.cameras)


@jax.jit
def residuals(problem: Problem, motion: Float[Array, "n 3"]) -> Float[jax.Array, "v n 2"]:
    """A (π(X + F) - π(X)) - target, px, weighted or not."""
    X, F = coordinates(problem.points), coordinates(motion)
    return jax.lax.map(lambda seen: jnp.stack(misfit(seen, X, F)[0], axis=-1), observations(problem))


def viewing_rays(problem: Problem) -> tuple[Float[jax.Array, "n 3"], Float[jax.Array, "n 1"]]:
    """Unit rays of the input view through the points, and the world length that one pixel spans at each of them."""
    camera = select(problem.cameras, problem.reference)
    x = to_camera(camera, problem.points)
    length = jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-9)
    rays = jnp.einsum("ij,ni->nj", camera.rotation, x / length, precision=HIGHEST)
    return rays, length / jnp.mean(camera.focal)


def radial_observed(problem: Problem) -> bool:
    """Whether views that say anything stand at different places (0.1 % of the median distance apart).

    Where all share one centre, a motion along the rays from it moves no pixel of any view.
    """
    used = np.asarray(problem.weight).sum(axis=1) > 0
    if not used.any():
        return False
    centres = np.asarray(positions(problem.cameras))[used]
    distance = np.median(np.linalg.norm(np.asarray(problem.points) - centres[0], axis=-1))
    return bool(np.ptp(centres, axis=0).max() > 1e-3 * distance)


def across_rays(problem: Problem, motion: Float[Array, "n 3"]) -> Float[jax.Array, "n 3"]:
    """The motion of the same image in the input view that ends at the distance it starts from: radial part 0.

    X + F is moved along its own ray until r·F = 0, so the input view sees exactly the same.
    """
    rays, pixel = viewing_rays(problem)
    length = pixel * jnp.mean(jnp.asarray(select(problem.cameras, problem.reference).focal))
    share = length / jnp.maximum(length + (rays * motion).sum(axis=-1, keepdims=True), NEAREST * length)
    return share * (motion + length * rays) - length * rays
