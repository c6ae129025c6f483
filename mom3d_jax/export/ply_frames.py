"""A moving scene as one PLY file per frame, `frame_0000.ply` and so on, for players of Gaussian sequences.

A field of one set is written as it is. Of a field that blends the images of two sets, a file of Gaussians can hold only
one: the set in front, and its header says so.
"""

import dataclasses
import logging
import re
import shutil
from pathlib import Path

import jax
import numpy as np

from mom3d_jax import __version__
from mom3d_jax.atomic import PathLike
from mom3d_jax.export.dynamic_scene import DynamicScene
from mom3d_jax.export.ply import header, properties, write_ply
from mom3d_jax.progress import Progress

log = logging.getLogger(__name__)

NAME = re.compile(r"frame_\d{4,}\.ply")


@dataclasses.dataclass(frozen=True)
class FramesReport:
    """What a folder of frames holds."""

    files: int
    bytes: int
    invisible: int
    """Rows left out, all files together: opacity exactly 0, as of rear copies at frame 0."""
    invalid: int
    """Rows left out, all files together: a value is not finite."""
    removed: int
    """Files of an earlier clip that were removed."""


def frame_name(frame: int) -> str:
    """Name of the file of a frame."""
    return f"frame_{frame:04d}.ply"


def frame_files(folder: PathLike) -> list[Path]:
    """The frame files that lie in a folder, whatever clip they are of."""
    place = Path(folder)
    return sorted(f for f in place.iterdir() if NAME.fullmatch(f.name)) if place.is_dir() else []


def frame_comments(scene: DynamicScene, frame: int) -> list[str]:
    """Header comments of a frame: where it comes from, and whether it is all that is shown at its time."""
    comments = [
        f"made by mom3d_jax {__version__}",
        "axes: OpenCV, x right, y down, z forward; the world is the input camera",
        f"frame {frame} of {scene.frames}, t = {scene.times[frame]:.6g}, field {scene.field}",
    ]
    if len(scene.copies.forward) > 1:
        comments += [
            f"forward set only: field {scene.field} blends its image with that of a second set, which is not in here",
            "both sets and their weights are in scene.4dgs.npz",
        ]
    return comments


def frame_sizes(scene: DynamicScene) -> list[int]:
    """Size of each file in bytes, exact where no value of the scene is NaN or infinite (such rows are left out)."""
    names = properties(np.shape(scene.gaussians.sh)[1])
    comments = (frame_comments(scene, frame) for frame in range(scene.frames))
    rows = scene.visible_rows().tolist()
    return [len(header(n, names, c)) + 4 * len(names) * n for n, c in zip(rows, comments, strict=True)]


def write_frames(folder: PathLike, scene: DynamicScene) -> FramesReport:
    """Write frames 0..T-1, after saying how much that will be.

    Frame files that lie in the folder are removed first, so that a reader never finds two clips mixed; nothing else in
    it is touched.

    Raises:
      ValueError: the disk has not that much free; the line says how much is needed.
      OSError: a file cannot be written; the message names it.
    """
    folder, sizes, old = Path(folder), frame_sizes(scene), frame_files(folder)
    total = sum(sizes)
    log.info(
        "%d files of up to %.1f MB each, %.1f MB in all, into %s", len(sizes), max(sizes) / 1e6, total / 1e6, folder
    )
    place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free + sum(file.lstat().st_size for file in old)
    if free < total:
        raise ValueError(
            f"{folder}: PLY frames need {total / 1e6:.1f} MB, the disk has {free / 1e6:.1f} MB free: free some, choose "
            "another --workdir, or add --config.export.ply_frames=False"
        )
    for file in old:
        file.unlink()
    reports = []
    with Progress("PLY frames", total=scene.frames) as progress:
        for frame in range(scene.frames):
            front = jax.device_get(scene.at(frame)[0][0])
            reports.append(write_ply(folder / frame_name(frame), front, frame_comments(scene, frame)))
            progress.update(frame + 1)
    return FramesReport(
        files=len(reports),
        bytes=sum(r.bytes for r in reports),
        invisible=sum(r.invisible for r in reports),
        invalid=sum(r.invalid for r in reports),
        removed=len(old),
    )
