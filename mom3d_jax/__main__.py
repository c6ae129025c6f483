"""Single stages and tools: `python -m mom3d_jax --help`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mom3d_jax import cli


def main(argv: Sequence[str] | None = None) -> None:
    """Dispatch a subcommand."""
    from mom3d_jax import pipeline

    arguments = list(sys.argv[1:] if argv is None else argv)
    names = [stage.name for stage in pipeline.STAGES]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_usage(names))
        return
    command, rest = arguments[0], arguments[1:]
    if command == "synth":
        cli.guarded(lambda: _synth(rest))
    elif command == "solve":
        cli.guarded(lambda: _solve(rest))
    elif command == "doctor":
        cli.guarded(lambda: _doctor(rest, _usage(names)))
    elif command in names:
        cli.parse([f"mom3d_jax {command}", *rest], usage=_usage(names))
        cli.guarded(lambda: _stage(command))
    else:
        cli.fail(f"unknown command {command!r}; known: doctor, solve, synth, {', '.join(names)}")


def _usage(names: list[str]) -> str:
    from mom3d_jax import pipeline

    lines = [
        "python -m mom3d_jax STAGE --config=configs/preview.py --input=PATH --workdir=OUT",
        "    run the pipeline up to and including one stage; finished stages are skipped. Stages, in order:",
        "",
    ]
    for name, stage in zip(names, pipeline.STAGES, strict=True):
        lines.append(f"    {name:<14}{(stage.run.__doc__ or '').splitlines()[0]}")
    lines += [
        "",
        "python -m mom3d_jax solve --input PATH [--solver NAME,NAME] [--options K=V] [--workdir OUT] [--size WIDTH]",
        "    solve 3D-MOM alone and compare solvers on it; PATH is a photo, a scene folder or the work folder of a run",
        "",
        "python -m mom3d_jax synth --out DIR [--scenes N] [--size WxH] [--families A,B] [--corrupt K=V]",
        "    render procedural landscapes with exact depth, motion, flow, occlusion and frames along the camera paths",
        "",
        "python -m mom3d_jax doctor [NAME ...] [--config=RECIPE] [--config.external.NAME.python=ENV/bin/python]",
        "    see whether other people's models could run (all, those named, or those that the recipe chooses), and how",
        "    to set up what is missing; exit code 2 if one is not ready",
    ]
    return "\n".join(lines)


def _stage(name: str) -> None:
    from mom3d_jax import pipeline

    config, workdir, force = cli.job()
    pipeline.run(config, workdir, until=name, force=force)
    artifact = pipeline.artifact_file(workdir, name)
    for made in json.loads(artifact.with_suffix(".json").read_text())["made"]:
        print(workdir / made)
    print(artifact)


def _solve(rest: list[str]) -> None:
    from mom3d_jax.laboratory import command

    command.run(rest)


def _doctor(rest: list[str], usage: str) -> None:
    from mom3d_jax.config import SECTIONS, default_config, how_to_set_up
    from mom3d_jax.external import check_up

    names = [word for word in rest if not word.startswith("-")]
    cli.parse(["mom3d_jax doctor", *(word for word in rest if word.startswith("-"))], usage=usage)
    config = cli.CONFIG.value or default_config()
    chosen = [config[section].model for section in SECTIONS.values()]
    asked = names or [n for n in chosen if n != "builtin"] or [n for n in config.external if n != "template"]
    settings = {name: model.to_dict() for name, model in config.external.items()}
    commands = {name: how_to_set_up(name) for name in settings}
    text, ready = check_up(asked, settings, commands, Path(cli.WORKDIR.value or "."))
    print(text)
    if not ready:
        raise SystemExit(2)


def _synth(rest: list[str]) -> None:
    from mom3d_jax.progress import Progress
    from mom3d_jax.synthetic import command

    command.run(rest, Progress)


if __name__ == "__main__":
    main()
