"""Requests and results on disk, in the layout of `protocol`."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mom3d_jax.external.check import check_arrays
from mom3d_jax.external.protocol import FORMAT, TASKS, ExternalError, Item, item_folder


def write_request(folder: Path, task: str, model: str, seed: int, settings: dict, items: Sequence[Item]) -> None:
    """Write a request into a folder that is there.

    Raises:
      OSError: it cannot be written.
      ValueError: an array is not what the task takes, which is our mistake.
    """
    for number, item in enumerate(items):
        place = item_folder(folder, number)
        place.mkdir(parents=True)
        for name, array in check_arrays(item.arrays, TASKS[task].takes, item, "request").items():
            np.save(place / f"{name}.npy", array)
    request = {
        "format": FORMAT,
        "task": task,
        "model": model,
        "seed": seed,
        "settings": settings,
        "items": [{"name": item.name, "values": dict(item.values)} for item in items],
    }
    (folder / "request.json").write_text(json.dumps(request, indent=2) + "\n")


def read_result(folder: Path, task: str, items: Sequence[Item]) -> tuple[list[dict], dict]:
    """The values of each item, and the provenance, of a complete result.

    Raises:
      ExternalError: there is none, or its result.json is not one.
    """
    file = folder / "result" / "result.json"
    if not file.is_file():
        raise ExternalError("it ended without a result: a worker renames result.tmp to result when all is written")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        json.dumps(content, allow_nan=False)  # NaN and infinity are no JSON
        if content["format"] != FORMAT or content["task"] != task:
            raise ValueError(f"format {content['format']!r}, task {content['task']!r}; wanted {FORMAT}, {task!r}")
        values = [dict(entry["values"]) for entry in content["items"]]
        provenance = dict(content["provenance"])
        names = [entry["name"] for entry in content["items"]]
        if names != [item.name for item in items]:
            raise ValueError(f"it is about {names[:3]}, asked about {[item.name for item in items][:3]}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        words = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ExternalError(f"its result.json is not one ({words}); docs/external.md has its form") from error
    return values, provenance
