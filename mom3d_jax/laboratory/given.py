"""What a 3D-MOM problem is stated from, read from files: the results of earlier stages, and the truth."""

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mom3d_jax import artifacts
from mom3d_jax.pipeline import artifact_file
from mom3d_jax.types import Flows, PointCloud, Views

NEEDED = ("pointcloud", "views", "flow")
"""Stages whose results a problem is stated from."""
DAMAGED = (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile)
"""What a truncated file, or one of other code, ends in."""


@dataclasses.dataclass(frozen=True)
class Given:
    """What a problem is stated from."""

    name: str
    cloud: PointCloud
    views: Views
    flows: Flows


def read_given(workdir: Path) -> Given:
    """The results of the stages before motion3d, whatever code and settings they were made with.

    Raises:
      ValueError: the run has not got so far, or a file of it is damaged; one line that names it.
    """
    read = {}
    for stage in NEEDED:
        file = artifact_file(workdir, stage)
        remedy = "make it with python -m mom3d_jax flow --config=… --input=… --workdir=…"
        if not file.is_file():
            raise ValueError(f"{file}: not there, so this run has not got as far as its flows; {remedy}")
        try:
            read[stage] = artifacts.load(file)
        except DAMAGED as error:
            raise ValueError(f"{file}: damaged, or of other code ({type(error).__name__}); {remedy}") from error
    cloud, views, flows = (read[stage] for stage in NEEDED)
    if np.shape(views.visible)[-1] != len(cloud.points) or np.shape(flows.flow)[:3] != np.shape(views.masks):
        raise ValueError(f"{workdir}/artifacts: these are of different runs; make all of them again, with --force")
    record = artifact_file(workdir, "scene").with_suffix(".json")
    name = json.loads(record.read_text())["figures"]["scene"]["name"] if record.is_file() else workdir.name
    return Given(name, cloud, views, flows)


def read_truth(folder: Path, given: Given) -> Float[np.ndarray, "n 3"]:
    """The true motion of the points, in the units of their own depth.

    `motion.npy` [h,w,3] and `depth.npy` [h,w] belong to the pixels of the photo at any size. A point whose depth was
    guessed as z instead of z* gets the true motion times z / z*, which shows the same motion in the input view.

    Raises:
      ValueError: the files do not fit each other, or hold what is no motion or depth; one line that names them.
      OSError: one of them cannot be read.
    """
    arrays = {}
    for name in ("motion", "depth"):
        file = folder / f"{name}.npy"
        if not file.is_file():
            raise ValueError(f"{file}: not there; the truth is a folder with motion.npy [h,w,3] and depth.npy [h,w]")
        try:
            arrays[name] = np.asarray(np.load(file, allow_pickle=False), np.float32)
        except DAMAGED as error:
            raise ValueError(f"{file}: no NumPy array of numbers ({type(error).__name__}); write it again") from error
    motion, depth = arrays["motion"], arrays["depth"]
    if motion.ndim != 3 or motion.shape != (*depth.shape, 3):
        raise ValueError(f"{folder}: motion.npy {motion.shape} and depth.npy {depth.shape} are not [h,w,3] and [h,w]")
    if not np.isfinite(motion).all() or not (np.isfinite(depth) & (depth > 0)).all():
        raise ValueError(f"{folder}: NaN in motion.npy, or a depth in depth.npy that is not positive; remove them")
    height, width = np.shape(given.views.masks)[1:]
    row, column = np.divmod(np.asarray(given.cloud.pixels), width)
    # The pixel that the centre falls into.
    row = ((row + 0.5) * depth.shape[0] / height).astype(int)
    column = ((column + 0.5) * depth.shape[1] / width).astype(int)
    z = np.asarray(given.cloud.points)[:, 2]
    return motion[row, column] * (z / depth[row, column])[:, None]
