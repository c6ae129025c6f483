"""Image, annotation, mask, depth and flow files → `Scene`, everything at one working size."""

from mom3d_jax.inputs.errors import InputError
from mom3d_jax.inputs.scene import load_scene

__all__ = ["InputError", "load_scene"]
