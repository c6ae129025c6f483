"""Videos of generation views that were made elsewhere: folders of frames, or mp4 files."""

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.inputs.errors import InputError
from mom3d_jax.inputs.images import SUFFIXES as FRAME_SUFFIXES
from mom3d_jax.inputs.images import as_unit_range, read_photo, resize, same_aspect

SUFFIXES = (".mp4",)


def frames_in(video: Path) -> list[Path]:
    """The files of a video: a folder's in the order of the numbers in their names (`9.png` before `10.png`)."""
    if not video.is_dir():
        return [video]
    frames = [f for f in video.iterdir() if f.suffix.lower() in FRAME_SUFFIXES and not f.name.startswith(".")]
    pieces = {f: re.split(r"(\d+)", f.stem) for f in frames}
    return sorted(frames, key=lambda f: ([(int(p), "") if p.isdigit() else (-1, p) for p in pieces[f]], f.name))


def read_video(path: Path, frames: int, size: tuple[int, int]) -> tuple[Float[np.ndarray, "t h w 3"], list[str]]:
    """Read the first frames of a video.

    Args:
      path: a folder of PNG or JPEG frames, or an mp4 file.
      frames: how many are wanted, one per frame of a clip.
      size: (width, height) of the view. A video may have its own size, but not another aspect.

    Returns:
      RGB in [0, 1] at that size, and notes on what was not used.

    Raises:
      InputError: too few frames, another aspect, or a frame that cannot be read.
    """
    pictures = _of_folder(path) if path.is_dir() else _of_file(path)
    found, notes = [], []
    for place, picture, corrected in itertools.islice(pictures, frames):
        found.append(resize(_fitting(picture, size, place), size))
        notes += corrected
    if len(found) < frames:
        shorter = f", or ask for a shorter clip with --config.time.frames={len(found)}" if len(found) > 1 else ""
        raise InputError(f"{path}: {len(found)} frames, but a clip has {frames}; make more{shorter}")
    if len(notes) > 1:
        notes = [f"{notes[0]}; {len(notes) - 1} more frames alike"]
    if next(pictures, None) is not None:
        notes.append(f"{path.name}: longer than a clip; its first {frames} frames are used")
    return np.stack(found), notes


def _fitting(picture: np.ndarray, size: tuple[int, int], place: str) -> np.ndarray:
    """The picture, if it has the aspect of the view."""
    height, width = picture.shape[:2]
    # The working size is rounded to even numbers: a picture of the photo's own aspect may be a pixel off.
    if not (same_aspect((width, height), size) or abs(height * size[0] / width - size[1]) <= 1):
        raise InputError(
            f"{place}: {width}x{height} px, but the view is {size[0]}x{size[1]}; a frame has to show the whole view"
        )
    return picture


def _of_folder(folder: Path) -> Iterator[tuple[str, np.ndarray, list[str]]]:
    for frame in frames_in(folder):
        picture, notes = read_photo(frame)
        yield str(frame), picture, [f"{folder.name}/{note}" for note in notes]


def _of_file(path: Path) -> Iterator[tuple[str, np.ndarray, list[str]]]:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # its decoder's own lines on stderr, beside OpenCV's
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    video = cv2.VideoCapture(str(path))
    try:
        if not video.isOpened():
            raise InputError(f"{path}: not a video that can be read; save its frames as PNG in a folder {path.stem}/")
        for number in itertools.count():
            there, bgr = video.read()
            if not there:
                return
            yield f"{path}, frame {number}", as_unit_range(np.ascontiguousarray(bgr[..., ::-1]), path), []
    finally:
        video.release()
        cv2.utils.logging.setLogLevel(level)
