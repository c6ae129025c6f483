"""The validation set of Holynski et al. as a data set: real recordings, seen from elsewhere through one depth.

Every sample becomes an input folder with its photo, the true flow and the mask of what moves, which is what the paper
feeds to all methods. Its truth is the recording warped to the cameras of each path (`truth_views`), with the depth that
the built-in prior finds in the photo, whichever method is scored.
"""

import dataclasses
import functools
import tempfile
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mom3d_jax import artifacts, pipeline
from mom3d_jax.cameras import PATHS, input_camera, path_cameras, relative_to
from mom3d_jax.config import default_config
from mom3d_jax.evaluation import holynski
from mom3d_jax.evaluation.samples import ADVECTED, INPUT_PATH, Geometry, Poses, Sample, Size, TruthClip
from mom3d_jax.evaluation.truth_views import truth_clip
from mom3d_jax.inputs import InputError


def samples(folder: Path, inputs: Path, frames: int) -> list[Sample]:
    """The samples of `validation/`, by name.

    Args:
      folder: of the data set, as published.
      inputs: where an input folder of the pipeline is written for each sample.
      frames: how many of each recording are scored.

    Raises:
      InputError: something wrong with a file; one line that names it.
    """
    found = []
    for entry in holynski.read(folder):
        place = inputs / entry.name
        if not (place / "image.png").is_file():  # which is written last
            holynski.write_input(entry, place, width=0)
        found.append(Sample(entry.name, place, Recording(entry, place, frames)))
    return found


@dataclasses.dataclass(frozen=True)
class Recording:
    """`samples.Truth` of a recording: frames and what moves, and no geometry."""

    entry: holynski.Entry
    source: Path
    """Input folder of the sample."""
    frames: int

    kinds = (ADVECTED,)
    paths = (INPUT_PATH, *PATHS)
    period = 0
    unit = 1.0
    """Poses are in the units of the paths, in which the 1st percentile of depth is 1."""
    exact_geometry = False

    @functools.cached_property
    def size(self) -> Size:
        """Of the photo."""
        height, width = np.load(self.source / "flow.npy", mmap_mode="r").shape[:2]
        return width, height

    @property
    def focal(self) -> float:
        """Unknown; that of the recipes, px."""
        return float(max(self.size))

    @functools.cached_property
    def key(self) -> str:
        """Of the recording; the photo and the motion are in the key of the input."""
        return artifacts.key_of_files([self.entry.video])

    def poses(self, path: str) -> Poses:
        """The cameras of a path."""
        if path == INPUT_PATH:
            return Poses(np.broadcast_to(np.eye(3), (self.frames, 3, 3)), np.zeros((self.frames, 3)))
        cameras = path_cameras(input_camera(*self.size), path, self.frames)
        return Poses(np.asarray(cameras.rotation), np.asarray(cameras.translation))

    def clip(self, kind: str, path: str, size: Size) -> TruthClip:
        """The recording from the cameras of a path. Its flow is known from the photo's place only, and left out.

        Raises:
          InputError: a video that cannot be read or is too short.
        """
        frames, _ = holynski.frames_at(self.entry, self.frames, size)
        camera, poses = input_camera(*size), self.poses(path)
        cameras = relative_to(camera, poses.rotation, poses.translation)
        moving = holynski.moving(holynski.motion_at(self.entry, size))
        warped = truth_clip(frames, _depth(self.source, size[0]), moving, camera, cameras)
        return TruthClip(warped.frames, warped.valid, warped.moving, None, None)

    def photo(self, kind: str) -> Path | None:
        """The sample's own."""
        return None

    def geometry(self, size: Size) -> Geometry:
        """Nobody knows it.

        Raises:
          InputError: always.
        """
        raise InputError(f"{self.entry.video}: a recording says nothing of depth and 3D motion; leave that variant out")

    def write_given(self, folder: Path, names: tuple[str, ...]) -> None:
        """Nothing: flow and mask are in every input already.

        Raises:
          InputError: depth or corrupted inputs are asked for.
        """
        if lacking := sorted({*names} - {"flow", "mask"}):
            raise InputError(f"{self.entry.video}: no true {' and '.join(lacking)} there; leave that variant out")


@functools.lru_cache(maxsize=1)
def _depth(source: Path, width: int) -> Float[np.ndarray, "h w"]:
    """z of a photo by the built-in prior, or from a depth file beside it; all paths of a scene ask for the same."""
    config = default_config()
    config.input, config.size.width = str(source), width
    with tempfile.TemporaryDirectory() as work:
        pipeline.run(config, Path(work), until="depth")
        return np.asarray(artifacts.load(pipeline.artifact_file(Path(work), "depth")).z)
