"""Gaussians to pixels: EWA projection, spherical harmonics, rasterization of one or many views."""

from mom3d_jax.render.projection import Projected, project_gaussians
from mom3d_jax.render.spherical_harmonics import sh_colors
from mom3d_jax.render.views import needed_capacity, over_views, render_view

__all__ = [
    "Projected",
    "needed_capacity",
    "project_gaussians",
    "render_view",
    "over_views",
    "sh_colors",
]
