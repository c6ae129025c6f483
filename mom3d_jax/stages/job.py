"""What every stage is told."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from mom3d_jax.artifacts import key_of_code
from mom3d_jax.cameras import Rig, input_camera
from mom3d_jax.external import Model
from mom3d_jax.synthetic import landscape, write_scene
from mom3d_jax.types import Array, Cameras

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Job:
    """One stage of one run."""

    config: ConfigDict
    """The sections that the stage reads."""
    workdir: Path
    source: Path
    """The input, a file or a folder."""
    key: str
    """Hash of everything that the stage's result depends on."""
    figures: dict
    """What earlier stages measured."""
    model: Model | None = None
    """Somebody else's, that takes the place of the built-in."""
    made: list[str] = dataclasses.field(default_factory=list)
    """Files for the user, relative to the work folder; the stage is done while they are there."""

    def output(self, name: str) -> Path:
        """Where to write a file for the user."""
        self.made.append(name)
        return self.workdir / name

    def camera(self, image: Array) -> Cameras:
        """The input camera of an image [h, w, ...] at working size."""
        height, width = np.shape(image)[:2]
        size = self.config.size
        fy = size.focal or max(width, height)
        return input_camera(width, height, ((size.focal_ratio or width / height) * fy, fy))


def rig_of(c: ConfigDict) -> Rig:
    """Where the generation cameras stand."""
    options = c.views.to_dict()
    del options["min_coverage"]
    return Rig(**options)


def solver_options(c: ConfigDict) -> dict[str, Any]:
    """Options of the chosen solver."""
    prefix, colon, _ = c.motion3d.solver.partition(":")
    name = c.motion3d.solver if not colon else "optax" if prefix == "optax" else "own"
    return c.motion3d.options[name].to_dict() if name in c.motion3d.options else {}


def input_path(config: ConfigDict, workdir: Path) -> Path:
    """The input file or folder; the bundled landscape is rendered into the work folder first.

    Raises:
      ValueError: there is no such file or folder.
    """
    if config.input != "bundled":
        path = Path(config.input).expanduser()
        if not path.exists():
            raise ValueError(f"{path}: no such file or folder; --input takes an image file or a scene folder")
        return path
    # In this one no rock stands alone in the water, where a hand-drawn polygon would carry it along.
    folder, seed = workdir / "input" / key_of_code() / "alpine_lake", 4
    # The annotation is written last, so that a folder which has it is complete.
    if not (folder / "image.json").is_file():
        log.info("rendering the bundled landscape into %s", folder)
        write_scene(folder, landscape(seed, width=512, height=288))
    return folder


def merge(into: dict[str, Any], new: dict[str, Any]) -> None:
    """Add nested figures."""
    for name, value in new.items():
        if isinstance(value, dict):
            merge(into.setdefault(name, {}), value)
        else:
            into[name] = value
