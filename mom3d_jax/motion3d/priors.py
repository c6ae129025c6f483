"""What is known of the motion besides the flows: quadratic priors, part of the problem and not of a solver.

With u = F / pixel the motion in px of the input view, S_i = Σ_v w_vi, unit viewing rays r and unit surface normals n:

    ½ damping Σ_i S_i (r_i·u_i)² + ½ tangency Σ_i S_i (n_i·u_i)² + ½ smoothness/K Σ_ij c_ij ‖u_i - u_j‖²

The last sum runs over pairs of neighbours, K at each point. c_ij = (S_i + S_j)/2 · exp(-(log(z_i / z_j) / depth_edge)²)
fades where the surface breaks in depth; pairs across the mask's border are not in the problem at all.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from mom3d_jax.types import pytree

Vector = tuple[jax.Array, ...]
"""Three arrays [n], the coordinates apart: with coordinates as an axis XLA materialises every small product."""
UPPER = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""Entries of a symmetric 3×3 matrix, in the order in which they are kept as separate arrays."""


@pytree
class Priors:
    """Stiffness of each prior, as a share of Σ_v w, in 1/px². All zero: the plain problem of the paper."""

    damping: float = 0.0
    """Along the viewing ray of the input view: that part moves no pixel there, and little in the others."""
    smoothness: float = 0.0
    """Between neighbours on the same surface."""
    depth_edge: float = 0.1
    """Width of a break in the surface, in logarithms of depth."""
    tangency: float = 0.0
    """Along the surface normal: water moves along its surface. Nothing at points without a normal."""


PLAIN = Priors()
"""None."""


class Penalty(NamedTuple):
    """The priors of one problem, ready to be evaluated at u."""

    rays: Vector
    normals: Vector
    along_ray: Float[jax.Array, " n"]
    """damping · S."""
    along_normal: Float[jax.Array, " n"]
    """tangency · S."""
    neighbours: Int[jax.Array, "k n"]
    coupling: Float[jax.Array, "k n"]
    """smoothness / K · c, 0 for the own index."""


def dot(a: Vector, b: Vector) -> jax.Array:
    """Scalar product of vectors kept by coordinates."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def couplings(
    priors: Priors, neighbours: Int[jax.Array, "k n"], distance: Float[jax.Array, " n"], total: Float[jax.Array, " n"]
) -> Float[jax.Array, "k n"]:
    """smoothness / K · c_ij of each pair, from the points' distances and total weights S."""
    k, n = neighbours.shape
    depth, own = jnp.log(distance), jnp.arange(n, dtype=neighbours.dtype)

    def one(j: Int[jax.Array, " n"]) -> Float[jax.Array, " n"]:
        near = jnp.exp(-jnp.square((depth - depth[j]) / priors.depth_edge))
        return jnp.where(j == own, 0, near * jnp.float32(priors.smoothness / max(k, 1)) * (total + total[j]) / 2)

    return jnp.stack([one(j) for j in neighbours]) if k else jnp.zeros((0, n), jnp.float32)


def energy(penalty: Penalty, u: Vector) -> Float[jax.Array, " n"]:
    """What the priors charge each point for moving by u px; a pair's share is halved between its two points."""
    local = penalty.along_ray * dot(penalty.rays, u) ** 2 + penalty.along_normal * dot(penalty.normals, u) ** 2
    for c, j in zip(penalty.coupling, penalty.neighbours, strict=True):
        local += c / 2 * sum((x - x[j]) ** 2 for x in u)
    return local / 2


def pull(penalty: Penalty, u: Vector) -> Vector:
    """Gradient of Σ `energy` with respect to u; the neighbour graph must be symmetric."""
    ray = penalty.along_ray * dot(penalty.rays, u)
    normal = penalty.along_normal * dot(penalty.normals, u)
    smooth = laplacian(penalty, u)
    return tuple(ray * penalty.rays[i] + normal * penalty.normals[i] + smooth[i] for i in range(3))


def laplacian(penalty: Penalty, u: Vector) -> Vector:
    """Σ_j coupling_ij (u_i - u_j)."""
    pairs = list(zip(penalty.coupling, penalty.neighbours, strict=True))
    return tuple(sum((c * (x - x[j]) for c, j in pairs), jnp.zeros_like(x)) for x in u)


def local_entries(penalty: Penalty) -> Vector:
    """The six `UPPER` entries of damping and tangency: damping r rᵀ + tangency n nᵀ, times S."""
    r, n = penalty.rays, penalty.normals
    return tuple(penalty.along_ray * r[i] * r[j] + penalty.along_normal * n[i] * n[j] for i, j in UPPER)


def degree(penalty: Penalty) -> Float[jax.Array, " n"]:
    """Diagonal of `laplacian`."""
    return penalty.coupling.sum(axis=0)
