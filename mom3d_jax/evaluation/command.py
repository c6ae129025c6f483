"""What `eval.py` does: data set, recipe and study in; results, tables and the report out."""

import logging
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from mom3d_jax import cli
from mom3d_jax.evaluation.settings import overrides_of

log = logging.getLogger(__name__)

PREDICTIONS = flags.DEFINE_string("predictions", None, "Folder with frames or videos of another method.")
METHOD = flags.DEFINE_string("method", None, "Its name in the tables.")
RETRY = flags.DEFINE_bool("retry", False, "Try scenes that failed before once more.")

RECIPES = Path(__file__).resolve().parents[2] / "configs"


def run() -> None:
    """Evaluate what the flags ask for and print where the results lie.

    Raises:
      ValueError: bad input; one line that names it and the remedy.
    """
    from mom3d_jax.evaluation import report, tables

    config, workdir = _given()
    workdir.mkdir(parents=True, exist_ok=True)
    title, cells, stale = evaluate(config, workdir, PREDICTIONS.value, METHOD.value, retry=RETRY.value)
    made = tables.write_tables(workdir, cells, stale, title)
    made.append(report.write_report(workdir, cells, stale, title))
    print((workdir / "table.md").read_text(encoding="utf-8").split("\n## Published")[0])
    for file in made:
        print(f"  {file}")


def evaluate(
    config: ConfigDict, workdir: Path, predictions: str | None = None, method: str | None = None, *, retry: bool = False
) -> tuple[str, list[Any], list[str]]:
    """Make all results that are not there yet.

    Args:
      config: of `evaluation.settings`.
      workdir: where everything is written.
      predictions: folder of another method to score instead of the variants of a study.
      method: its name.
      retry: try what failed before.

    Returns:
      A title, the cells of the table (`plan.Cell`), and names of results that other code or settings made.

    Raises:
      ValueError: bad input, before anything is computed; or results that are missing in the end.
    """
    from mom3d_jax.evaluation import datasets, methods, plan, runner, studies
    from mom3d_jax.metrics import Unavailable, load_lpips_weights

    variants = studies.variants_of(config.study) if predictions is None else (_method(method, config.study),)
    recipe = recipe_of(config.recipe)
    lpips = load_lpips_weights(config.lpips or None)
    if isinstance(lpips, Unavailable):
        log.warning("no LPIPS: %s", lpips.reason)
    settings = runner.Settings(
        workdir=workdir,
        recipe=recipe,
        overrides=overrides_of(config.override),
        frames=config.frames,
        truth=config.truth,
        crop=config.crop,
        lpips=lpips,
        keep_frames=config.keep_frames,
        keep_work=config.keep_work,
    )
    for variant in variants:
        settings.configured(variant)
    path = _dataset(config, workdir)
    every = datasets.read_dataset(config.dataset.kind, path, workdir / "inputs", config.frames)
    samples = datasets.choose(every, config.scenes)
    tasks = {v.name: {s.name: settings.task(s, v) for s in samples} for v in variants}
    if predictions is None:
        makers = {v.name: dict.fromkeys(tasks[v.name], methods.METHODS[v.kind]) for v in variants}
        keys = {v: {s: settings.key(task) for s, task in scenes.items()} for v, scenes in tasks.items()}
    else:
        (variant,) = variants
        makers, keys = runner.scoring(settings, Path(predictions), variant, samples, tasks[variant.name])
    about = {
        "dataset": f"{config.dataset.kind} {path.resolve()}",
        "recipe": config.recipe,
        "override": settings.overrides,
        "frames": config.frames,
        "crop": config.crop,
    }
    planned = plan.extend(workdir, about, keys, studies.chosen(config.study))
    _run_all(settings, tasks, keys, makers, retry)
    cells, stale = plan.collect(workdir, planned, keys)
    _tell_of_pool(workdir / "pool")
    return f"Evaluation: {config.dataset.kind} data set, recipe {config.recipe}", cells, stale


