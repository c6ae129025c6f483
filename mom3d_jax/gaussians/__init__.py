"""3D Gaussians: parameters, activations, creation from a point cloud."""

from mom3d_jax.gaussians.creation import EXTENTS, UNITS, from_points
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
    "UNITS",
    "concatenate",
    "fade",
    "from_points",
    "movable_rows",
    "opacities",
    "rest_rows",
    "scales",
]
