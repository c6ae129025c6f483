"""Gaussians to pixels: EWA projection, spherical harmonics, rasterization of one or many views."""

from mom3d_jax.kernels.backends import choose as choose_backend
from mom3d_jax.kernels.rasterize import Rasterized, Used, bucket, self_check
from mom3d_jax.render.drawer import Drawer
from mom3d_jax.render.projection import Projected, project_gaussians
from mom3d_jax.render.spherical_harmonics import sh_colors
from mom3d_jax.render.views import needed_capacity, over_views, rasterize_views, render_view

__all__ = [
    "Drawer",
    "Projected",
    "Rasterized",
    "Used",
    "bucket",
    "choose_backend",
    "needed_capacity",
    "over_views",
    "project_gaussians",
    "rasterize_views",
    "render_view",
    "self_check",
    "sh_colors",
]
