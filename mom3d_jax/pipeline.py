"""The stages in order: what each one needs, what of the config it reads, and how a finished one is skipped.

Every stage turns the artifacts of earlier stages into one artifact and some figures. Its key is a hash of the code, its
name, the config sections it reads and the keys of what it needs; an artifact that lies in the work folder under the
right key is taken as it is. So a run that was killed goes on where it stopped, and a changed setting repeats the stages
that depend on it and no others.
"""

import dataclasses
import importlib.util
import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mom3d_jax import artifacts
from mom3d_jax.external import Model
from mom3d_jax.inputs import find_files
from mom3d_jax.stages import Job, check, check_ready, chosen_models, fit, input_path, merge, motion, output, prepare

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
    Stage("scene", prepare.scene, (), ("size",)),
    Stage("depth", prepare.depth, ("scene",), ("size", "depth")),
    Stage("pointcloud", prepare.pointcloud, ("scene", "depth"), ("size", "pointcloud")),
    Stage("views", prepare.views, ("scene", "depth", "pointcloud"), ("size", "pointcloud", "views")),
    Stage("flow", prepare.flow, ("scene", "depth", "pointcloud", "views"), ("size", "pointcloud", "flow")),
    Stage("motion3d", motion.motion3d, ("pointcloud", "views", "flow"), ("motion3d",)),
    Stage("animation", motion.animation, ("views", "flow", "motion3d"), ("time", "animation")),
    Stage(
        "stage1",
        fit.stage1,
        ("scene", "depth", "pointcloud", "views"),
        ("seed", "devices", "rasterizer", "size", "pointcloud", "views", "scene", "gaussians", "stage1"),
    ),
    Stage("displacements", fit.displacements, ("motion3d", "stage1"), ("time", "displacements")),
    Stage(
        "stage2",
        fit.stage2,
        ("views", "animation", "stage1", "displacements"),
        ("seed", "devices", "rasterizer", "time", "deformation", "stage2"),
    ),
    Stage(
        "videos",
        output.videos,
        ("scene", "flow", "animation", "stage1", "displacements", "stage2"),
        ("seed", "devices", "rasterizer", "size", "time", "deformation", "render"),
    ),
    Stage(
        "export",
        output.export,
        ("scene", "depth", "views", "flow", "animation", "stage1", "displacements", "stage2", "videos"),
        ("seed", "size", "time", "deformation", "export"),
    ),
)


def run(
    config: ConfigDict, workdir: Path, *, until: str | None = None, force: bool = False, pool: Path | None = None
) -> dict:
    """Run the pipeline, or go on with it.

    Args:
      config: all settings, with `input` filled in.
      workdir: where everything is written.
      until: name of the last stage to run; None runs all.
      force: go on in a work folder that was begun with another input or config.
      pool: results that runs of one input share: what lies there under the same key is taken, and what is made is put
        there. Stages that write files for the user are not shared.

    Returns:
      The figures of all stages that were run, as in `metrics.json`.

    Raises:
      ValueError: bad input, or a work folder of another input or config; one line that names it and the remedy.
    """
    check(config)
    source = input_path(config, workdir)
    stages = STAGES[: [s.name for s in STAGES].index(until) + 1] if until else STAGES
    inputs = find_files(source)
    models = chosen_models(config, inputs, (pool or workdir) / "external")
    # What stages read besides their settings and the artifacts of others.
    own = {
        "scene": artifacts.key_of_files(inputs.present()),
        "motion3d": _plugged_in(config),
        "stage1": artifacts.key_of_files(inputs.static()),
        "animation": artifacts.key_of({v: artifacts.key_of_files(files) for v, files in inputs.frames().items()}),
    }
    settings = {stage.name: ConfigDict({name: config[name] for name in stage.reads}) for stage in stages}
    keys: dict[str, str] = {}
    for stage in stages:
        needed = [*(keys[name] for name in stage.needs), own.get(stage.name)]
        needed += [models[stage.name].key] if stage.name in models else []
        keys[stage.name] = artifacts.key_of(artifacts.key_of_code(), stage.name, settings[stage.name].to_dict(), needed)
    files = {stage.name: artifact_file(workdir, stage.name) for stage in stages}
    claim = _claim(config, own, models)
    if not force:
        _refuse_to_overwrite(
            workdir, claim, [n for n, f in files.items() if f.exists() and not _done(f, keys[n], workdir)]
        )

    pooled = {name: pool / f"{name}-{key}.npz" for name, key in keys.items()} if pool else {}
    places = {name: [file, *filter(None, [pooled.get(name)])] for name, file in files.items()}
    check_ready(models, [n for n, at in places.items() if not any(_done(place, keys[n], workdir) for place in at)])

    results: dict[str, Any] = {}

    def result(name: str) -> Any:
        # Read on demand: a run that has nothing to do opens nothing large.
        if name not in results:
            results[name] = artifacts.load(files[name], keys[name])
        return results[name]

    figures: dict[str, Any] = {"seconds": {}}
    for number, stage in enumerate(stages, start=1):
        file, shared = files[stage.name], pooled.get(stage.name)
        if not _done(file, keys[stage.name], workdir) and shared and _done(shared, keys[stage.name], workdir):
            artifacts.share(shared, file)
            artifacts.write_json(workdir / "run.json", claim)
        if _done(file, keys[stage.name], workdir):
            log.info("[%d/%d] %s: done before", number, len(STAGES), stage.name)
            record = json.loads(file.with_suffix(".json").read_text())
            if "fallback" in record["figures"].get(stage.name, {}):
                log.warning("%s: by the built-in; remove %s to ask the model again", stage.name, file)
        else:
            log.info("[%d/%d] %s", number, len(STAGES), stage.name)
            (workdir / "metrics.json").unlink(missing_ok=True)  # it tells of results that are about to be replaced
            started = time.monotonic()
            job = Job(settings[stage.name], workdir, source, keys[stage.name], figures, models.get(stage.name))
            results[stage.name], measured = stage.run(job, *(result(n) for n in stage.needs))
            record = {"seconds": round(time.monotonic() - started, 2), "figures": measured, "made": job.made}
            artifacts.write_json(file.with_suffix(".json"), record)
            artifacts.save(file, results[stage.name], keys[stage.name])
            artifacts.write_json(workdir / "run.json", claim)
            if shared and not job.made:
                artifacts.share(file, shared)
        figures["seconds"][stage.name] = record["seconds"]
        merge(figures, record["figures"])
    if until is None:
        artifacts.write_json(workdir / "metrics.json", figures)
    return figures


