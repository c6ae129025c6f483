"""All rows of a benchmark, one after the other."""

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import timing
from benchmarks.motion3d import real
from benchmarks.motion3d.execute import Outcome, execute
from benchmarks.motion3d.measures import measure
from benchmarks.motion3d.report import FOUND, STATED, Row, mean
from benchmarks.motion3d.settings import DEFAULT, Setting
from benchmarks.motion3d.synthetic import Case, make_case

SYNTHETIC = ("synthetic_free", "synthetic_tangent")
REAL = "real_flows"
Show = Callable[[Case, Outcome, Row], None]


class Level(NamedTuple):
    """How much the flows are corrupted."""

    corruption: float
    outliers: float


class Plan(NamedTuple):
    """What to run."""

    settings: dict[str, Setting]
    problems: Sequence[str]
    widths: Sequence[int]
    levels: Sequence[Level]
    """At the first width; the others take the first level alone."""
    seeds: Sequence[int]
    data: Path | None = None


class Findings(NamedTuple):
    """What came of it; the lists of the JSON file."""

    results: list[Row]
    photos: list[Row]
    """The rows that those of real_flows are means of."""
    do_nothing: list[Row]
    """What no motion at all leaves, where the truth is known."""
    curves: list[Row]
    """Of the first size, level and seed of each synthetic problem."""
    failed: list[Row]
    """Runs that left the finite numbers; they have no row."""


def run(plan: Plan, show: Show) -> Findings:
    """Run a plan, with a line on stderr for each row.

    Args:
      plan: what to run.
      show: called with the first case of each synthetic problem and the outcome of the default.

    Raises:
      ValueError: corruption out of range.
      SystemExit: data that cannot be read.
    """
    found = Findings([], [], [], [], [])
    for problem in plan.problems:
        if problem in SYNTHETIC:
            _run_synthetic(plan, problem, found, show)
        elif plan.data is not None:
            _run_real(plan, plan.data, found)
    return found


def cells(plan: Plan) -> Iterator[tuple[int, Level, int]]:
    """Width, level and seed of every case of a problem, the first one first."""
    for width in plan.widths:
        levels = plan.levels if width == plan.widths[0] else plan.levels[:1]
        yield from ((width, level, seed) for level, seed in itertools.product(levels, plan.seeds))


def _run_synthetic(plan: Plan, problem: str, found: Findings, show: Show) -> None:
    for k, (width, level, seed) in enumerate(cells(plan)):
        height = width * 9 // 16
        case = make_case(problem, width, height, **level._asdict(), seed=seed)
        stated = {"problem": problem, "width": width, "height": height, **level._asdict(), "seed": seed}
        _nothing(case, stated, found)
        for name, setting in plan.settings.items():
            outcome, row = _row(name, setting, case, stated, found, curve=k == 0)
            if outcome is None:
                continue
            found.results.append(row)
            if k == 0:
                found.curves.append({**{key: row[key] for key in STATED}, **outcome.curve})
                if row["default"]:
                    show(case, outcome, row)


def _run_real(plan: Plan, data: Path, found: Findings) -> None:
    """Photo by photo, since preparing one takes longer than solving it; then the means over photos."""
    for width in plan.widths:
        for photo in _photos(data, width):
            for _, level, seed in (cell for cell in cells(plan) if cell[0] == width):
                case = photo.case(**level._asdict(), seed=seed)
                stated = {"problem": REAL, "photo": photo.name, "width": width, "height": photo.size[1]}
                stated |= {**level._asdict(), "seed": seed}
                _nothing(case, stated, found)
                for name, setting in plan.settings.items():
                    outcome, row = _row(name, setting, case, stated, found, curve=False)
                    if outcome is not None:
                        found.photos.append({"photo": photo.name, **row})
    kinds: dict[tuple, list[Row]] = {}
    for row in found.photos:
        kinds.setdefault(tuple(row[k] for k in ("solver", "width", "corruption", "outliers", "seed")), []).append(row)
    found.results.extend(_in_order(mean(rows, "photo")) for rows in kinds.values())


def _photos(data: Path, width: int) -> Iterator[real.Photo]:
    """What is wrong with a file is the user's line to read; what goes wrong with a photo later on is a bug."""
    with timing.one_line_errors():
        yield from real.read(real.find(data), width)


def _row(
    name: str, setting: Setting, case: Case, stated: Row, found: Findings, *, curve: bool
) -> tuple[Outcome | None, Row]:
    """Run one setting; a run that diverges is told and noted, and the others go on."""
    row = {**stated, "solver": name, "default": setting == DEFAULT, "views": len(np.asarray(case.problem.weight))}
    try:
        outcome = execute(setting, case, curve=curve)
    except FloatingPointError as error:
        found.failed.append({**row, "why": str(error)})
        _say(row, str(error))
        return None, row
    row = _in_order({**row, **outcome.figures, **measure(case.problem, outcome.motion, case.truth)})
    epe = row["epe_truth_px"]
    known = f"residual {row['fit_residual_px']:.4f} px" if epe is None else f"EPE to truth {epe:.4f} px"
    _say({**stated, **row}, f"{row['seconds']:.2f} s, {known}")
    return outcome, row


def _nothing(case: Case, stated: Row, found: Findings) -> None:
    if case.truth is not None:
        figures = measure(case.problem, np.zeros_like(case.truth), case.truth)
        found.do_nothing.append({**stated, **figures})


def _in_order(row: Row) -> Row:
    return {key: row[key] for key in (*STATED, *FOUND)}


def _say(row: Row, text: str) -> None:
    where = row.get("photo", row["problem"])
    level = f"corruption {row['corruption']:g}, outliers {row['outliers']:g}, seed {row['seed']}"
    print(f"{where} {row['width']}x{row['height']}, {level}: {row['solver']}: {text}", file=sys.stderr, flush=True)
