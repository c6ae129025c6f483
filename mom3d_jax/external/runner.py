"""Asking a model: what was asked before is looked up, the rest goes to one process, checked before it is kept."""

import contextlib
import hashlib
import json
import logging
import os
import shlex
import shutil
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mom3d_jax.external.check import check_result, load_arrays
from mom3d_jax.external.diagnosis import what_happened
from mom3d_jax.external.exchange import read_result, write_request
from mom3d_jax.external.model import Model
from mom3d_jax.external.process import Ended, run_guarded
from mom3d_jax.external.protocol import TASKS, ExternalError, Item, Result, item_folder

log = logging.getLogger(__name__)

RECORD = "record.json"
"""Values and provenance, beside the arrays of a kept result."""
REQUESTS = ".request-"


def ask(model: Model, items: Sequence[Item]) -> list[Result]:
    """What a model says about each item, in their order.

    One process serves all that have no kept result. Results are kept under a hash of the item's content and of
    everything that the model's answer depends on, so they are found again wherever the same is asked.

    Args:
      model: to ask.
      items: of one scene or of many; their names are for people only.

    Raises:
      ExternalError: it could not be run, or gave nothing usable; nothing of it is kept.
      OSError: no room for the request.
    """
    keys = [item_key(model, item) for item in items]
    kept = {key: _load(model, item, key) for key, item in zip(keys, items, strict=True)}
    wanted = {key: item for key, item in zip(keys, items, strict=True) if kept[key] is None}
    if wanted:
        _warn_of_licence(model)
        model.ready()
        try:
            _run(model, wanted)
        except ExternalError as error:
            raise ExternalError(f"{model.name}: {error}") from error
        kept |= {key: _load(model, item, key) for key, item in wanted.items()}
    results = []
    for key, item in zip(keys, items, strict=True):
        found = kept[key]
        if found is None:
            raise ExternalError(f"{model.name}: the result in {model.store / key} disappeared; run again")
        results.append(Result(item.name, *found))
    return results


def item_key(model: Model, item: Item) -> str:
    """A hash of what is asked, and of whom."""
    digest = hashlib.sha256(f"{model.key} {json.dumps(dict(item.values), sort_keys=True)}".encode())
    for name, given in sorted(item.arrays.items()):
        array = np.ascontiguousarray(given, np.float32)
        digest.update(f"{name} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()[:32]


def _run(model: Model, wanted: dict[str, Item]) -> None:
    """Have the model answer, and keep the answers, all of them or none."""
    items = list(wanted.values())
    model.store.mkdir(parents=True, exist_ok=True)
    _clear_abandoned(model.store)
    request = Path(tempfile.mkdtemp(prefix=f"{REQUESTS}{socket.gethostname()}-{os.getpid()}-", dir=model.store))
    request = request.absolute()  # the worker runs in another folder
    try:
        write_request(request, model.task, model.name, model.seed, model.request_settings(), items)
        count = f"{len(items)} items" if len(items) > 1 else items[0].name
        log.info("%s: %s, with %s", model.name, count, model.interpreter)
        command = [str(model.interpreter), str(model.worker), str(request)]
        ended = run_guarded(
            command,
            folder=model.repo or request,
            environment=model.variables,
            timeout=model.timeout,
            progress=lambda line: log.info("%s: %s", model.name, line),
        )
        words = _write_log(model, command, ended)
        try:
            folders = _checked(model, request, items, ended)
        except ExternalError as error:
            raise ExternalError(f"{error}; more in {words}") from error
        for folder, key in zip(folders, wanted, strict=True):
            with contextlib.suppress(FileExistsError):  # of a run beside this one
                _move(folder, model.store / key)
    finally:
        shutil.rmtree(request, ignore_errors=True)


def _checked(model: Model, request: Path, items: Sequence[Item], ended: Ended) -> list[Path]:
    """The folders of a result, one per item, that may be kept.

    Raises:
      ExternalError: the worker failed, or something is wrong with what it gave.
    """
    wrong = what_happened(ended, model.name, str(model.interpreter), model.device, model.timeout)
    if wrong:
        raise ExternalError(wrong)
    values, provenance = read_result(request, model.task, items)
    provenance = {**provenance, **model.provenance(), "seconds": round(ended.seconds, 2)}
    folders = [item_folder(request / "result", number) for number in range(len(items))]
    for folder, item, said in zip(folders, items, values, strict=True):
        said["files"] = _files_in(folder, model.task)
        check_result(model.task, item, load_arrays(folder), said)
        (folder / RECORD).write_text(json.dumps({"values": said, "provenance": provenance}))
    return folders


def _load(model: Model, item: Item, key: str) -> tuple | None:
    """Arrays, values, files and provenance of a kept result; None where there is none, or a damaged one."""
    folder = model.store / key
    try:
        record = json.loads((folder / RECORD).read_text())
        values, provenance = record["values"], record["provenance"]
        arrays = check_result(model.task, item, load_arrays(folder), values)
        names = values.pop("files")
    except (OSError, ValueError, KeyError, TypeError):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return arrays, values, {name: folder / name for name in names}, provenance


def _files_in(folder: Path, task: str) -> list[str]:
    """Files of a result that are not arrays."""
    there = sorted(file.name for file in folder.iterdir() if file.suffix != ".npy") if folder.is_dir() else []
    unknown = [name for name in there if name not in TASKS[task].files]
    if unknown:
        raise ExternalError(f"its result holds {unknown[0]}, which a {task} model does not give")
    return there


def _move(folder: Path, target: Path) -> None:
    """Rename a folder to where none is."""
    if target.exists():
        raise FileExistsError(target)
    folder.rename(target)


def _clear_abandoned(store: Path) -> None:
    """Remove the requests of runs on this machine that were killed."""
    for folder in store.glob(f"{REQUESTS}{socket.gethostname()}-*"):
        try:
            os.kill(int(folder.name.split("-")[-2]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (OSError, ValueError):
            continue  # somebody else's process


def _write_log(model: Model, command: Sequence[str], ended: Ended) -> Path:
    """What was run, and the last words of the worker, for whoever wants more than one line."""
    path = model.store / f"{model.name}.log"
    lines = [f"# {shlex.join(command)}", "# standard output", *ended.stdout, "# standard error", *ended.stderr, ""]
    path.write_text("\n".join(lines))
    return path


def _warn_of_licence(model: Model) -> None:
    if model.use == "commercial" and not model.licence.commercial:
        log.warning(
            "%s: licence %s does not allow commercial use, which external.%s.use declares",
            model.name,
            model.licence.name,
            model.name,
        )
