"""3D Gaussians: parameters, activations, creation from a point cloud."""

from mom3d_jax.gaussians.creation import EXTENTS, MOVES, UNITS, arrange, from_points, isotropic, nearest_three
from mom3d_jax.gaussians.parameters import (
    concatenate,
    fade,
    movable_rows,
    opacities,
    rest_rows,
    scales,
)

__all__ = [
    "EXTENTS",
    "MOVES",
    "UNITS",
    "arrange",
    "concatenate",
    "fade",
    "from_points",
    "isotropic",
    "movable_rows",
    "nearest_three",
    "opacities",
    "rest_rows",
    "scales",
]
