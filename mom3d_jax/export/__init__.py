"""Files for people and for other programs: PLY, the native scene file, videos, pictures."""

from mom3d_jax.export.contact_sheet import compose, contact_sheet
from mom3d_jax.export.npz import DynamicScene, read_scene, write_scene
from mom3d_jax.export.pictures import depth_picture, flow_picture, hint_arrows, mask_overlay, write_png
from mom3d_jax.export.ply import PlyReport, read_ply, read_vertices, write_ply
from mom3d_jax.export.video import VideoReport, to_bytes, write_video

__all__ = [
    "DynamicScene",
    "PlyReport",
    "VideoReport",
    "compose",
    "contact_sheet",
    "depth_picture",
    "flow_picture",
    "hint_arrows",
    "mask_overlay",
    "read_ply",
    "read_scene",
    "read_vertices",
    "to_bytes",
    "write_ply",
    "write_png",
    "write_scene",
    "write_video",
]
