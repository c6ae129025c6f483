"""What a residual takes and gives."""

from typing import NamedTuple, Protocol

import jax
from jaxtyping import Array as JaxArray
from jaxtyping import Float

from mom3d_jax.types import Array


class Delta(NamedTuple):
    """Corrections to the unconstrained parameters of m Gaussians at k times."""

    pixels: Float[jax.Array, "k m 3"]
    """Translation in px of the input view at the Gaussian's depth."""
    log_scales: Float[jax.Array, "k m 3"]
    quaternions: Float[jax.Array, "k m 4"]
    opacity_logits: Float[jax.Array, "k m"]
    sh_dc: Float[jax.Array, "k m 3"]
    """Correction of the degree-0 colour coefficients."""


class Residual(Protocol):
    """A correction field over the movable Gaussians and time; hashable, since it is part of a tree structure."""

    def init(self, key: JaxArray) -> dict:
        """Initial parameters, a nested dict of arrays; `apply` gives exact zeros with them."""
        ...

    def apply(self, params: dict, where: Float[Array, "m 3"], times: Float[Array, " k"]) -> Delta:
        """Corrections at `where` in [-1, 1]³ and signed `times` in [-1, 1] (elapsed frames over the period)."""
        ...

    def regularize(self, params: dict) -> dict[str, Float[jax.Array, ""]]:
        """Terms to add to the loss, already weighted."""
        ...
