"""Pictures beside a result: some frames with truth and error, for the report; all frames where they are asked for."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from mom3d_jax.evaluation.samples import INPUT_PATH, TruthClip
from mom3d_jax.export import change_picture, to_bytes, write_png

SHOWN = {INPUT_PATH: (0.5, 1.0), "circle": (0.25, 1.0), "zoom-in": (1.0,)}
"""Path -> shares of its frames that the report shows."""
FULL_ERROR = 0.25
"""Difference that has the brightest colour of an error map."""

Frames = UInt8[np.ndarray, "k h w 3"]


def write_shown(folder: Path, path: str, frames: Frames, truth: TruthClip | None) -> None:
    """Write `<path>_<frame>_ours.png` and, with a truth, `_truth` and `_error` beside it.

    Args:
      folder: for the pictures.
      path: a path; those that the report does not show are left out.
      frames: what was made.
      truth: what it should be.
    """
    for share in SHOWN.get(path, ()):
        k = round(share * (len(frames) - 1))
        picture = frames[k] / np.float32(255)
        write_png(folder / f"{path}_{k:03d}_ours.png", picture)
        if truth is not None:
            true = truth.frames[k] / np.float32(255)
            write_png(folder / f"{path}_{k:03d}_truth.png", true)
            write_png(folder / f"{path}_{k:03d}_error.png", change_picture(true, picture, FULL_ERROR))


def write_frames(folder: Path, clips: Mapping[str, Frames]) -> None:
    """Every frame as `<path>/000000.png`, as predictions are read."""
    for path, clip in clips.items():
        for k, frame in enumerate(clip):
            write_png(folder / path / f"{k:06d}.png", frame)


def jpeg(picture: UInt8[np.ndarray, "h w 3"], width: int, quality: int = 85) -> bytes:
    """A picture as JPEG, no wider than `width` px."""
    height = round(picture.shape[0] * width / picture.shape[1])
    if picture.shape[1] > width:
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    _, code = cv2.imencode(".jpg", to_bytes(picture)[0][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return code.tobytes()
