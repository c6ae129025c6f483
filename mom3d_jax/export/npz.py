"""The native file of a dynamic scene, `scene.4dgs.npz`: everything, to the bit. `docs/scene-file.md` is its manual.

A zip of NumPy arrays called `<part>.<field>`; the entry `about` is JSON with the version of the format, the units, the
field, the residual's name and options, the static fields of every part, and free notes. The arrays `sets.*` and `times`
follow from the others: they are for readers without this program, which does not read them.
"""

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mom3d_jax import __version__
from mom3d_jax.atomic import PathLike, replacing
from mom3d_jax.deformation import FIELDS, RESIDUALS, Dynamics, make_residual
from mom3d_jax.deformation.dynamics import BACKDROP, MOST_GROWTH, REAR, SUNK
from mom3d_jax.export.dynamic_scene import DynamicScene
from mom3d_jax.types import Cameras, Displacements, Gaussians

VERSION = 3
UNITS = {
    "length": "world units: the input view's depth, 1st percentile 1 unless the notes say otherwise",
    "axes": "OpenCV: x right, y down, z forward; world = input camera",
    "times": "frame i of a clip of T frames is i / duration",
    "displacements": "world units, row k is k frames from the still",
    "pixel_size": "world units per unit of the residual's translation",
}
PARTS: dict[str, type] = {
    "gaussians": Gaussians,
    "displacements": Displacements,
    "dynamics": Dynamics,
    "camera": Cameras,
}
ELSEWHERE = {"dynamics": ("displacements", "residual")}
"""Fields of a part that are parts of their own."""


def write_scene(path: PathLike, scene: DynamicScene) -> Path:
    """Write a dynamic scene; the file is replaced at once when it is complete.

    Raises:
      ValueError: displacements of another number of rows than `movable`, an unregistered residual, or notes that JSON
        cannot hold.
      OSError: the file cannot be written; the message names it.
    """
    moved, dynamics = np.shape(scene.dynamics.displacements.forward)[1], scene.dynamics
    if moved != scene.gaussians.movable:
        raise ValueError(
            f"cannot write {path}: displacements of {moved} Gaussians, but {scene.gaussians.movable} are movable"
        )
    name = next((name for name, cls in RESIDUALS.items() if type(dynamics.residual) is cls), None)
    if name is None:
        raise ValueError(
            f"cannot write {path}: {type(dynamics.residual).__name__} is not among the residuals that a reader can "
            f"make: {', '.join(RESIDUALS)}"
        )
    parts = {
        "gaussians": scene.gaussians,
        "displacements": dynamics.displacements,
        "dynamics": dynamics,
        "camera": scene.camera,
    }
    arrays: dict[str, np.ndarray] = {"times": scene.times}
    statics: dict[str, dict[str, Any]] = {part: {} for part in parts}
    for part, value in parts.items():
        for field in _fields(part):
            if field.metadata.get("static"):
                statics[part][field.name] = getattr(value, field.name)
            else:
                arrays[f"{part}.{field.name}"] = np.asarray(getattr(value, field.name))
    arrays |= {f"residual.{leaf}": np.asarray(a) for leaf, a in flatten_dict(scene.residual, sep=".").items()}
    arrays |= {f"sets.{item}": a for item, a in scene.copies._asdict().items()}
    about = {
        "version": VERSION,
        "generator": f"mom3d_jax {__version__}",
        "units": UNITS,
        "rear_distance": REAR,
        "sunk_distance": SUNK,
        "backdrop_distance": BACKDROP,
        "most_growth": MOST_GROWTH,
        "field": scene.field,
        "residual": {"name": name, "options": dataclasses.asdict(dynamics.residual)},  # type: ignore[call-overload]
        "static": statics,
        "notes": dict(scene.notes),
    }
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
      ValueError: not such a file, one of another version, a damaged one, or one with a field or a residual that this
        program does not have; the message names it.
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
        raise ValueError(
            f"{path} has version {version} of the format; this program reads version {VERSION}: make the file again"
        )
    try:
        field, residual = about["field"], about["residual"]
        if field not in FIELDS:
            raise ValueError(f"unknown field {field!r}; known: {', '.join(FIELDS)}")
        model = make_residual(residual["name"], **residual["options"])
        values = {part: _values(part, arrays, about["static"]) for part in PARTS}
        displacements = Displacements(**values["displacements"])
        leaves = {n.removeprefix("residual."): a for n, a in arrays.items() if n.startswith("residual.")}
        return DynamicScene(
            gaussians=Gaussians(**values["gaussians"]),
            dynamics=Dynamics(**values["dynamics"], displacements=displacements, residual=model),
            residual=unflatten_dict(leaves, sep="."),
            field=field,
            camera=Cameras(**values["camera"]),
            notes=about["notes"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _fields(part: str) -> list[dataclasses.Field]:
    """The fields of a part that are kept under its name."""
    return [field for field in dataclasses.fields(PARTS[part]) if field.name not in ELSEWHERE.get(part, ())]


def _values(part: str, arrays: Mapping[str, np.ndarray], statics: Mapping[str, Any]) -> dict[str, Any]:
    """Those fields as they were read."""
    names = [field.name for field in _fields(part) if not field.metadata.get("static")]
    # JSON knows no tuples, and static fields must be hashable.
    static = {name: tuple(value) if isinstance(value, list) else value for name, value in statics[part].items()}
    return {name: arrays[f"{part}.{name}"] for name in names} | static
