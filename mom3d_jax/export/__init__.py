"""Files for people and for other programs: PLY, the native scene file, videos, pictures."""

from mom3d_jax.export.contact_sheet import Cell, compose, contact_sheet
from mom3d_jax.export.dynamic_scene import Copies, DynamicScene
from mom3d_jax.export.npz import read_scene, write_scene
from mom3d_jax.export.pictures import (
    change_picture,
    depth_picture,
    flow_picture,
    hint_arrows,
    mask_overlay,
    unknown_checkered,
    write_png,
)
from mom3d_jax.export.ply import PlyReport, read_ply, read_vertices, write_ply
from mom3d_jax.export.ply_frames import FramesReport, frame_comments, frame_files, frame_name, frame_sizes, write_frames
from mom3d_jax.export.video import VideoReport, to_bytes, write_video

__all__ = [
    "Cell",
    "Copies",
    "DynamicScene",
    "FramesReport",
    "PlyReport",
    "VideoReport",
    "change_picture",
    "compose",
    "contact_sheet",
    "depth_picture",
    "flow_picture",
    "frame_comments",
    "frame_files",
    "frame_name",
    "frame_sizes",
    "hint_arrows",
    "mask_overlay",
    "read_ply",
    "read_scene",
    "read_vertices",
    "to_bytes",
    "unknown_checkered",
    "write_frames",
    "write_ply",
    "write_png",
    "write_scene",
    "write_video",
]
