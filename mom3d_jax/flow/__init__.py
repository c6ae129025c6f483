"""Dense Eulerian flow of every view from its hints or from files (paper §3.2.1)."""

from mom3d_jax.flow.estimate import estimate_flow, width_of
from mom3d_jax.flow.hints import hint_flow
from mom3d_jax.flow.interpolation import INTERPOLATIONS, choose_interpolation, cross_validate
from mom3d_jax.flow.space import Velocities, lift_hints, space_flow
from mom3d_jax.flow.taper import taper

__all__ = [
    "INTERPOLATIONS",
    "Velocities",
    "choose_interpolation",
    "cross_validate",
    "estimate_flow",
    "hint_flow",
    "lift_hints",
    "space_flow",
    "taper",
    "width_of",
]
