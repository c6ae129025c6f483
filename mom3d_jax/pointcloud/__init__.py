"""Φ2→3: every pixel of the photo becomes a point of the world (paper §3.1.1)."""

from mom3d_jax.pointcloud.edges import snap_between
from mom3d_jax.pointcloud.lift import lift
from mom3d_jax.pointcloud.neighbours import grid_neighbours

__all__ = ["grid_neighbours", "lift", "snap_between"]
