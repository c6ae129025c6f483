"""The native file of a dynamic scene, `scene.4dgs.npz`: everything, to the bit.

A zip of NumPy arrays. Arrays of a stage are called `<stage>.<field>`; the entry `about` is JSON with the version of the
format, the units, the static fields of every stage, and free notes.
"""

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mom3d_jax.atomic import PathLike, replacing
from mom3d_jax.types import Cameras, Displacements, Gaussians

VERSION = 1
UNITS = {
    "length": "world units: the input view's depth, 1st percentile 1",
    "axes": "OpenCV: x right, y down, z forward; world = input camera",
    "times": "frame i of a clip of T frames is i / T",
    "displacements": "world units, row k is k frames from the still",
}
STAGES: dict[str, type] = {"gaussians": Gaussians, "displacements": Displacements, "camera": Cameras}


@dataclasses.dataclass(frozen=True)
class DynamicScene:
    """Gaussians, how they move, and from where they were seen."""

    gaussians: Gaussians
    displacements: Displacements
    """Of the first `gaussians.movable` rows."""
    camera: Cameras
    """The input camera."""
    times: Float[np.ndarray, " t"]
    extra: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    """Arrays of whoever wrote the file, such as parameters of a residual network, by name."""
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """JSON: field, crossfade, config, …"""


def write_scene(path: PathLike, scene: DynamicScene) -> Path:
    """Write a dynamic scene; the file is replaced at once when it is complete.

    Raises:
      ValueError: displacements of another number of rows than `movable`, or notes that JSON cannot hold.
      OSError: the file cannot be written; the message names it.
    """
    moved = np.shape(scene.displacements.forward)[1]
    if moved != scene.gaussians.movable:
        raise ValueError(
            f"cannot write {path}: displacements of {moved} Gaussians, but {scene.gaussians.movable} are movable"
        )
    arrays: dict[str, np.ndarray] = {"times": np.asarray(scene.times)}
    statics: dict[str, dict[str, Any]] = {}
    for stage, cls in STAGES.items():
        statics[stage] = {}
        for field in dataclasses.fields(cls):
            value = getattr(getattr(scene, stage), field.name)
            if field.metadata.get("static"):
                statics[stage][field.name] = value
            else:
                arrays[f"{stage}.{field.name}"] = np.asarray(value)
    arrays |= {f"extra.{name}": np.asarray(value) for name, value in scene.extra.items()}
    about = {"version": VERSION, "units": UNITS, "static": statics, "notes": dict(scene.notes)}
    try:
        arrays["about"] = np.array(json.dumps(about, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot write {path}: the notes are not JSON ({error})") from error
    with replacing(path) as draft, open(draft, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return Path(path)


def read_scene(path: PathLike) -> DynamicScene:
    """Read what `write_scene` wrote.

    Raises:
      ValueError: not such a file, one of another version, or a damaged one; the message names it.
      OSError: the file cannot be opened.
    """
    try:
        # Opened here: NumPy leaves a damaged zip open.
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop("about")))
        version = about["version"]
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a dynamic scene (scene.4dgs.npz): {str(error).splitlines()[0]}") from error
    if version != VERSION:
        raise ValueError(f"{path} has version {version} of the format; this program reads version {VERSION}")
    stages = {}
    try:
        for stage, cls in STAGES.items():
            names = [field.name for field in dataclasses.fields(cls) if not field.metadata.get("static")]
            stages[stage] = cls(**{name: arrays[f"{stage}.{name}"] for name in names}, **about["static"][stage])
        times = arrays["times"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    extra = {name.removeprefix("extra."): a for name, a in arrays.items() if name.startswith("extra.")}
    return DynamicScene(**stages, times=times, extra=extra, notes=about["notes"])
