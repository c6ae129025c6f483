"""What the rasterizer returns."""

import dataclasses

import jax
from jax import Array
from jaxtyping import Float, Int


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Used:
    """What a rendering needed, so that nothing is dropped unseen.

    The rendering is valid only where `intersections <= capacity`; otherwise render again with
    `capacity=bucket(intersections)`.
    """

    intersections: Int[Array, ""]
    """Exact number of (tile, Gaussian) pairs; saturates at 2³¹ - 1."""
    culled: Int[Array, ""]
    """Gaussians left out because a value is not finite or the conic is not positive definite."""
    capacity: int = dataclasses.field(metadata={"static": True})
    """Size of the intersection buffer that the rendering was compiled for."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rasterized:
    """An image of blended Gaussians."""

    color: Float[Array, "h w c"]
    """Σ c α T + T_final · background."""
    alpha: Float[Array, "h w"]
    """1 - T_final."""
    depth: Float[Array, "h w"]
    """Σ z α T: not divided by alpha, without background."""
    used: Used
