"""Learned corrections to a copy that has moved, each behind one protocol and one line here.

A residual is a frozen dataclass of its options with `init(key) -> params`,
`apply(params, where [m, 3] in [-1, 1]³, times [k] in [-1, 1]) -> Delta` and `regularize(params) -> {name: scalar}`.
"""

from mom3d_jax.deformation.residuals.hexplane import HexPlaneResidual
from mom3d_jax.deformation.residuals.none import NoResidual
from mom3d_jax.deformation.residuals.protocol import Delta, Residual

RESIDUALS: dict[str, type] = {"none": NoResidual, "hexplane": HexPlaneResidual}

__all__ = ["RESIDUALS", "Delta", "HexPlaneResidual", "NoResidual", "Residual"]
