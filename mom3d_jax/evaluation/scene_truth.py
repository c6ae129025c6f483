"""The truth of a synthetic scene, read from the folder `truth/` beside its photo. `docs/evaluation.md` has the layout.

Truth that is larger than what is scored is brought to that size by averaging over areas; flow counts px of the new
size. A pixel moves where more than half of its area does, and is hidden where any part of it is.
"""

import dataclasses
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mom3d_jax import artifacts
from mom3d_jax.evaluation.samples import INPUT_PATH, Geometry, Poses, Size, TruthClip
from mom3d_jax.inputs import InputError
from mom3d_jax.inputs.array_files import read_npy
from mom3d_jax.inputs.depth_files import resize_depth
from mom3d_jax.inputs.images import decode, resize
from mom3d_jax.synthetic.dataset import FORMAT

NEEDED = ("width", "height", "focal", "frames", "loop_period", "paths", "truths", "depth_scale")
"""What `scene.json` has to say."""


@dataclasses.dataclass(frozen=True)
class SceneTruth:
    """`samples.Truth` of a folder `truth/`."""

    folder: Path
    about: dict[str, Any]
    cameras: dict[str, Any]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of both truths those that were rendered."""
        return tuple(self.about["truths"])

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths with frames; that of the standing camera needs no entry in scene.json."""
        named = tuple(self.about["paths"])
        there = (self.folder / self.kinds[0] / INPUT_PATH).is_dir()
        return named if INPUT_PATH in named or not there else (INPUT_PATH, *named)

    @property
    def frames(self) -> int:
        """Frames per path."""
        return int(self.about["frames"])

    @property
    def period(self) -> int:
        """Of the periodic truth."""
        return int(self.about["loop_period"])

    @property
    def size(self) -> Size:
        """Of its own frames."""
        return int(self.about["width"]), int(self.about["height"])

    @property
    def focal(self) -> float:
        """In px of its own size."""
        return float(np.max(self.about["focal"]))

    @property
    def unit(self) -> float:
        """`depth_scale`."""
        return float(self.about["depth_scale"])

    @property
    def exact_geometry(self) -> bool:
        """Always known."""
        return True

    @functools.cached_property
    def key(self) -> str:
        """Of what the JSON files say, and of names and sizes of all others."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        sizes = [(path.relative_to(self.folder).as_posix(), path.stat().st_size) for path in files]
        return artifacts.key_of(self.about, self.cameras, sizes)

    def poses(self, path: str) -> Poses:
        """The cameras of a path; those of the standing camera are the photo's where there is no entry."""
        entry = self.cameras.get(path)
        if entry is None and path == INPUT_PATH:
            return Poses(np.broadcast_to(np.eye(3), (self.frames, 3, 3)), np.zeros((self.frames, 3)))
        file = self.folder / "cameras.json"
        if entry is None:
            raise InputError(f"{file}: no cameras of path {path!r}; write the truth again")
        rotation, translation = np.asarray(entry["rotation"], float), np.asarray(entry["translation"], float)
        if rotation.shape != (self.frames, 3, 3) or translation.shape != (self.frames, 3):
            raise InputError(f"{file}: {path!r} has not {self.frames} cameras; write the truth again")
        return Poses(rotation, translation)

    def clip(self, kind: str, path: str, size: Size) -> TruthClip:
        """The frames of a path.

        Raises:
          InputError: a frame or file that is missing, unreadable or of another size.
        """
        folder = self.folder / kind / path
        frames = np.stack([resize(self._picture(folder / f"{k:06d}.png"), size) for k in range(self.frames)])
        moving, flow, hidden = self._motion(folder / "motion.npz")
        scale = np.array([size[0] / self.size[0], size[1] / self.size[1]], np.float32)
        return TruthClip(
            frames=frames,
            valid=np.ones(frames.shape[:3], np.float32),
            moving=np.stack([(resize(m, size) > 0.5).astype(np.float32) for m in moving]),
            flow=np.stack([resize(f, size) * scale for f in flow]),
            hidden=np.stack([(resize(m, size) > 0).astype(np.float32) for m in hidden]),
        )

    def photo(self, kind: str) -> Path | None:
        """Frame 0 of the standing camera where it is not the photo, to the bit."""
        first, photo = self.folder / kind / INPUT_PATH / "000000.png", self.folder.parent / "image.png"
        if not first.is_file() or not photo.is_file():
            return None
        return None if np.array_equal(self._picture(first), self._picture(photo)) else first

    def geometry(self, size: Size) -> Geometry:
        """What is true of the photo."""
        arrays = {
            name: read_npy(self.folder / f"{name}.npy").astype(np.float32) for name in ("depth", "motion", "flow")
        }
        width, height = self.size
        for name, shape in {"depth": (), "motion": (3,), "flow": (2,)}.items():
            if arrays[name].shape != (height, width, *shape) or not np.isfinite(arrays[name]).all():
                wanted = [height, width, *shape]
                raise InputError(f"{self.folder / name}.npy: not {wanted} finite numbers; write the truth again")
        mask = decode(self.folder / "mask.png", cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
        scale = np.array([size[0] / width, size[1] / height], np.float32)
        return Geometry(
            depth=resize_depth(arrays["depth"], size),
            # Not averaged: between two surfaces nothing moves like the mean of both.
            motion=cv2.resize(arrays["motion"], size, interpolation=cv2.INTER_NEAREST_EXACT),
            mask=(resize(mask, size) > 0.5).astype(np.float32),
            flow=resize(arrays["flow"], size) * scale,
        )

    def write_given(self, folder: Path, names: tuple[str, ...]) -> None:
        """Write what is true, or what was spoilt on purpose, as input files.

        Args:
          folder: an input folder of the pipeline.
          names: "depth", "mask", "flow" of the photo; "corrupted": all that `given/` beside the truth holds.

        Raises:
          InputError: no `given/` folder.
        """
        for name, file in {"depth": "depth.npy", "flow": "flow.npy", "mask": "mask.png"}.items():
            if name in names:
                shutil.copyfile(self.folder / file, folder / file)
        if "corrupted" in names:
            spoilt = self.folder.parent / "given"
            if not spoilt.is_dir():
                (width, height), frames = self.size, self.frames
                raise InputError(
                    f"{spoilt}: no such folder, so there is nothing spoilt to fit; make scenes with it: python -m "
                    f"mom3d_jax synth --out DIR --scenes N --size {width}x{height} --frames {frames} "
                    "--corrupt depth=0.05,flow=1"
                )
            # The photo is not spoilt, and that of the periodic truth may be another one.
            shutil.copytree(spoilt, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("image.png"))

    def _picture(self, file: Path) -> np.ndarray:
        picture = decode(file, cv2.IMREAD_COLOR)
        if picture.shape[1::-1] != self.size:
            width, height = self.size
            raise InputError(f"{file}: {picture.shape[1]}x{picture.shape[0]} px, not {width}x{height}; write it again")
        return np.ascontiguousarray(picture[..., ::-1])

    def _motion(self, file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """moving [k,h,w], flow [k-1,h,w,2] and hidden [k-1,h,w], float32."""
        (width, height), count = self.size, self.frames
        shapes = {"moving": (count,), "flow": (count - 1,), "hidden": (count - 1,)}
        try:
            with file.open("rb") as raw, np.load(raw, allow_pickle=False) as arrays:
                found = [arrays[name].astype(np.float32) for name in shapes]
        except Exception as error:
            raise InputError(f"{file}: not readable ({type(error).__name__}); write the truth again") from error
        for array, (name, length) in zip(found, shapes.items(), strict=True):
            if array.shape != (*length, height, width, *((2,) if name == "flow" else ())):
                raise InputError(f"{file}: {name} is {list(array.shape)}, not of {width}x{height} px; write it again")
        return found[0], found[1], found[2]


def read_truth(folder: Path) -> SceneTruth | None:
    """The truth about a scene folder; None where it has none.

    Args:
      folder: the scene's, which may hold `truth/scene.json`.

    Raises:
      InputError: JSON that is damaged, incomplete or of another format.
    """
    file = folder / "truth" / "scene.json"
    if not file.is_file():
        return None
    about = read_json(file)
    if about.get("format") != FORMAT:
        raise InputError(f"{file}: format {about.get('format')!r}, this program reads {FORMAT}; make the scene again")
    if missing := [name for name in NEEDED if name not in about]:
        raise InputError(f"{file}: says nothing of {', '.join(missing)}; make the scene again")
    cameras = read_json(file.with_name("cameras.json"))
    return SceneTruth(file.parent, about, cameras.get("paths", cameras))


def read_json(file: Path) -> dict[str, Any]:
    """An object of a JSON file.

    Raises:
      InputError: missing, damaged, or no object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); make it again") from error
    except ValueError as error:
        raise InputError(f"{file}: not valid JSON ({str(error).splitlines()[0]}); make it again") from error
    if not isinstance(content, dict):
        raise InputError(f"{file}: not a JSON object; make it again")
    return content
