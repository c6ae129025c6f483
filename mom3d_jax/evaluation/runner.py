"""Scenes under variants, one after the other: what is done is skipped, what fails is recorded, the rest goes on."""

import dataclasses
import functools
import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import jax
import numpy as np
from ml_collections import ConfigDict

from mom3d_jax import __version__, artifacts
from mom3d_jax.cameras import PATHS
from mom3d_jax.evaluation import predictions, results
from mom3d_jax.evaluation.claims import claimed, holder
from mom3d_jax.evaluation.pictures import write_frames, write_shown
from mom3d_jax.evaluation.samples import ADVECTED, INPUT_PATH, PERIODIC, Sample
from mom3d_jax.evaluation.scores import PROTOCOL, Lpips, over_paths, score_path
from mom3d_jax.evaluation.task import Rendered, Task
from mom3d_jax.evaluation.variants import Variant, configured
from mom3d_jax.inputs import InputError, find_files
from mom3d_jax.inputs.images import decode, working_size
from mom3d_jax.stages import check, chosen_models

log = logging.getLogger(__name__)

Method = Callable[[Task], Rendered]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What holds for all scenes and variants of a command."""

    workdir: Path
    recipe: ConfigDict
    overrides: dict[str, Any]
    frames: int
    truth: str
    crop: int
    lpips: Lpips
    keep_frames: bool = False
    keep_work: bool = False

    def configured(self, variant: Variant) -> ConfigDict:
        """Settings of the pipeline under a variant, looked at before anything runs.

        Raises:
          ValueError: a setting that there is not, or one that makes no sense.
        """
        config = configured(self.recipe, variant, self.overrides)
        if config.time.field != "loop" and self.frames > config.time.frames + 1:
            raise ValueError(
                f"frames={self.frames} is more than the clip's {config.time.frames}, and field {config.time.field!r} "
                f"does not repeat: add --config.override.time.frames={self.frames}"
            )
        config.render.update({"frames": self.frames, "poses": 0, "circle_poses": 0, "paths": tuple(PATHS)})
        check(config)
        return config

    def task(self, sample: Sample, variant: Variant) -> Task:
        """A scene under a variant.

        Raises:
          ValueError: frames or a truth that the sample has not, a clip too short for them, an unknown setting.
        """
        config = self.configured(variant)
        kind = _truth_kind(self, sample, variant, config)
        there = sample.truth.paths if sample.truth else (INPUT_PATH, *PATHS)
        paths = tuple(path for path in (INPUT_PATH, *PATHS) if path in there)
        folder = self.workdir / "runs" / variant.name / sample.name
        return Task(sample, variant, config, folder, self.frames, paths, kind, self.workdir / "pool" / sample.name)

    def key(self, task: Task, extra: str = "") -> str:
        """Hash of all that a result depends on: code, versions, settings, the scene."""
        sample = task.sample
        inputs, config = find_files(sample.source), json.loads(task.config.to_json_best_effort())
        models = chosen_models(task.config, inputs, self.workdir / "pool" / sample.name / "external")
        config["external"] = {stage: model.key for stage, model in models.items()}  # of those that are asked
        return artifacts.key_of(
            results.VERSION,
            PROTOCOL,
            artifacts.key_of_code(),
            dataclasses.asdict(task.variant),
            config,
            [artifacts.key_of_files(inputs.present()), sample.truth.key if sample.truth else ""],
            [self.frames, task.truth_kind, self.crop, getattr(self.lpips, "name", "")],
            extra,
        )


def run(settings: Settings, task: Task, key: str, method: Method, *, retry: bool, wait: bool = False) -> bool:
    """Make the result of a scene, unless it is there.

    Args:
      settings: of the command.
      task: the scene and the variant.
      key: what the result depends on.
      method: makes the frames.
      retry: try what failed before.
      wait: for another process that is at this scene.

    Returns:
      False where another process is at it.
    """
    folder, name = task.folder, f"{task.variant.name}/{task.sample.name}"
    with claimed(folder, wait=wait) as ours:
        if not ours:
            log.info("%s: left to %s", name, holder(folder))
            return False
        if results.read(results.result_file(folder), key):
            log.info("%s: done before", name)
            return True
        failed = results.read(results.error_file(folder), key)
        if failed and not retry:
            log.warning("%s: failed before (%s); --retry tries again", name, failed["error"])
            return True
        log.info("%s", name)
        _make(settings, task, key, method)
        return True


def _make(settings: Settings, task: Task, key: str, method: Method) -> None:
    """Result or failure of one scene."""
    about: dict[str, Any] = {"scene": task.sample.name, "variant": task.variant.name, "kind": task.variant.kind}
    about |= {"about": task.variant.about, "truth": task.truth_kind or None}
    results.result_file(task.folder).unlink(missing_ok=True)
    try:
        rendered = method(task)
        started = time.monotonic()
        records = _score(settings, task, rendered)
        seconds = {**rendered.seconds, "score": time.monotonic() - started}
        if settings.keep_frames:
            write_frames(task.folder / "frames", rendered.clips)
    except Exception as error:
        results.write_error(task.folder, key, error, about)
        log.error("%s/%s failed: %s", task.variant.name, task.sample.name, str(error).split("\n", maxsplit=1)[0])
        return
    content = {
        **about,
        "code": artifacts.key_of_code(),
        "versions": versions(),
        "protocol": PROTOCOL,
        "size": list(rendered.size),
        "frames": task.frames,
        "records": records,
        "seconds": {stage: round(float(s), 3) for stage, s in seconds.items()},
        "notes": rendered.notes,
        "config": json.loads(task.config.to_json_best_effort()),
        "overrides": dict(task.variant.overrides),
    }
    results.write_result(task.folder, key, content)
    if not settings.keep_work:
        for rest in ("work", "input"):
            shutil.rmtree(task.folder / rest, ignore_errors=True)


def _score(settings: Settings, task: Task, rendered: Rendered) -> list[dict[str, Any]]:
    records = []
    for path, frames in rendered.clips.items():
        truth = task.sample.truth
        clip = truth.clip(task.truth_kind, path, rendered.size) if truth else None
        given = truth.poses(path).photo() if truth else ()
        records += score_path(
            frames, clip, path=path, looping=task.looping, crop=settings.crop, lpips=settings.lpips, given=given
        )
        write_shown(task.folder / "shown", path, frames, clip)
    moving = tuple(path for path in rendered.clips if path != INPUT_PATH)
    return [*records, *over_paths(records, moving), *rendered.records]


def scoring(
    settings: Settings, folder: Path, variant: Variant, samples: list[Sample], tasks: dict[str, Task]
) -> tuple[dict[str, dict[str, Method]], dict[str, dict[str, str]]]:
    """What makes the frames of somebody else's method, and the keys of its results, by variant and scene.

    Raises:
      InputError: clips that cannot be scored.
    """
    sizes = {}
    for sample in samples:
        height, width = decode(find_files(sample.source).image, cv2.IMREAD_COLOR).shape[:2]
        sizes[sample.name] = working_size(width, height, tasks[sample.name].config.size.width)
    clips = predictions.find(folder, samples, tasks, sizes)
    makers: dict[str, Method] = {
        name: functools.partial(predictions.read, clips=clips[name], size=sizes[name]) for name in clips
    }
    keys = {name: settings.key(tasks[name], clips[name].key()) for name in clips}
    return {variant.name: makers}, {variant.name: keys}


def versions() -> dict[str, str]:
    """Of what the figures were made with."""
    libraries = {module.__name__: module.__version__ for module in (jax, np, cv2)}
    return {"mom3d_jax": __version__, **libraries, "device": jax.devices()[0].device_kind}


def _truth_kind(settings: Settings, sample: Sample, variant: Variant, config: ConfigDict) -> str:
    """Which truth a scene is compared with."""
    truth = sample.truth
    if truth is None:
        return ""
    if truth.frames != settings.frames:
        raise InputError(
            f"{sample.source}: its truth has {truth.frames} frames per path, not {settings.frames}; "
            f"add --config.frames={truth.frames}, or make it again"
        )
    promised = PERIODIC if config.time.field == "loop" else ADVECTED
    kind = variant.truth or (promised if settings.truth == "auto" else settings.truth)
    if kind not in truth.kinds:
        there = ", ".join(truth.kinds)
        raise InputError(f"{sample.source}: no {kind!r} truth, only {there}; say --config.truth={truth.kinds[0]}")
    if kind == PERIODIC and config.time.field == "loop" and config.time.frames != truth.period:
        raise InputError(
            f"{sample.source}: its truth repeats after {truth.period} frames, the clip after {config.time.frames}; "
            f"add --config.override.time.frames={truth.period}"
        )
    return kind