def _run_all(settings: Any, tasks: dict, keys: dict, makers: dict, retry: bool) -> None:
    """Scene by scene, so that variants of one scene share what they have in common while it is at hand."""
    from mom3d_jax.evaluation import runner
    from mom3d_jax.programs import release_programs

    order = [(v, s) for s in next(iter(tasks.values())) for v in tasks]
    busy = []
    for number, (v, s) in enumerate(order, start=1):
        log.info("(%d/%d) %s, %s", number, len(order), v, s)
        if not runner.run(settings, tasks[v][s], keys[v][s], makers[v][s], retry=retry):
            busy.append((v, s))
        release_programs()
    for v, s in busy:  # what another process was at; if it died there, it is ours now
        runner.run(settings, tasks[v][s], keys[v][s], makers[v][s], retry=retry, wait=True)


def _tell_of_pool(pool: Path) -> None:
    """What sharing takes of the disk; nobody but the user knows whether another study comes."""
    size = sum(file.stat().st_size for file in pool.rglob("*") if file.is_file())
    if size:
        log.info("%s: %.1f MB of results that studies share; it may be deleted when all are done", pool, size / 1e6)


def recipe_of(name: str) -> ConfigDict:
    """The pipeline's settings under a recipe.

    Args:
      name: of a recipe in `configs/`, or a file; behind a colon models, as in `preview:depth=zoedepth`.

    Raises:
      ValueError: there is none of this name.
    """
    name, colon, models = name.partition(":")
    file = Path(name) if name.endswith(".py") else RECIPES / f"{name}.py"
    if not file.is_file():
        known = [f.stem for f in sorted(RECIPES.glob("*.py")) if not f.stem.startswith("eval_")]
        raise ValueError(
            f"recipe={name!r} is unknown{cli.meant(name, known) or ';'} known: {', '.join(known)}, or a file NAME.py"
        )
    return cli.load_recipe(f"{file}{colon}{models}")


def _given() -> tuple[ConfigDict, Path]:
    """Config and work folder of the command line."""
    if cli.CONFIG.value is None:
        cli.fail("no recipe given: add --config=configs/eval_synthetic.py")
    if cli.WORKDIR.value is None:
        cli.fail("no work folder given: add --workdir=OUT")
    if "dataset" not in cli.CONFIG.value:
        cli.fail("this recipe is one of train.py: take --config=configs/eval_synthetic.py --config.recipe=NAME")
    workdir = Path(cli.WORKDIR.value).expanduser()
    if workdir.exists() and not workdir.is_dir():
        cli.fail(f"{workdir}: this is a file; --workdir takes a folder")
    return cli.CONFIG.value, workdir


def _method(name: str | None, study: str) -> Any:
    """The variant that stands for somebody else's frames."""
    from mom3d_jax.evaluation.studies import FULL, STUDIES
    from mom3d_jax.evaluation.variants import Variant, check_name

    if not name:
        raise ValueError("--predictions needs --method=NAME, which is what the tables call it")
    if study:
        raise ValueError(f"study={study!r} and --predictions do not go together; leave one of them out")
    check_name(name)
    ours = {FULL.name} | {variant.name for study in STUDIES.values() for variant in study.variants}
    if name in ours:
        raise ValueError(f"--method={name}: a variant of ours has this name; choose another")
    return Variant(name, kind="predictions", about="frames of another method")


def _dataset(config: ConfigDict, workdir: Path) -> Path:
    """Where the data set lies; synthetic scenes are made in the work folder where no path is given."""
    if config.dataset.path:
        return Path(config.dataset.path).expanduser()
    if config.dataset.kind != "synthetic":
        raise ValueError(f"dataset.kind={config.dataset.kind} needs --config.dataset.path=PATH")
    from mom3d_jax.progress import Progress
    from mom3d_jax.synthetic.command import parse
    from mom3d_jax.synthetic.dataset import write_dataset

    path, wanted = workdir / "dataset", config.dataset
    words = {"out": path, "scenes": wanted.count, "size": wanted.size, "seed": wanted.seed, "frames": config.frames}
    words |= {"corrupt": wanted.corrupt} if wanted.corrupt else {}
    log.info(
        "scenes of %s: wrong on purpose in their given/, for the study corruption: %s", path, wanted.corrupt or "–"
    )
    write_dataset(parse([f"--{name}={value}" for name, value in words.items()]), Progress)
    return path
