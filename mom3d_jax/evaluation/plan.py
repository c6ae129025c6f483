"""What a work folder is about, and which results it should hold. The table is made of these and no others."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mom3d_jax import artifacts
from mom3d_jax.evaluation import results
from mom3d_jax.evaluation.claims import claimed
from mom3d_jax.evaluation.studies import STUDIES

VERSION = 1


@dataclasses.dataclass(frozen=True)
class Cell:
    """One scene under one variant: a result, a failure, or neither."""

    variant: str
    scene: str
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    studies: tuple[str, ...] = ()
    """Those of the work folder that have the variant."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """Keys of all results that were asked for in a work folder."""

    keys: dict[str, dict[str, str]]
    """Variant -> scene -> hash."""
    studies: tuple[str, ...] = ()
    """Names of the studies that were asked for."""


def extend(workdir: Path, about: dict[str, Any], keys: dict[str, dict[str, str]], studies: Sequence[str] = ()) -> Plan:
    """Add what a command asks for to what earlier ones did.

    Args:
      workdir: of the evaluation.
      about: what all commands in one folder have in common: data set, recipe and its overrides, frames.
      keys: variant -> scene -> hash of this command.
      studies: that this command is for.

    Raises:
      ValueError: the folder was begun with something else, or its plan is damaged.
    """
    file = workdir / "plan.json"
    with claimed(workdir, wait=True):
        if file.is_file():
            try:
                there = json.loads(file.read_text(encoding="utf-8"))
                old, before = there["keys"], there["about"] if there["version"] == VERSION else None
                earlier = list(there.get("studies", ()))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{file}: damaged ({type(error).__name__}); choose another --workdir") from error
            for name, value in about.items():
                if before is not None and before.get(name) != value:
                    raise ValueError(
                        f"{workdir} holds an evaluation of other settings ({name} was {before.get(name)!r}, is "
                        f"{value!r}): choose another --workdir"
                    )
        else:
            old, earlier = {}, []
        merged = {variant: {**old.get(variant, {}), **keys.get(variant, {})} for variant in [*old, *keys]}
        names = list(dict.fromkeys([*earlier, *studies]))
        artifacts.write_json(file, {"version": VERSION, "about": about, "studies": names, "keys": merged})
    return Plan(merged, tuple(names))


def collect(workdir: Path, plan: Plan, asked: dict[str, dict[str, str]]) -> tuple[list[Cell], list[str]]:
    """All results and failures of a plan.

    Args:
      workdir: of the evaluation.
      plan: of the folder.
      asked: what this command asked for: of this nothing may be missing.

    Returns:
      The cells in the order of the plan, and names of those that earlier commands asked for and that are not there
      under their key any more (other code or other settings).

    Raises:
      ValueError: results and failures do not add up to what was asked for; one line that names what is missing.
    """
    cells, stale, missing = [], [], []
    for variant, scenes in plan.keys.items():
        within = tuple(s for s in plan.studies if s in STUDIES and variant in {v.name for v in STUDIES[s].variants})
        for scene, key in scenes.items():
            folder = workdir / "runs" / variant / scene
            result = results.read(results.result_file(folder), key)
            error = None if result else results.read(results.error_file(folder), key)
            if result or error:
                cells.append(Cell(variant, scene, result, error, within))
            elif asked.get(variant, {}).get(scene) == key:
                missing.append(f"{variant}/{scene}")
            else:
                stale.append(f"{variant}/{scene}")
    if missing:
        wanted = sum(map(len, asked.values()))
        named = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        raise ValueError(
            f"{workdir}: {wanted - len(missing)} results and failures of {wanted} wanted, so there is no table; "
            f"missing: {named}; run the same command again"
        )
    return cells, stale
