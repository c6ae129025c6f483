"""Videos that browsers play: H.264, yuv420p, index in front."""

import contextlib
import dataclasses
import itertools
import subprocess
from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np
from jaxtyping import Float, UInt8

from mom3d_jax.atomic import PathLike, replacing
from mom3d_jax.types import Array

Frame = UInt8[Array, "h w 3"] | Float[Array, "h w 3"]


@dataclasses.dataclass(frozen=True)
class VideoReport:
    """What a video file holds."""

    frames: int
    width: int
    height: int
    """Size of the picture in the file, even in both directions."""
    padded: bool
    """Whether the last column or row was repeated to make the size even."""
    saturated: int
    """How many values lay outside [0, 1] by more than half a step and were shown as 0 or 1."""


def to_bytes(frame: Frame) -> tuple[UInt8[np.ndarray, "h w 3"], int]:
    """A frame in 8 bits, and how many values lay outside [0, 1] by more than half a step of 1/255.

    Raises:
      ValueError: not [h, w, 3], not uint8 or floating, or a value that is NaN or infinite.
    """
    image = np.asarray(frame)
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ValueError(f"a frame of shape {image.shape} is not a picture [h, w, 3]")
    if image.dtype == np.uint8:
        return image, 0
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"a frame of {image.dtype} is neither uint8 nor floating in [0, 1]")
    if not np.isfinite(image).all():
        raise ValueError(f"a frame has {int((~np.isfinite(image)).sum())} values that are NaN or infinite")
    steps = np.round(255 * image)
    return np.clip(steps, 0, 255).astype(np.uint8), int(((steps < 0) | (steps > 255)).sum())


def ffmpeg() -> str:
    """Path of an ffmpeg program: the one of imageio-ffmpeg, or what IMAGEIO_FFMPEG_EXE names.

    Raises:
      ValueError: there is none; one line with the remedy.
    """
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise ValueError(
            "no video encoder: install imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to an ffmpeg with libx264"
        ) from error


def _command(path: str, width: int, height: int, fps: float) -> list[str]:
    """Arguments that encode raw RGB from the standard input; colours are tagged as BT.709, which players expect."""
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-"]
    colour = ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p"]
    colour += ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    target = ["-c:v", "libx264", "-crf", "17", "-movflags", "+faststart", "-f", "mp4", path]
    return [ffmpeg(), "-y", "-v", "error", *source, *colour, *target]


@contextlib.contextmanager
def _encoder(path: str, width: int, height: int, fps: float) -> Iterator[IO[bytes]]:
    """A pipe into an encoder; on leaving, the file is complete or an OSError says what ffmpeg said."""
    command = _command(path, width, height, fps)
    # Without a function to run in the child, Python need not fork, which a process with JAX's threads must not.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stdin is not None
    complete = False
    try:
        # An encoder that gave up closes the pipe; its own words, below, say why.
        with contextlib.suppress(BrokenPipeError):
            yield process.stdin
            complete = True
    except BaseException:
        process.kill()
        process.communicate()
        raise
    _, words = process.communicate()
    if process.returncode != 0 or not complete:
        lines = words.decode("utf-8", "replace").strip().splitlines() or [f"exit code {process.returncode}"]
        raise OSError(f"ffmpeg: {lines[0]}")


def write_video(path: PathLike, frames: Iterable[Frame], fps: float = 30) -> VideoReport:
    """Write frames as H.264, one after the other as they come.

    An odd width or height gets its last column or row repeated: the format needs even sizes, and scaling or cropping
    would move content.

    Args:
      path: the file, usually `.mp4`; replaced at once when it is complete.
      frames: pictures of one size, uint8 or floating in [0, 1].
      fps: frames per second.

    Raises:
      ValueError: no frames, a frame that is no picture or differs in size, or no encoder on this machine.
      OSError: the file cannot be written; the message names it.
    """
    images = iter(frames)
    first = next(images, None)
    if first is None:
        raise ValueError(f"no frames for {path}")
    height, width = to_bytes(first)[0].shape[:2]
    odd_row, odd_column = height % 2, width % 2
    count = saturated = 0
    with replacing(path) as draft, _encoder(str(draft), width + odd_column, height + odd_row, fps) as pipe:
        for frame in itertools.chain([first], images):
            image, outside = to_bytes(frame)
            if image.shape != (height, width, 3):
                raise ValueError(f"frame {count} of {path} has shape {image.shape}, the first {(height, width, 3)}")
            pipe.write(np.pad(image, ((0, odd_row), (0, odd_column), (0, 0)), mode="edge").tobytes())
            count, saturated = count + 1, saturated + outside
    return VideoReport(count, width + odd_column, height + odd_row, bool(odd_row or odd_column), saturated)
