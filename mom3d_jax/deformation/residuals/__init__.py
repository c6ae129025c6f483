"""Learned corrections to a copy that has moved, each behind one protocol and one line here.

A residual is a frozen dataclass of its options with `init(key) -> params`,
`apply(params, where [m, 3] in [-1, 1]³, times [k] in [-1, 1]) -> Delta` and `regularize(params) -> {name: scalar}`.
"""

import dataclasses
from typing import Any

from mom3d_jax.deformation.residuals.hexplane import HexPlaneResidual
from mom3d_jax.deformation.residuals.none import NoResidual
from mom3d_jax.deformation.residuals.protocol import Delta, Residual

RESIDUALS: dict[str, type] = {"none": NoResidual, "hexplane": HexPlaneResidual}


def make_residual(name: str, **options: Any) -> Residual:
    """A residual by its registered name.

    Raises:
      ValueError: an unknown name, or an option that the residual does not have.
    """
    if name not in RESIDUALS:
        raise ValueError(f"unknown residual {name!r}; known: {', '.join(RESIDUALS)}")
    known = [field.name for field in dataclasses.fields(RESIDUALS[name])]
    for option in options:
        if option not in known:
            raise ValueError(f"residual {name!r} has no option {option!r}; it has: {', '.join(known) or 'none'}")
    return RESIDUALS[name](**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})


__all__ = ["RESIDUALS", "Delta", "HexPlaneResidual", "NoResidual", "Residual", "make_residual"]
