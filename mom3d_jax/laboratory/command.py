"""3D-MOM alone, from files, with one solver or several side by side: `python -m mom3d_jax solve --help`."""

import argparse
import dataclasses
import json
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from mom3d_jax import cli, pipeline
from mom3d_jax.config import default_config
from mom3d_jax.laboratory.candidates import Candidate, candidates_of, read_options
from mom3d_jax.laboratory.comparison import Outcome, attempt, check_fit, write_comparison, write_outcome
from mom3d_jax.laboratory.given import Given, read_given, read_truth
from mom3d_jax.laboratory.table import table
from mom3d_jax.motion3d import LOSSES, NUISANCES, SOLVERS, Priors, Problem, build_problem
from mom3d_jax.progress import still_at
from mom3d_jax.stages import input_path

log = logging.getLogger(__name__)

EXPLAINED = """
input
  an image file, a scene folder or 'bundled': the pipeline is run up to its flows in the work folder, where finished
  stages are taken as they are; or the work folder of a run that got as far as its flows: nothing of it is changed.

output, in the work folder
  report.json           what was solved, and the figures of every solver
  convergence.png       loss and objective over evaluations and seconds, all solvers
  NAME/scene_flow.npz   the 3D motion, an artifact like that of the stage motion3d
  NAME/flows.png        flow of every view, the 3D motion seen there, their difference
  NAME/report.json      the figures of this solver

examples
  python -m mom3d_jax solve --input=photo.jpg --solver=coupled
  python -m mom3d_jax solve --input=out/photo --solver=coupled,irls,official_sgd --options=irls.iterations=60
  python -m mom3d_jax solve --input=bundled --solver=soft=coupled,hard=coupled --options=soft.inner=4,hard.inner=20
  python -m mom3d_jax solve --input=out/photo --solver=my_module:MySolver --priors=damping=0.01,tangency=1
"""


