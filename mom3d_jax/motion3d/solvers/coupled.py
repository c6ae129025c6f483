"""Reweighted least squares with neighbouring points coupled: the default solver."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from mom3d_jax.motion3d.problem import Problem, normal_equations, viewing_rays
from mom3d_jax.motion3d.solvers.linear import factorize, solve
from mom3d_jax.types import pytree, static


class CoupledState(NamedTuple):
    """Motion and the number of rounds done."""

    motion: Float[jax.Array, "n 3"]
    round: Int[jax.Array, ""]


@pytree
class Coupled:
    """Robust fit + viewing-ray damping + ½ β/K Σ_ij c_ij ‖u_i - u_j‖², with u = F / pixel the motion in px.

    The sum runs over pairs of neighbours, K at each point. c_ij = exp(-(log(z_i / z_j) / `depth_edge`)²) fades the
    coupling where the surface breaks in depth; pairs across the mask's border are not in the problem at all. Each round
    freezes the weights of the robust loss (smoothed by ε, as in `irls`) and takes `inner` steps of conjugate gradients,
    preconditioned by each point's own 3×3 block.
    """

    smoothness: float = 2.0
    """β as a share of the total weight Σ_v w of the pair (mean of the two), in 1/px²."""
    damping: float = 0.03
    """Stiffness along the viewing ray, as a share of Σ_v w, in 1/px²."""
    depth_edge: float = 0.1
    epsilon: float = 0.3
    """First smoothing of the loss, px."""
    shrink: float = 0.5
    """Factor on ε per round."""
    sharpest: float = 0.002
    """Last ε, px."""
    inner: int = static(default=10)
    iterations: int = static(default=9)
    tolerance: float = 0.0

    def init(self, problem: Problem) -> CoupledState:
        """No motion."""
        return CoupledState(jnp.zeros(problem.points.shape, jnp.float32), jnp.int32(0))

    def step(self, problem: Problem, state: CoupledState) -> CoupledState:
        """One round: linearise, reweight, solve for the update in px."""
        rays, pixel = viewing_rays(problem)
        ramp = jnp.float32(self.shrink) ** state.round.astype(jnp.float32)
        H, g = normal_equations(problem, state.motion, jnp.maximum(self.epsilon * ramp, self.sharpest))
        total = jnp.asarray(problem.weight).sum(axis=0)
        ray_stiffness = jnp.float32(self.damping) * total[:, None] * rays
        H = H * pixel[..., None] ** 2 + ray_stiffness[..., None] * rays[:, None, :]
        u = state.motion / pixel
        laplace, degree = self._laplacian(problem, pixel[:, 0], total)
        downhill = g * pixel + ray_stiffness * (rays * u).sum(axis=-1, keepdims=True) + laplace(u)
        eye = jnp.eye(3, dtype=jnp.float32)[None]
        block = factorize(H + (degree + 1e-9)[:, None, None] * eye)
        update = conjugate_gradients(
            lambda x: (H * x[:, None, :]).sum(axis=-1) + laplace(x), lambda x: solve(block, x), downhill, self.inner
        )
        return CoupledState(state.motion - update * pixel, state.round + 1)

    def _laplacian(
        self, problem: Problem, distance: Float[jax.Array, " n"], total: Float[jax.Array, " n"]
    ) -> tuple[Callable[[jax.Array], jax.Array], Float[jax.Array, " n"]]:
        """x ↦ β/K Σ_j c_ij (x_i - x_j) on the symmetric neighbour graph, and its diagonal."""
        j = jnp.asarray(problem.neighbours)
        n, k = j.shape
        gap = jnp.log(distance)[:, None] - jnp.log(distance)[j]
        other = j != jnp.broadcast_to(jnp.arange(n, dtype=j.dtype)[:, None], (n, k))
        c = jnp.where(other, jnp.exp(-jnp.square(gap / self.depth_edge)), 0)
        c = c * jnp.float32(self.smoothness / k) * (total[:, None] + total[j]) / 2
        degree = c.sum(axis=-1)

        def apply(x: jax.Array) -> jax.Array:
            return degree[:, None] * x - (c[..., None] * x[j]).sum(axis=1)

        return apply, degree


def conjugate_gradients(
    apply: Callable[[jax.Array], jax.Array],
    precondition: Callable[[jax.Array], jax.Array],
    b: Float[jax.Array, "n 3"],
    iterations: int,
) -> Float[jax.Array, "n 3"]:
    """x of A x = b after a fixed number of preconditioned steps from zero; exact zeros stay zero."""

    def dot(x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.sum(x * y)

    def divide(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(b > 0, a / jnp.where(b > 0, b, 1), 0)

    def advance(_: int, carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        x, r, p, rz = carry
        Ap = apply(p)
        length = divide(rz, dot(p, Ap))
        x, r = x + length * p, r - length * Ap
        z = precondition(r)
        rz_next = dot(r, z)
        return x, r, z + divide(rz_next, rz) * p, rz_next

    z = precondition(b)
    return jax.lax.fori_loop(0, iterations, advance, (jnp.zeros_like(b), b, z, dot(b, z)))[0]
