"""Dense Eulerian flow of every view from its hints or from files (paper §3.2.1)."""

from mom3d_jax.flow.estimate import estimate_flow
from mom3d_jax.flow.hints import hint_flow
from mom3d_jax.flow.taper import taper

__all__ = ["estimate_flow", "hint_flow", "taper"]