class Parser(argparse.ArgumentParser):
    """Ends with one line and code 2."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, without the usage."""
        cli.fail(f"{message}; python -m mom3d_jax solve --help explains all flags")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line; ends with one line and code 2 on anything unknown."""
    parser = Parser(
        "python -m mom3d_jax solve",
        description="Solve 3D-MOM alone, from files, with one solver or several side by side.",
        epilog=EXPLAINED,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--input", required=True, metavar="PATH", help="photo, scene folder, 'bundled', or work folder of a run")
    add("--solver", metavar="NAMES", help=f"one or several of {', '.join(SOLVERS)}, optax:NAME, module:attr, "
        "with commas; LABEL=NAME gives one a label of its own (default: the solver of the pipeline)")  # fmt: skip
    add("--options", default="", metavar="K=V,…", help="hyper-parameters; LABEL.K=V for one of several solvers")
    add("--loss", metavar="NAME", help=f"robust loss: {', '.join(LOSSES)} (default: as in the pipeline)")
    add("--priors", default="", metavar="K=V,…",
        help=f"{', '.join(f.name for f in dataclasses.fields(Priors))} (default: as in the pipeline)")  # fmt: skip
    add(
        "--nuisance",
        metavar="NAME",
        help=f"each view's own error: {', '.join(NUISANCES)} (default: as in the pipeline)",
    )
    add("--truth", metavar="DIR", help="folder with the true motion.npy [h,w,3] and depth.npy [h,w]; PATH/truth is "
        "found by itself")  # fmt: skip
    add("--workdir", metavar="OUT", help="where everything is written (default: out/solve/NAME; of a run: RUN/solve)")
    add("--size", type=int, metavar="WIDTH", help="working width in px, 0 takes the photo's own (default 256)")
    add("--config", metavar="RECIPE", help="recipe for the stages before, such as configs/preview.py")
    add("--force", action="store_true", help="go on in a work folder that was begun with another input or size")
    add("--warm", action=argparse.BooleanOptionalAction, help="solve twice and report the second time, which holds no "
        "compilation (default: where several solvers are compared)")  # fmt: skip
    asked, left = parser.parse_known_args(words)
    if left:
        flags = [option for action in parser._actions for option in action.option_strings]
        name = left[0].partition("=")[0]
        cli.fail(f"unexpected argument {left[0]!r}{cli.meant(name, flags)}")
    return asked


def run(words: Sequence[str]) -> None:
    """Read the command line, solve, write, print the table.

    Raises:
      ValueError: bad input; one line that names it and the remedy.
      FloatingPointError: the solver left the finite numbers; of several, all of them.
      OSError: something cannot be read or written.
    """
    asked = parse(words)
    source = Path(asked.input).expanduser()
    finished = source if (source / "artifacts").is_dir() or (source / "run.json").is_file() else None
    config = settings(asked, finished)
    candidates = candidates_of(asked.solver or config.motion3d.solver, read_options(asked.options), config)
    workdir = work_folder(asked, source, finished)
    given, truth_folder = prepare(asked, config, finished, workdir)
    truth = None if truth_folder is None else read_truth(truth_folder, given)

    m = config.motion3d
    problem, counts = build_problem(
        given.cloud, given.views, given.flows, loss=m.loss, priors=Priors(**m.priors.to_dict()), nuisance=m.nuisance
    )
    for candidate in candidates:
        check_fit(candidate, problem)
    stated = {
        "name": given.name,
        "width": problem.cameras.width,
        "height": problem.cameras.height,
        "views": len(problem.weight),
        **counts,
        "loss": m.loss,
        "priors": m.priors.to_dict(),
        "nuisance": m.nuisance,
    }
    outcomes, failed, files = _attempts(
        candidates, problem, given, truth, workdir, warm=len(candidates) > 1 if asked.warm is None else asked.warm
    )
    files += write_comparison(outcomes, stated | {"failed": failed}, workdir)
    print(table(stated, [outcome.figures for outcome in outcomes], failed, files))


def _attempts(
    candidates: Sequence[Candidate],
    problem: Problem,
    given: Given,
    truth: Float[np.ndarray, "n 3"] | None,
    workdir: Path,
    *,
    warm: bool,
) -> tuple[list[Outcome], dict[str, str], list[Path]]:
    """Outcomes with their files written, and the reasons of those that failed, by label."""
    outcomes: list[Outcome] = []
    failed: dict[str, str] = {}
    files: list[Path] = []
    for number, candidate in enumerate(candidates, start=1):
        where = f"[{number}/{len(candidates)}] {candidate.label}"
        log.info("%s: solving for %d points", where, len(problem.points))
        try:
            with still_at(where):
                outcome = attempt(candidate, problem, given, truth, warm=warm)
        except FloatingPointError as error:
            # One that diverges does not take the others' results with it.
            failed[candidate.label] = str(error)
            log.warning("%s", error)
            continue
        outcomes.append(outcome)
        log.info("%s: %.2f s, drawing its flows", where, outcome.figures["seconds"])
        files += write_outcome(outcome, given, workdir / candidate.folder)
    if not outcomes:
        raise FloatingPointError("; ".join(failed.values()))
    return outcomes, failed, files


def settings(asked: argparse.Namespace, run: Path | None) -> ConfigDict:
    """Settings of the pipeline, changed as the command line asks; a run's own of motion3d, where it has them.

    Raises:
      ValueError: an unknown or impossible value, or a run that says nothing legible about itself.
    """
    config = cli.load_recipe(asked.config) if asked.config else default_config()
    with config.unlocked():
        config.input = asked.input
    if asked.size is not None:
        config.size.width = asked.size
    if run is not None:
        for flag, given in (("--size", asked.size is not None), ("--force", asked.force)):
            if given:
                raise ValueError(f"{flag}: {run} is a run whose size is settled; leave {flag} out, or give the photo")
        if not asked.config and (run / "run.json").is_file():
            try:
                _adopt(config.motion3d, json.loads((run / "run.json").read_text())["config"]["motion3d"])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{run / 'run.json'} is damaged ({error!r}); give the photo instead of the run"
                ) from error
    m = config.motion3d
    for name, value, known in (("loss", asked.loss, LOSSES), ("nuisance", asked.nuisance, NUISANCES)):
        if value is not None:
            m[name] = _one_of(f"--{name}", value, known)
    for name, value in read_options(asked.priors).items():
        _one_of("--priors", name, m.priors)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise ValueError(f"--priors={name}={value}: a number that is not negative is wanted")
        m.priors[name] = float(value)
    return config


def _adopt(config: ConfigDict, theirs: dict[str, Any]) -> None:
    """Take over the settings that are still known today."""
    for name, value in theirs.items():
        if name in config and isinstance(config[name], ConfigDict):
            _adopt(config[name], value)
        elif name in config:
            config[name] = value


def _one_of(flag: str, value: str, known: Collection[str]) -> str:
    if value not in known:
        raise ValueError(f"{flag}: unknown {value!r}{cli.meant(value, known)}; known: {', '.join(known)}")
    return value


def work_folder(asked: argparse.Namespace, source: Path, run: Path | None) -> Path:
    """Where to write.

    Raises:
      ValueError: it is a file.
    """
    if asked.workdir:
        workdir = Path(asked.workdir).expanduser()
    else:
        workdir = run / "solve" if run else Path("out", "solve", source.stem or "scene")
    if workdir.exists() and not workdir.is_dir():
        raise ValueError(f"{workdir}: this is a file; --workdir takes a folder")
    return workdir


def prepare(
    asked: argparse.Namespace, config: ConfigDict, run: Path | None, workdir: Path
) -> tuple[Given, Path | None]:
    """What the problem is stated from, and the folder of its truth, where there is one.

    Raises:
      ValueError: bad input, or a run that has not got as far as its flows.
    """
    if asked.truth and not Path(asked.truth).expanduser().is_dir():
        raise ValueError(f"{asked.truth}: no such folder; --truth takes one with motion.npy and depth.npy")
    if run is not None:
        given, beside = read_given(run), None
    else:
        pipeline.run(config, workdir, until="flow", force=asked.force)
        given, beside = read_given(workdir), input_path(config, workdir) / "truth"
    if asked.truth:
        return given, Path(asked.truth).expanduser()
    return given, beside if beside is not None and beside.is_dir() else None
