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

    def apply(self, params: dict, where: Float[Array, "m 3"], time: Float[Array, ""]) -> Delta:
        """Zeros."""
        del params, time
        m = where.shape[0]
        return Delta(jnp.zeros((m, 3)), jnp.zeros((m, 3)), jnp.zeros((m, 4)), jnp.zeros(m), jnp.zeros((m, 3)))

    def regularize(self, params: dict) -> dict[str, Float[jax.Array, ""]]:
        """Nothing to regularise."""
        del params
        return {}
