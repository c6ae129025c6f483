"""Solvers of 3D-MOM against known motions, on synthetic scenes and on real flows.

    python -m benchmarks.motion3d --quick --out motion3d.json --plots plots
    python -m benchmarks.motion3d --problem synthetic_free --solver coupled,my_module:MySolver
    python -m benchmarks.motion3d --width 512,256,1280 --sweep --data DIR --out motion3d.json --plots plots
    python -m benchmarks.motion3d --markdown motion3d.json

Problems (docs/solvers.md says what the columns mean):

* synthetic_free: a plane and a wall seen by the 25 official views, in a motion with a formula; every view's flow is
  wrong by a factor, a rotation, smooth noise and blocks of outliers.
* synthetic_tangent: the same with a motion along the surface.
* real_flows: photos with flow files and with hints in a folder (--data); skipped without one.

A row is a solver with its options and priors, by the name of a setting; any other solver is named like in the config
and gets the default's problem. Seconds are those of a run after compilation.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import timing
from benchmarks.motion3d import pictures, real, report
from benchmarks.motion3d.execute import Outcome
from benchmarks.motion3d.runner import REAL, SYNTHETIC, Findings, Level, Plan, run
from benchmarks.motion3d.settings import DEFAULT, SETTINGS, SLOW, find
from benchmarks.motion3d.synthetic import Case

MODULE = "benchmarks.motion3d"
PROBLEMS = (*SYNTHETIC, REAL)
BASE = {"problem": ",".join(PROBLEMS), "width": "512", "corruption": "1", "outliers": "0.15", "seeds": "0,1,2"}
QUICK = {**BASE, "problem": ",".join(SYNTHETIC), "seeds": "0"}
FAST = [name for name in SETTINGS if name not in SLOW]
SWEEP = (Level(0, 0), Level(0, 0.15), Level(2, 0.15), Level(1, 0.05), Level(1, 0.4))
"""Levels beside the common one."""
NARROWEST = 32


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        timing.fail(f"{message}; --help lists the options")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = Parser(
        prog=f"python -m {MODULE}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    comma = "with commas; default: "
    parser.add_argument("--problem", help=comma + BASE["problem"])
    parser.add_argument("--solver", help=f"{comma}{', '.join(SETTINGS)}; with --quick: without {', '.join(SLOW)}")
    parser.add_argument("--width", help="px, 9/16 as high; " + comma + BASE["width"])
    parser.add_argument("--corruption", help="levels " + comma + BASE["corruption"])
    parser.add_argument("--outliers", help="shares of the blocks " + comma + BASE["outliers"])
    parser.add_argument("--seeds", help=comma + BASE["seeds"])
    parser.add_argument("--sweep", action="store_true", help="at the first width also the other levels, one at a time")
    parser.add_argument("--data", type=Path, help="folder with flows/NAME/ or scenes/NAME/ for real_flows")
    parser.add_argument("--quick", action="store_true", help="the synthetic problems at one size, level and seed")
    parser.add_argument("--out", type=Path, help="JSON file")
    parser.add_argument("--plots", type=Path, help="folder for the pictures")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="print the tables of a JSON file and do no more")
    options = parser.parse_args(argv)
    if options.quick:
        said = [name for name in (*BASE, "sweep", "data") if getattr(options, name)]
        if said:
            parser.error(f"--quick fixes --{said[0]}; leave one of them out")
    for name, value in (QUICK if options.quick else BASE).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.solver is None:
        options.solver = ",".join(FAST if options.quick else SETTINGS)
    return options


def plan_of(options: argparse.Namespace) -> Plan:
    """What the options ask for.

    Raises:
      ValueError: a value that cannot be used; one line that names it.
    """
    problems = _words(options.problem)
    for problem in problems:
        if problem not in PROBLEMS:
            raise ValueError(f"--problem: unknown problem {problem!r}; known: {', '.join(PROBLEMS)}")
    settings = {name: find(name) for name in _words(options.solver)}
    widths = [int(w) for w in _numbers("width", options.width, NARROWEST, whole=True)]
    levels = [
        Level(c, o)
        for c in _numbers("corruption", options.corruption, 0)
        for o in _numbers("outliers", options.outliers, 0, most=1)
    ]
    levels += [level for level in (SWEEP if options.sweep else ()) if level not in levels]
    seeds = [int(s) for s in _numbers("seeds", options.seeds, 0, whole=True)]
    if options.data is not None:
        real.find(options.data)
    return Plan(settings, problems, widths, levels, seeds, options.data)


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _numbers(name: str, text: str, least: float, *, most: float = 1e6, whole: bool = False) -> list[float]:
    """Numbers with commas in between."""
    numbers = []
    for word in _words(text):
        try:
            number = float(int(word) if whole else word)
        except ValueError:
            number = -1.0
        if not least <= number <= most:
            kind = "whole number" if whole else "number"
            raise ValueError(f"--{name}={text}: {word!r} is not a {kind} from {least:g} to {most:g}")
        numbers.append(number)
    if not numbers:
        raise ValueError(f"--{name}: nothing in it; leave it out for the default")
    return numbers


def _check_outputs(options: argparse.Namespace) -> None:
    """Before anything long begins."""
    if options.out is not None and options.out.is_dir():
        raise ValueError(f"--out={options.out}: this is a folder; give a file")
    if options.plots is not None:
        if options.plots.exists() and not options.plots.is_dir():
            raise ValueError(f"--plots={options.plots}: this is a file; give a folder")
        options.plots.mkdir(parents=True, exist_ok=True)


def benchmark(options: argparse.Namespace, argv: list[str] | None) -> dict[str, Any]:
    """Run what the options say, and write it."""
    with timing.one_line_errors():
        plan = plan_of(options)
        _check_outputs(options)
    skipped = [REAL] if REAL in plan.problems and plan.data is None else []
    for name in skipped:
        print(f"{name}: skipped, no folder given; add --data=DIR with flows/NAME/ or scenes/NAME/", file=sys.stderr)

    def show(case: Case, outcome: Outcome, row: report.Row) -> None:
        if options.plots is not None:
            title = f"{row['problem']}, {row['solver']}"
            pictures.draw_motion(case, outcome.motion, title, options.plots / f"{row['problem']}_motion.png")

    found = run(plan, show)
    content = {
        **timing.environment(MODULE, argv),
        "default": next((name for name, setting in SETTINGS.items() if setting == DEFAULT), DEFAULT.solver),
        "settings": {name: setting._asdict() for name, setting in plan.settings.items()},
        "skipped": skipped,
        **found._asdict(),
    }
    print(report.markdown(content))
    timing.save(content, options.out)
    if options.plots is not None:
        draw(found, content["default"], options.plots)
    return content


def draw(found: Findings, default: str, folder: Path) -> None:
    """The charts of each problem."""
    rows = report.over_seeds(found.results)
    for (problem,), of_problem in report.grouped(rows, ("problem",)).items():
        curves = [curve for curve in found.curves if curve["problem"] == problem]
        pictures.draw_convergence(curves, default, folder / f"{problem}_convergence.png")
        (cell, first), *_ = report.grouped(of_problem, report.CELL).items()
        still = [r["epe_truth_px"] for r in found.do_nothing if r["problem"] == problem and _agree(r, first[0])]
        if still:
            pictures.draw_bars(first, sum(still) / len(still), folder / f"{problem}_epe.png")
        at_size = [r for r in of_problem if r["width"] == cell[1]]
        pictures.draw_levels(at_size, default, folder / f"{problem}_levels.png")


def _agree(one: report.Row, other: report.Row) -> bool:
    return all(one[key] == other[key] for key in ("width", "corruption", "outliers"))


def _read(file: Path) -> dict[str, Any]:
    """A report of an earlier run.

    Raises:
      ValueError: no such file, or no report.
    """
    try:
        content = json.loads(file.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"--markdown={file}: no JSON file ({error}); give one that --out has written") from error
    if not isinstance(content, dict) or not {"results", "do_nothing"} <= set(content):
        raise ValueError(f"--markdown={file}: no report of this benchmark; give a file that --out has written")
    return content


def main(argv: list[str] | None = None) -> None:
    """Entry point."""
    options = parse(argv)
    if options.markdown is None:
        benchmark(options, argv)
        return
    with timing.one_line_errors():
        content = _read(options.markdown)
    print(report.markdown(content))


if __name__ == "__main__":
    main()
