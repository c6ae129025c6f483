"""Checkpoints of a stage in Orbax's format: a flat dict of arrays named by their place in the state."""

import logging
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Sharding
from orbax.checkpoint import v1 as ocp

from mom3d_jax.training.state import TrainState

log = logging.getLogger(__name__)


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
        """
        with self._open() as checkpointer:
            checkpointer.save(int(state.step), _flat(state), force=True, overwrite=True, custom_metadata={"key": key})

    def restore(self, template: TrainState, key: str, sharding: Sharding) -> TrainState | None:
        """The newest state that can be read, or None.

        Args:
          template: a state with the shapes to restore.
          key: checkpoints saved under another key are passed over.
          sharding: where to put the arrays, on however many devices there are now.
        """
        if not self._folder.is_dir():
            return None
        leaves = _flat(template)
        abstract = {k: jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=sharding) for k, v in leaves.items()}
        with self._open() as checkpointer:
            for found in reversed(list(checkpointer.checkpoints)):
                try:
                    if (checkpointer.metadata(found.step).custom_metadata or {}).get("key") != key:
                        continue
                    arrays = checkpointer.load(found.step, abstract)
                except Exception as error:  # whatever is wrong with one checkpoint, the one before may be whole
                    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                    log.warning("checkpoint %s cannot be read (%s); trying the one before", found.step, reason)
                    continue
                return jax.tree.unflatten(jax.tree.structure(template), [arrays[k] for k in leaves])
        return None
