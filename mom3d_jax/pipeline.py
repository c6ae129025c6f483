"""The stages in order: what each one needs, what of the config it reads, and how a finished one is skipped.

Every stage turns the artifacts of earlier stages into one artifact and some figures. Its key is a hash of its name,
the config sections it reads and the keys of what it needs; an artifact that lies in the work folder under the right
key is taken as it is. So a run that was killed goes on where it stopped, and a changed setting repeats the stages
that depend on it and no others.
"""

import dataclasses
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mom3d_jax import __version__, artifacts
from mom3d_jax.stages import Job, fit, input_path, merge, motion, output, prepare

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Stage:
    """One step of the pipeline."""

    name: str
    run: Callable[..., tuple[Any, dict]]
    """(job, *artifacts it needs) -> (artifact, figures)."""
    needs: tuple[str, ...]
    reads: tuple[str, ...]
    """Sections of the config that it may look at."""


STAGES = (
    Stage("scene", prepare.scene, (), ("input", "size")),
    Stage("depth", prepare.depth, ("scene",), ("size",)),
    Stage("pointcloud", prepare.pointcloud, ("scene", "depth"), ("size", "pointcloud")),
    Stage("views", prepare.views, ("scene", "depth", "pointcloud"), ("size", "pointcloud", "views")),
    Stage("flow", prepare.flow, ("scene", "depth", "pointcloud", "views"), ("size", "pointcloud", "flow")),
    Stage("motion3d", motion.motion3d, ("pointcloud", "views", "flow"), ("motion3d",)),
    Stage("animation", motion.animation, ("views", "motion3d"), ("time", "animation")),
    Stage(
        "stage1",
        fit.stage1,
        ("scene", "depth", "pointcloud", "views"),
        ("seed", "devices", "size", "pointcloud", "gaussians", "stage1", "render"),
    ),
    Stage("displacements", fit.displacements, ("motion3d", "stage1"), ("time",)),
    Stage(
        "stage2",
        fit.stage2,
        ("views", "animation", "stage1", "displacements"),
        ("seed", "devices", "time", "deformation", "stage2", "render"),
    ),
    Stage(
        "videos",
        output.videos,
        ("scene", "flow", "animation", "stage1", "displacements", "stage2"),
        ("seed", "devices", "size", "time", "deformation", "render"),
    ),
    Stage(
        "export",
        output.export,
        ("scene", "depth", "views", "flow", "animation", "stage1", "displacements", "stage2", "videos"),
        ("seed", "size", "time", "deformation", "render"),
    ),
)


def run(config: ConfigDict, workdir: Path, *, until: str | None = None, force: bool = False) -> dict:
    """Run the pipeline, or go on with it.

    Args:
      config: all settings, with `input` filled in.
      workdir: where everything is written.
      until: name of the last stage to run; None runs all.
      force: go on in a work folder that was begun with another input or config.

    Returns:
      The figures of all stages that were run, as in `metrics.json`.

    Raises:
      ValueError: bad input, or a work folder of another input or config; one line that names it and the remedy.
    """
    source = input_path(config, workdir)
    source_key = artifacts.key_of_files(source)
    _claim(workdir, config, source_key, force)
    keys: dict[str, str] = {}
    results: dict[str, Any] = {}

    def result(name: str) -> Any:
        # Read on demand: a run that has nothing to do opens nothing large.
        if name not in results:
            results[name] = artifacts.load(files[name], keys[name])
        return results[name]

    files = {s.name: workdir / "artifacts" / f"{n:02d}_{s.name}.npz" for n, s in enumerate(STAGES, start=1)}
    figures: dict[str, Any] = {"seconds": {}}
    names = [s.name for s in STAGES]
    last = names.index(until) if until else len(names) - 1
    for number, stage in enumerate(STAGES[: last + 1], start=1):
        settings = ConfigDict({name: config[name] for name in stage.reads})
        needed = source_key if stage.name == "scene" else [keys[n] for n in stage.needs]
        key = keys[stage.name] = artifacts.key_of(__version__, stage.name, settings.to_dict(), needed)
        file = files[stage.name]
        notes = file.with_suffix(".json")
        if artifacts.exists(file, key) and notes.is_file():
            log.info("[%d/%d] %s: done before", number, len(names), stage.name)
            record = json.loads(notes.read_text())
        else:
            log.info("[%d/%d] %s", number, len(names), stage.name)
            started = time.monotonic()
            job = Job(settings, workdir, source, key, figures)
            results[stage.name], new_figures = stage.run(job, *(result(n) for n in stage.needs))
            record = {"seconds": round(time.monotonic() - started, 2), "figures": new_figures}
            artifacts.write_json(notes, record)
            artifacts.save(file, results[stage.name], key)
        figures["seconds"][stage.name] = record["seconds"]
        merge(figures, record["figures"])
    if until is None:
        artifacts.write_json(workdir / "metrics.json", figures)
    return figures


def _claim(workdir: Path, config: ConfigDict, source_key: str, force: bool) -> None:
    """Write down what the work folder is for, or refuse one that is for something else."""
    mine = {"version": __version__, "input_key": source_key, "config": json.loads(config.to_json_best_effort())}
    file = workdir / "run.json"
    if file.is_file() and not force:
        theirs = json.loads(file.read_text())
        differences = _differences(theirs, mine)
        if differences:
            raise ValueError(
                f"{workdir} was begun with other settings ({'; '.join(differences[:4])}): "
                "choose another --workdir, or add --force to redo what depends on them"
            )
    artifacts.write_json(file, mine)


def _differences(theirs: Any, mine: Any, name: str = "") -> list[str]:
    if isinstance(theirs, dict) and isinstance(mine, dict):
        names = sorted({*theirs, *mine})
        return [d for n in names for d in _differences(theirs.get(n), mine.get(n), f"{name}.{n}" if name else n)]
    return [] if theirs == mine else [f"{name.removeprefix('config.')} was {theirs!r}, is {mine!r}"]
