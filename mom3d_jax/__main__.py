"""Single stages and tools: `python -m mom3d_jax --help`."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from mom3d_jax import cli

log = logging.getLogger(__name__)


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
    elif command in names:
        cli.parse([f"mom3d_jax {command}", *rest], usage=_usage(names))
        cli.guarded(lambda: _stage(command))
    else:
        cli.fail(f"unknown command {command!r}; known: solve, synth, {', '.join(names)}")


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
        "python -m mom3d_jax synth --out DIR [--scenes N] [--size WxH]",
        "    render procedural landscapes with exact depth, flow and motion",
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


def _synth(rest: list[str]) -> None:
    from mom3d_jax.synthetic import landscape, write_scene

    parser = argparse.ArgumentParser("python -m mom3d_jax synth")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets one folder per scene")
    parser.add_argument("--scenes", type=int, default=1, help="how many, with seeds 0, 1, …")
    parser.add_argument("--size", default="256x144", help="WIDTHxHEIGHT in px")
    options = parser.parse_args(rest)
    size = options.size.split("x")
    if len(size) != 2 or not all(part.isdigit() for part in size):
        cli.fail(f"--size={options.size} is not WIDTHxHEIGHT, such as 256x144")
    if options.scenes < 1:
        cli.fail(f"--scenes={options.scenes} is not a positive number")
    for seed in range(options.scenes):
        made = landscape(seed=seed, width=int(size[0]), height=int(size[1]))
        write_scene(options.out / made.name, made)
        log.info("%s", options.out / made.name)


if __name__ == "__main__":
    main()
