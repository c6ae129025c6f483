"""Φ3→2: the point cloud seen from other cameras, with occlusion, hole fill and validity (paper §3.1.2, eq. 2)."""

from mom3d_jax.views.carry import carry, carry_flow
from mom3d_jax.views.raster import Raster, rasterize
from mom3d_jax.views.render import render_views

__all__ = ["Raster", "carry", "carry_flow", "rasterize", "render_views"]
