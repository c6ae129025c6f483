"""Pinhole cameras and the paths they follow."""

from mom3d_jax.cameras.generation import INPUT_VIEW, Rig, generation_cameras, heldout_cameras
from mom3d_jax.cameras.paths import PATHS, path_cameras
from mom3d_jax.cameras.pinhole import (
    input_camera,
    pixel_grid,
    positions,
    project,
    relative_to,
    select,
    to_camera,
    unproject,
)

__all__ = [
    "INPUT_VIEW",
    "PATHS",
    "Rig",
    "generation_cameras",
    "heldout_cameras",
    "input_camera",
    "path_cameras",
    "pixel_grid",
    "positions",
    "project",
    "relative_to",
    "select",
    "to_camera",
    "unproject",
]
