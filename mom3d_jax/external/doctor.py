"""Whether a model could run: its environment, libraries, weights and device, and what to do about what is missing."""

import ast
import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mom3d_jax.external.diagnosis import what_happened
from mom3d_jax.external.model import Model, make_model
from mom3d_jax.external.process import run_guarded
from mom3d_jax.external.protocol import ExternalError
from mom3d_jax.external.registry import REGISTRY, WORKERS
from mom3d_jax.external.weights import check_whole, files_of, hash_files

PROBE = WORKERS / "probe.py"
PATIENCE = 300.0
"""Seconds that the imports of a model may take."""
SHOWN = ("torch", "transformers", "diffusers")
"""Libraries whose versions are worth a column."""
COLUMNS = ("model", "for", "Python", "libraries", "weights", "device", "ready")


@dataclasses.dataclass
class Health:
    """What was found out about a model."""

    name: str
    task: str
    python: str = "-"
    libraries: str = "-"
    weights: str = "-"
    device: str = "-"
    problems: list[str] = dataclasses.field(default_factory=list)
    """One line each, with the remedy; none: it is ready."""

    def row(self) -> tuple[str, ...]:
        """Its row of the table."""
        ready = "no" if self.problems else "yes"
        return self.name, self.task, self.python, self.libraries, self.weights, self.device, ready


def check_up(
    names: Sequence[str], settings: Mapping[str, Mapping], commands: Mapping[str, str], place: Path
) -> tuple[str, bool]:
    """Examine models.

    Args:
      names: of the models asked for.
      settings: of all models, by name.
      commands: how each is set up, by name.
      place: where results would be written; its free room is told.

    Returns:
      A page for people, and whether all are ready.

    Raises:
      ExternalError: a model that there is not, or settings that make no sense.
    """
    for name in names:
        if name not in settings:
            raise ExternalError(f"no model {name!r}; there are {', '.join(sorted(settings))}")
    healths = []
    with tempfile.TemporaryDirectory() as store:  # nothing is asked, so nothing stays there
        for name in names:
            own = settings[name]
            task = REGISTRY[name].task if name in REGISTRY else own["task"] or "depth"
            healths.append(examine(make_model(name, task, own, seed=0, store=Path(store))))
    return page(healths, place, commands), not any(health.problems for health in healths)


def examine(model: Model) -> Health:
    """Look at everything that a model needs; nothing of it is loaded here, its libraries are imported by its Python."""
    health = Health(model.name, model.task)
    looks = (lambda: _look_at_environment(model, health), model.check_repo, lambda: _look_at_weights(model, health))
    for look in looks:
        try:
            look()
        except (ExternalError, OSError) as error:
            health.problems.append(str(error))
    return health


def page(healths: Sequence[Health], place: Path, commands: Mapping[str, str]) -> str:
    """The table, and for each model that is not ready what is missing and how it is set up.

    Args:
      healths: of the models asked for.
      place: where results would be written, there or to be made; its free room is told.
      commands: how each model is set up, by its name.
    """
    rows = [COLUMNS, *(health.row() for health in healths)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    there = next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.is_dir())
    lines += ["", f"{readable(shutil.disk_usage(there).free)} free in {there}"]
    for health in healths:
        if health.problems:
            lines += ["", f"{health.name} is not ready:", *(f"  - {problem}" for problem in health.problems)]
            said = commands.get(health.name, "").strip()
            lines += ["", *(f"    {line}".rstrip() for line in said.splitlines())] if said else []
    return "\n".join(lines)


def readable(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def modules_of(worker: Path) -> list[str]:
    """Modules that a worker cannot do without: all that it imports, but for the standard library and for what it tries.

    Raises:
      ExternalError: it cannot be read.
    """
    try:
        tree = ast.parse(worker.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError) as error:
        raise ExternalError(f"{worker}: not a readable worker ({str(error).splitlines()[0]})") from error
    tried = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
    found: list[str] = []
    for node in ast.walk(tree):
        if id(node) in tried:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    roots = dict.fromkeys(name.split(".")[0] for name in found)
    return [root for root in roots if root not in sys.stdlib_module_names]


def _look_at_environment(model: Model, health: Health) -> None:
    """Its Python, libraries and GPU, as its own Python sees them."""
    python, declared = model.interpreter, REGISTRY[model.name].imports if model.name in REGISTRY else ()
    modules = dict.fromkeys([*modules_of(model.worker), *declared])
    findings: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        ended = run_guarded(
            [str(python), str(PROBE), str(model.repo or ""), *modules],
            folder=model.repo if model.repo and model.repo.is_dir() else Path(folder),
            environment=model.variables,
            timeout=PATIENCE,
            progress=lambda line: findings.append(json.loads(line)),
        )
    wrong = what_happened(ended, model.name, str(python), model.device, PATIENCE)
    if wrong:
        health.problems.append(f"its libraries cannot be imported: {wrong}")
    health.python = next((f["python"] for f in findings if "python" in f), "-")
    versions = {f["module"]: f["version"] for f in findings if "version" in f}
    health.libraries = ", ".join(f"{name} {versions[name]}" for name in SHOWN if versions.get(name)) or "-"
    for finding in findings:
        if "error" in finding:
            health.problems.append(
                f"{python} cannot import {finding['module']} ({finding['error']}): install it there, or look at "
                f"external.{model.name}.repo"
            )
    _look_at_device(model, health, [f for f in findings if "gpu" in f])


def _look_at_device(model: Model, health: Health, gpus: Sequence[dict]) -> None:
    """The GPU that the settings ask for, if they do."""
    kind, _, number = model.device.partition(":")
    names = [f"{gpu['gpu']} {readable(gpu['bytes'])}" if gpu["bytes"] else gpu["gpu"] for gpu in gpus]
    if kind == "cpu" or (kind == "auto" and not gpus):
        health.device = "cpu"
    elif int(number or 0) < len(gpus) and (kind != "mps" or gpus[0]["gpu"] == "mps"):
        health.device = names[int(number or 0)]
    else:
        health.problems.append(
            f"external.{model.name}.device={model.device}: its torch sees {', '.join(names) or 'no GPU'}; choose "
            "another, or a torch built for it"
        )


def _look_at_weights(model: Model, health: Health) -> None:
    """Whether its weights are there and whole, their size and hash."""
    if not model.weights and model.needs:
        raise ExternalError(f"external.{model.name}.weights is not set: name the folder or file of its weights")
    path = model.weights_path
    if path is None:
        return
    files = files_of(path, model.needs)
    for file in files:
        check_whole(file)
    size = readable(sum(file.stat().st_size for file in files))
    health.weights = f"{size} in {len(files)} file{'s' * (len(files) > 1)}, {hash_files(files)[:12]}"
