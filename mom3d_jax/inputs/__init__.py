"""Image, annotation, mask, depth, flow and video files → `Scene`, everything at one working size."""

from mom3d_jax.inputs.depth_files import as_positive_z
from mom3d_jax.inputs.errors import InputError
from mom3d_jax.inputs.files import SceneFiles, find_files
from mom3d_jax.inputs.images import read_mask
from mom3d_jax.inputs.scene import load_scene
from mom3d_jax.inputs.video_files import read_video

__all__ = ["InputError", "SceneFiles", "as_positive_z", "find_files", "load_scene", "read_mask", "read_video"]