def _claim(config: ConfigDict, own: dict[str, Any], models: Mapping[str, Model]) -> dict:
    """What a work folder is made from, in the words of a user: another run in it is compared with this."""
    claim = {
        "the files of the input": own["scene"],
        "the videos of the input": own["animation"],
        "the static scene of the input": own["stage1"],
        "the external models": artifacts.key_of({name: model.key for name, model in models.items()}),
        "config": json.loads(config.to_json_best_effort()),
    }
    del claim["config"]["input"]  # the key says what it is, wherever it lies
    used = {model.name for model in models.values()}
    claim["config"]["external"] = {n: c for n, c in claim["config"]["external"].items() if n in used}
    return claim


def artifact_file(workdir: Path, name: str) -> Path:
    """Where the result of a stage lies."""
    number = [stage.name for stage in STAGES].index(name) + 1
    return workdir / "artifacts" / f"{number:02d}_{name}.npz"


def _plugged_in(config: ConfigDict) -> str:
    """A content key of the user's own solver, empty for ours: an edited one is solved again."""
    module, colon, _ = config.motion3d.solver.partition(":")
    spec = importlib.util.find_spec(module) if colon else None
    return artifacts.key_of_files([Path(spec.origin)]) if spec and spec.origin else ""


def _done(file: Path, key: str, workdir: Path) -> bool:
    """Whether a stage was finished under this key and all that it made is still there."""
    if not artifacts.exists(file, key):
        return False
    try:
        made = json.loads(file.with_suffix(".json").read_text())["made"]
    except (FileNotFoundError, ValueError, KeyError):
        return False
    return all((workdir / name).exists() for name in made)


def _refuse_to_overwrite(workdir: Path, claim: dict, stale: list[str]) -> None:
    """Refuse to replace what was made from another input or with other settings.

    Results of older code, and damaged ones, are made again without asking.
    """
    file = workdir / "run.json"
    if not stale or not file.is_file():
        return
    try:
        theirs = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}): choose another --workdir, or remove it") from error
    differences = _differences(theirs, claim)
    if differences:
        raise ValueError(
            f"{workdir} holds results of other settings ({'; '.join(differences[:4])}): "
            f"choose another --workdir, or add --force to make {', '.join(stale)} again"
        )


def _differences(theirs: Any, mine: Any, name: str = "") -> list[str]:
    """Where two nested dicts differ, in words."""
    if isinstance(theirs, dict) and isinstance(mine, dict):
        # A setting that only one of them knows was not there, or is no more, in other code.
        names = sorted({*theirs} & {*mine})
        return [d for n in names for d in _differences(theirs.get(n), mine.get(n), f"{name}.{n}" if name else n)]
    if theirs == mine:
        return []
    # Keys of contents say nothing to a reader.
    return [f"{name.removeprefix('config.')} was {theirs!r}, is {mine!r}" if "." in name else f"{name} differ"]
