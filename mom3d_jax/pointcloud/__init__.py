"""Φ2→3: every pixel of the photo becomes a point of the world (paper §3.1.1)."""

from mom3d_jax.pointcloud.edges import snap_between
from mom3d_jax.pointcloud.lift import lift
from mom3d_jax.pointcloud.neighbours import grid_neighbours
from mom3d_jax.pointcloud.wider import beyond_the_photo, lift_new, marked, near_moving, scale_of

__all__ = [
    "beyond_the_photo",
    "grid_neighbours",
    "lift",
    "lift_new",
    "marked",
    "near_moving",
    "scale_of",
    "snap_between",
]
