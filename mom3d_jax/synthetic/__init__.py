"""Procedural landscapes with exact depth, motion and frames of every view."""

from mom3d_jax.synthetic.annotation import labelme
from mom3d_jax.synthetic.families import FAMILIES
from mom3d_jax.synthetic.files import write_scene
from mom3d_jax.synthetic.scene import Rendering, SyntheticScene, landscape, render

__all__ = ["FAMILIES", "Rendering", "SyntheticScene", "labelme", "landscape", "render", "write_scene"]
