"""Checkpoints of a stage in Orbax's format: a flat dict of arrays named by their place in the state.

Beside Orbax's files lies a list of them with their digests. A checkpoint is read only if every file is as it was
written: Orbax itself takes some damage for data.
"""

import contextlib
import hashlib
import json
import logging
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Sharding
from orbax.checkpoint import v1 as ocp

from mom3d_jax.atomic import cannot_write, replacing
from mom3d_jax.training.state import TrainState

log = logging.getLogger(__name__)

LIST = "contents.json"
"""What a checkpoint belongs to, and the digest of each of its files."""
SYSTEM_ERROR = re.compile(r"os_error_code='(\d+)'")
"""How the library below Orbax tells an error of the operating system."""


def _flat(tree: Any) -> dict[str, Any]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


class Checkpoints:
    """The last few states of one stage, in one folder. A save is complete or absent, whenever the process dies."""

    def __init__(self, folder: Path, keep: int = 2):
        """Open or create.

        Args:
          folder: where the checkpoints lie.
          keep: how many of the newest to keep.
        """
        self._folder = folder
        self._keep = keep

    def _open(self) -> ocp.training.Checkpointer:
        policies = ocp.training.preservation_policies
        return ocp.training.Checkpointer(
            self._folder.resolve(), preservation_policy=policies.LatestN(self._keep), cleanup_tmp_directories=True
        )

    def save(self, state: TrainState, key: str) -> None:
        """Save a state under its step.

        Args:
          state: what to save.
          key: what the state belongs to (input and config); `restore` takes no other.

        Raises:
          OSError: it cannot be written; one line that names it. What was begun is removed.
        """
        step = int(state.step)
        place = self._folder / str(step)
        try:
            with _quiet(), self._open() as checkpointer:
                checkpointer.save(step, _flat(state), force=True, overwrite=True)
        except (OSError, ValueError) as error:
            code = SYSTEM_ERROR.search(str(error))
            number = error.errno if isinstance(error, OSError) else int(code[1]) if code else None
            if number is None:
                raise
            for begun in self._folder.glob("*.orbax-checkpoint-tmp"):
                shutil.rmtree(begun, ignore_errors=True)
            raise OSError(cannot_write(place, number)) from error
        with replacing(place / LIST) as draft:
            draft.write_text(json.dumps({"key": key, "files": _digests(place)}))

    def restore(self, template: TrainState, key: str, sharding: Sharding) -> TrainState | None:
        """The newest state that is as it was saved, or None. Damaged ones are told, and moved aside.

        Args:
          template: a state with the shapes to restore.
          key: checkpoints saved under another key are removed: they are of other settings or older code, and would
            take the places of the ones to come.
          sharding: where to put the arrays, on however many devices there are now.
        """
        leaves = _flat(template)
        abstract = {k: jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=sharding) for k, v in leaves.items()}
        damaged = 0
        for place in self._newest_first():
            try:
                if _key_if_whole(place) != key:
                    shutil.rmtree(place, ignore_errors=True)
                    continue
                with _quiet(), self._open() as checkpointer:
                    arrays = checkpointer.load(int(place.name), abstract)
            except Exception as error:  # whatever is wrong with one checkpoint, the one before may be whole
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                log.warning("checkpoint %s is damaged: %s; trying the one before", place, reason)
                _move_aside(place)
                damaged += 1
                continue
            return jax.tree.unflatten(jax.tree.structure(template), [arrays[k] for k in leaves])
        if damaged:
            log.warning("no checkpoint in %s can be used; starting from the beginning", self._folder)
        return None

    def _newest_first(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted((p for p in self._folder.iterdir() if p.name.isdecimal()), key=lambda p: -int(p.name))


def _key_if_whole(place: Path) -> str:
    """What a checkpoint belongs to.

    Raises:
      ValueError: it is not as it was saved.
    """
    try:
        contents = json.loads((place / LIST).read_text())
        key, files = contents["key"], set(contents["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its {LIST} cannot be read") from error
    changed = sorted({name for name, _ in files ^ set(_digests(place).items())})
    if changed:
        raise ValueError(f"its {', '.join(changed[:3])} changed or went missing")
    return key


def _digests(place: Path) -> dict[str, str]:
    """Digest of each file of a checkpoint but the list itself."""
    digests = {}
    for path in sorted(p for p in place.rglob("*") if p.is_file() and p != place / LIST):
        with path.open("rb") as file:
            digests[str(path.relative_to(place))] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _move_aside(place: Path) -> None:
    """Out of the way of the next save, and still there for whoever wants to look."""
    aside = place.with_name(f"damaged-{place.name}")
    with contextlib.suppress(OSError):
        shutil.rmtree(aside, ignore_errors=True)
        place.rename(aside)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Orbax logs the whole traceback of what it then raises."""
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
