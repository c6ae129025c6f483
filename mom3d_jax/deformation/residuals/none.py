"""No correction: the scene-flow copies alone."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array as JaxArray
from jaxtyping import Float

from mom3d_jax.deformation.residuals.protocol import Delta
from mom3d_jax.types import Array


@dataclasses.dataclass(frozen=True)
class NoResidual:
    """Zero everywhere, without parameters."""

    def init(self, key: JaxArray) -> dict:
        """No parameters."""
        del key
        return {}

    def apply(self, params: dict, where: Float[Array, "m 3"], times: Float[Array, " k"]) -> Delta:
        """Zeros."""
        del params
        shape = (times.shape[0], where.shape[0])
        pixels, quaternions = jnp.zeros((*shape, 3)), jnp.zeros((*shape, 4))
        return Delta(pixels, jnp.zeros_like(pixels), quaternions, jnp.zeros(shape), jnp.zeros_like(pixels))

    def regularize(self, params: dict) -> dict[str, Float[jax.Array, ""]]:
        """Nothing to regularise."""
        del params
        return {}
