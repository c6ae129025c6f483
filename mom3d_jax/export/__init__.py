"""Files for people and for other programs: PLY, the native scene file, videos, pictures."""

from mom3d_jax.export.contact_sheet import Cell, compose, contact_sheet
from mom3d_jax.export.curves import Curve, Panel, draw_panels
from mom3d_jax.export.dynamic_scene import Copies, DynamicScene
from mom3d_jax.export.flow_sheet import ViewFlows, colour_key, flow_sheet
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
    "Curve",
    "DynamicScene",
    "FramesReport",
    "Panel",
    "PlyReport",
    "VideoReport",
    "ViewFlows",
    "change_picture",
    "colour_key",
    "compose",
    "contact_sheet",
    "depth_picture",
    "draw_panels",
    "flow_picture",
    "flow_sheet",
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
