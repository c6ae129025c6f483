"""Differentiable rasterization of 2D Gaussians."""

from ..binning.op import bucket
from .op import count_intersections, rasterize
from .self_check import self_check
from .types import Rasterized, Used

__all__ = ["Rasterized", "Used", "bucket", "count_intersections", "rasterize", "self_check"]
