"""One scene under one variant: what a method is told, and what it gives back."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from ml_collections import ConfigDict

from mom3d_jax import artifacts, pipeline
from mom3d_jax.evaluation.samples import PERIODIC, Sample, Size
from mom3d_jax.evaluation.variants import Variant
from mom3d_jax.inputs import InputError, find_files


@dataclasses.dataclass(frozen=True)
class Task:
    """What is to be made."""

    sample: Sample
    variant: Variant
    config: ConfigDict
    """Of the pipeline, without `input`."""
    folder: Path
    """Where results of this scene and variant lie."""
    frames: int
    paths: tuple[str, ...]
    truth_kind: str
    """What it is compared with; empty without truth."""
    pool: Path | None = None

    @property
    def workdir(self) -> Path:
        """Work folder of the pipeline."""
        return self.folder / "work"

    @property
    def looping(self) -> bool:
        """Whether frame T is frame 0 again."""
        return self.config.time.field == "loop"


@dataclasses.dataclass
class Rendered:
    """What was made."""

    size: Size
    clips: dict[str, UInt8[np.ndarray, "k h w 3"]]
    """Frames of each path that the method can show."""
    records: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """What was measured on the way: errors of the motion."""
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)


class Run:
    """The pipeline on the input of a task, as far as it is asked for."""

    def __init__(self, task: Task):
        self.task, self.config = task, task.config.copy_and_resolve_references()
        with self.config.unlocked():
            self.config.input = str(input_of(task))
        self.figures: dict[str, Any] = {"seconds": {}}

    def until(self, stage: str) -> None:
        """Run up to a stage; what lies in the pool is taken from there."""
        task = self.task
        self.figures = pipeline.run(self.config, task.workdir, until=stage, force=True, pool=task.pool)

    def result(self, stage: str) -> Any:
        """The artifact of a finished stage."""
        return artifacts.load(pipeline.artifact_file(self.task.workdir, stage))

    def stages(self) -> list[str]:
        """Names of the finished stages."""
        return list(self.figures["seconds"])


def input_of(task: Task) -> Path:
    """The sample's own input, or a folder with what a variant adds to it.

    A periodic truth whose frame 0 is another picture than the photo gets that picture as its photo.

    Raises:
      InputError: a variant that needs a truth, on a sample without one.
    """
    truth, variant = task.sample.truth, task.variant
    photo = truth.photo(PERIODIC) if truth and task.truth_kind == PERIODIC else None
    if not (variant.given or photo):
        return task.sample.source
    if variant.given and truth is None:
        raise InputError(f"{task.sample.name}: variant {variant.name!r} is given the truth, which is not known here")
    folder = task.folder / "input" / task.sample.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = find_files(task.sample.source)
    shutil.copyfile(photo or files.image, folder / f"image{(photo or files.image).suffix.lower()}")
    if files.annotation:
        shutil.copyfile(files.annotation, folder / "image.json")
    for file in files.present():
        if file not in (files.image, files.annotation) and file.parent == files.image.parent:
            shutil.copyfile(file, folder / file.name)
    if truth and variant.given:
        truth.write_given(folder, variant.given)
    return folder
