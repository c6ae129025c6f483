"""What is evaluated: the input of a scene, and the truth about it where there is one."""

import dataclasses
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float, UInt8

INPUT_PATH = "input"
"""Name of the path that is none: the camera of the photo, standing still."""
ADVECTED, PERIODIC = "advected", "periodic"
"""The two truths: content is renewed from outside; content comes back after a period."""

Size = tuple[int, int]
"""(width, height) in px."""


@dataclasses.dataclass(frozen=True)
class TruthClip:
    """True frames along one path, at the size that is scored."""

    frames: UInt8[np.ndarray, "k h w 3"]
    valid: Float[np.ndarray, "k h w"]
    """1 where the truth is known."""
    moving: Float[np.ndarray, "k h w"]
    """1 where the content seen moves."""
    flow: Float[np.ndarray, "k-1 h w 2"] | None
    """Frame k to k + 1, px, the motion of the camera included."""
    hidden: Float[np.ndarray, "k-1 h w"] | None
    """1 where what is seen in frame k is not seen in frame k + 1."""


@dataclasses.dataclass(frozen=True)
class Poses:
    """Cameras of a path, world to camera, one for each frame; intrinsics are those of the photo."""

    rotation: Float[np.ndarray, "k 3 3"]
    translation: Float[np.ndarray, "k 3"]
    """Units of the truth's depth."""

    def photo(self) -> tuple[int, ...]:
        """Frames that are the photo itself: frame 0, where its camera is that of the photo."""
        here = np.allclose(self.rotation[0], np.eye(3), atol=1e-9) and np.allclose(self.translation[0], 0, atol=1e-9)
        return (0,) if here else ()


@dataclasses.dataclass(frozen=True)
class Geometry:
    """What is true of the photo, at one size."""

    depth: Float[np.ndarray, "h w"]
    """z in the truth's units."""
    motion: Float[np.ndarray, "h w 3"]
    """The truth's units per frame."""
    mask: Float[np.ndarray, "h w"]
    flow: Float[np.ndarray, "h w 2"]
    """px per frame."""


class Truth(Protocol):
    """What is known about a scene."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of `ADVECTED` and `PERIODIC` those that there are."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths with frames, `INPUT_PATH` among them where there are frames of it."""

    @property
    def frames(self) -> int:
        """Frames per path."""

    @property
    def period(self) -> int:
        """Frames after which the periodic truth repeats itself; 0 where there is none."""

    @property
    def size(self) -> Size:
        """Of its own frames."""

    @property
    def focal(self) -> float:
        """In px of its own size."""

    @property
    def unit(self) -> float:
        """What the truth's lengths are divided by to make the 1st percentile of depth 1."""

    @property
    def key(self) -> str:
        """Content key."""

    @property
    def exact_geometry(self) -> bool:
        """Whether depth, 3D motion, mask and flow of the photo are known (`geometry`)."""

    def poses(self, path: str) -> Poses:
        """The cameras of a path."""

    def clip(self, kind: str, path: str, size: Size) -> TruthClip:
        """The frames of a path."""

    def photo(self, kind: str) -> Path | None:
        """The picture at frame 0 of this kind where it is not the sample's own."""

    def geometry(self, size: Size) -> Geometry:
        """What is true of the photo."""

    def write_given(self, folder: Path, names: tuple[str, ...]) -> None:
        """Write some of what is true as input files of the pipeline: "depth", "mask", "flow", "corrupted"."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """One scene of a data set."""

    name: str
    source: Path
    """Input of the pipeline, a file or a folder."""
    truth: Truth | None = None
