"""Frames that another method made, judged like ours: `PRED/<sample>/<path>/000000.png …` or `PRED/<sample>/<path>.mp4`.

Everything is looked at before anything is scored, so that one run names all that has to be mended.
"""

import contextlib
import dataclasses
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from mom3d_jax import artifacts
from mom3d_jax.evaluation.samples import INPUT_PATH, Sample, Size
from mom3d_jax.evaluation.task import Rendered, Task
from mom3d_jax.inputs import InputError
from mom3d_jax.inputs.images import decode, resize

log = logging.getLogger(__name__)

NUMBER = re.compile(r"\d{6}")


@dataclasses.dataclass(frozen=True)
class Clips:
    """The clips of one sample: path -> folder of frames, or mp4 file."""

    places: dict[str, Path]
    lossy: bool
    """Whether any of them is a compressed video."""

    def key(self) -> str:
        """Content key."""
        return artifacts.key_of({p: artifacts.key_of_files(_files(place)) for p, place in self.places.items()})


def find(folder: Path, samples: list[Sample], tasks: dict[str, Task], size_of: dict[str, Size]) -> dict[str, Clips]:
    """The predictions for samples.

    Args:
      folder: of the method.
      samples: of the data set.
      tasks: by name of the sample: its paths and its number of frames. Frames of the standing camera may be left out.
      size_of: (width, height) that is scored, by name of the sample. Frames of the truth's own size will do as well and
        are averaged down like it.

    Raises:
      InputError: something is missing, unreadable, or of another number or size; where it is more than one clip, each
        has its line in the log.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; --predictions takes a folder with one folder per scene")
    found, wrong = {}, []
    for sample in samples:
        task, places = tasks[sample.name], {}
        for path in task.paths:
            try:
                place = _place(folder / sample.name, path)
                if place is None:
                    continue
                sizes = {size_of[sample.name], *([sample.truth.size] if sample.truth else [])}
                _check(place, task.frames, sizes)
                places[path] = place
            except InputError as error:
                wrong.append(str(error))
        found[sample.name] = Clips(places, any(place.is_file() for place in places.values()))
    if len(wrong) > 1:
        for line in wrong:
            log.error("%s", line)
        raise InputError(f"{folder}: {len(wrong)} clips cannot be scored, named above; nothing was scored")
    if wrong:
        raise InputError(wrong[0])
    return found


def read(task: Task, clips: Clips, size: Size) -> Rendered:
    """The frames of one sample at the size that is scored."""
    shown = {p: np.stack([resize(f, size) for f in _frames(place)]) for p, place in clips.places.items()}
    notes = ["compressed video: its losses count"] if clips.lossy else []
    if INPUT_PATH in task.paths and INPUT_PATH not in shown:
        notes.append("no frames of the standing camera")
    return Rendered(size, shown, notes=notes)


def _place(folder: Path, path: str) -> Path | None:
    """Where a clip lies; None for one that may be left out."""
    there = [place for place in (folder / path, folder / f"{path}.mp4") if place.exists()]
    if len(there) == 2:
        raise InputError(f"{folder}: both {path}/ and {path}.mp4 are there; keep one")
    if not there and path != INPUT_PATH:
        raise InputError(f"{folder / path}: no frames 000000.png …, and no {path}.mp4 either; add one of them")
    return there[0] if there else None


def _check(place: Path, count: int, sizes: set[Size]) -> None:
    """Refuse a clip of another number or size of frames."""
    if place.is_dir():
        names = [file.stem for file in _files(place)]
        wanted = [f"{k:06d}" for k in range(count)]
        missing = [name for name in wanted if name not in names]
        if missing or len(names) != count:
            which = f", {missing[0]}.png is missing" if missing else ""
            raise InputError(f"{place}: {len(names)} frames, {count} wanted{which}")
    number, said = 0, " or ".join(f"{w}x{h}" for w, h in sorted(sizes))
    for frame in _frames(place):
        if frame.shape[1::-1] not in sizes:
            raise InputError(
                f"{place}, frame {number}: {frame.shape[1]}x{frame.shape[0]} px, {said} wanted; scale the frames"
            )
        number += 1
    if number != count:
        raise InputError(f"{place}: {number} frames, {count} wanted; cut it, or make it longer")


def _files(place: Path) -> list[Path]:
    """The frames of a folder in their order, or the video."""
    if place.is_file():
        return [place]
    return sorted(f for f in place.iterdir() if f.suffix.lower() == ".png" and NUMBER.fullmatch(f.stem))


def _frames(place: Path) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """RGB frames, one after the other."""
    if place.is_dir():
        for file in _files(place):
            yield np.ascontiguousarray(decode(file, cv2.IMREAD_COLOR)[..., ::-1])
        return
    with _opened(place) as video:
        there, bgr = video.read()
        while there:
            yield np.ascontiguousarray(bgr[..., ::-1])
            there, bgr = video.read()


@contextlib.contextmanager
def _opened(place: Path) -> Iterator[cv2.VideoCapture]:
    """A video, without what its decoder has to say on stderr."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    video = cv2.VideoCapture(str(place))
    try:
        if not video.isOpened():
            raise InputError(f"{place}: not a video that can be read; save its frames as PNG in {place.stem}/")
        yield video
    finally:
        video.release()
        cv2.utils.logging.setLogLevel(level)
