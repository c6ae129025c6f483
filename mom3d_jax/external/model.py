"""One model with its settings: what it is asked for, where it lies, and what its results depend on."""

import dataclasses
import functools
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mom3d_jax.external.environment import worker_environment
from mom3d_jax.external.protocol import TASKS, ExternalError
from mom3d_jax.external.registry import REGISTRY, WORKERS, Entry, Licence
from mom3d_jax.external.weights import check_whole, files_of, find_weights, hash_files

USES = ("research", "commercial")
FALLBACKS = ("", "builtin")
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclasses.dataclass(frozen=True)
class Model:
    """A model as the settings have it. `make_model` makes one."""

    name: str
    task: str
    worker: Path
    python: str
    """As it was said; `interpreter` finds it."""
    repo: Path | None
    weights: str
    device: str
    timeout: float
    seed: int
    options: Mapping[str, Any]
    environment: Mapping[str, str]
    use: str
    fallback: str
    trust: tuple[str, ...]
    licence: Licence
    clone: bool
    """Whether it needs `repo`."""
    needs: tuple[str, ...]
    store: Path
    """Folder for its results and hashes."""

    @functools.cached_property
    def interpreter(self) -> Path:
        """The Python of its environment.

        Raises:
          ExternalError: none set, or none there.
        """
        if not self.python:
            raise ExternalError(
                f"external.{self.name}.python is not set: name the Python that has the model's libraries, in "
                f"configs/external/{self.name}.py or with --config.external.{self.name}.python=ENV/bin/python"
            )
        if self._found is None:
            raise ExternalError(
                f"external.{self.name}.python={self.python}: no such program; docs/external.md says how to make one"
            )
        return self._found

    @functools.cached_property
    def variables(self) -> dict[str, str]:
        """Its environment variables."""
        return worker_environment(self._found, self.seed, self.environment)

    @functools.cached_property
    def _found(self) -> Path | None:
        # Links are not followed: environments know themselves by them.
        found = shutil.which(os.path.expanduser(self.python)) if self.python else None
        return Path(found).absolute() if found else None

    @functools.cached_property
    def weights_path(self) -> Path | None:
        """Where its weights lie, None for a model without.

        Raises:
          ExternalError: not there.
        """
        return find_weights(self.weights, self.repo, self.variables) if self.weights else None

    @functools.cached_property
    def weights_hash(self) -> str:
        """SHA-256 of its weights, empty for a model without.

        Raises:
          ExternalError: not there.
        """
        if self.weights_path is None:
            return ""
        return hash_files(files_of(self.weights_path, self.needs), self.store / "weights.json")

    @functools.cached_property
    def key(self) -> str:
        """A hash of whatever its results depend on, also of what is missing."""
        try:
            weights = self.weights_hash
        except (ExternalError, OSError) as error:
            weights = f"missing: {error}"
        parts = [self.name, self.task, self.python, self.device, self.seed, self.options, self.environment]
        parts += [weights, _file_hash(self.worker), str(self.repo or ""), repo_commit(self.repo)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def ready(self) -> None:
        """See that everything is there before anything is started.

        Raises:
          ExternalError: what is missing, in one line.
        """
        _ = self.interpreter
        if not self.worker.is_file():
            raise ExternalError(f"external.{self.name}.worker={self.worker}: no such file")
        self.check_repo()
        try:
            for file in files_of(self.weights_path, self.needs) if self.weights_path else ():
                check_whole(file)
        except ExternalError as error:
            raise ExternalError(f"{self.name}: {error}") from error

    def check_repo(self) -> None:
        """See that the clone of its repository is there.

        Raises:
          ExternalError: none is set where one is needed, or there is none.
        """
        if self.clone and not self.repo:
            raise ExternalError(
                f"external.{self.name}.repo is not set: clone the model's repository and name its folder"
            )
        if self.repo and not self.repo.is_dir():
            raise ExternalError(
                f"external.{self.name}.repo={self.repo}: no such folder; clone the model's repository there"
            )

    def request_settings(self) -> dict[str, Any]:
        """What the worker is told."""
        return {
            "repo": str(self.repo or ""),
            "weights": str(self.weights_path or ""),
            "device": self.device,
            "trust": list(self.trust),
            "options": dict(self.options),
        }

    def provenance(self) -> dict[str, Any]:
        """Where its results come from, as far as is known on this side."""
        return {
            "name": self.name,
            "worker": f"{self.worker.name} {_file_hash(self.worker)[:16]}",
            "weights": self.weights,
            "weights_sha256": self.weights_hash,
            "repo_commit": repo_commit(self.repo),
            "licence": self.licence.name,
            "options": dict(self.options),
        }


def make_model(name: str, task: str, settings: Mapping[str, Any], *, seed: int, store: Path) -> Model:
    """A model from its settings.

    Args:
      name: a name of `REGISTRY`, or any other with a `worker` of its own in the settings.
      task: that it is chosen for.
      settings: those of `mom3d_jax.config.external_model`.
      seed: of its random numbers.
      store: folder for its results and hashes.

    Raises:
      ExternalError: an unknown model, one for another task, or a setting that makes no sense.
    """
    where, entry = f"external.{name}", _entry(name, task, settings)
    if entry.task != task:
        raise ExternalError(f"{name} is a model for {entry.task}, not for {task}; choose another, or `builtin`")
    for setting, known in (("use", USES), ("fallback", FALLBACKS)):
        if settings[setting] not in known:
            raise ExternalError(f"{where}.{setting}={settings[setting]!r}: one of {', '.join(map(repr, known))}")
    if not DEVICE.fullmatch(settings["device"]):
        raise ExternalError(f"{where}.device={settings['device']!r}: auto, cpu, cuda, cuda:1 and the like, or mps")
    if not settings["timeout"] >= 0:
        raise ExternalError(f"{where}.timeout={settings['timeout']}: seconds, 0 for no limit")
    said = settings["weights"]
    licence = next((other for part, other in entry.other_licences.items() if part in said), entry.licence)
    return Model(
        name=name,
        task=task,
        worker=Path(settings["worker"]).expanduser().absolute() if settings["worker"] else WORKERS / entry.worker,
        python=settings["python"],
        repo=Path(settings["repo"]).expanduser().absolute() if settings["repo"] else None,
        weights=said,
        device=settings["device"],
        timeout=float(settings["timeout"]),
        seed=seed,
        options=dict(settings["options"]),
        environment=dict(settings["environment"]),
        use=settings["use"],
        fallback=settings["fallback"],
        trust=tuple(settings["trust"]),
        licence=licence,
        clone=entry.clone,
        needs=entry.needs,
        store=store,
    )


def _entry(name: str, task: str, settings: Mapping[str, Any]) -> Entry:
    """What the registry says, or the settings of a model of the user's own."""
    if name in REGISTRY:
        return REGISTRY[name]
    if not settings["worker"]:
        known = ", ".join(n for n, entry in REGISTRY.items() if entry.task == task) or "none"
        raise ExternalError(f"no model {name!r} for {task}; known: {known}; your own needs external.{name}.worker")
    own_task = settings["task"] or task
    if own_task not in TASKS:
        raise ExternalError(f"external.{name}.task={own_task!r}: one of {', '.join(TASKS)}")
    stated = settings["licence"]
    return Entry("", own_task, Licence(stated or "not stated in its settings", commercial=settings["commercial"]))


def repo_commit(repo: Path | None) -> str:
    """The commit that a clone is at, empty where there is none; read from its files, without git."""
    if repo is None:
        return ""
    try:
        head = (repo / ".git" / "HEAD").read_text().strip()
        reference = head.removeprefix("ref: ")
        if reference == head:
            return head
        loose = repo / ".git" / reference
        if loose.is_file():
            return loose.read_text().strip()
        packed = (repo / ".git" / "packed-refs").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split()[0] for line in packed if line.endswith(f" {reference}")), "")


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
