#!/usr/bin/env python3
"""Set-up on a bare machine: needs Python 3.11 or newer with its standard library, nothing else.

    python3 run.py demo [ARGUMENTS]    the whole path on the bundled scene; ARGUMENTS go to train.py
    python3 run.py test [ARGUMENTS]    the default tests; ARGUMENTS go to pytest
    python3 run.py test-external [ARGUMENTS]    the tests that run other people's models with torch

All first bring `.venv` beside this file up to date, with the versions of requirements.txt; the last one also
`.venv-torch`, with those of tests/external/requirements.txt. pip's own settings (PIP_*) apply. `--extra cuda13` (or
cuda12, tpu) before the command installs JAX for that device; said once, it stays.
"""

import contextlib
import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# This file stays readable for older Pythons up to here, so that they can say what is missing.
if sys.version_info < (3, 11):  # noqa: UP036
    print(f"run.py needs Python 3.11 or newer, this is {sys.version.split()[0]}; try python3.12", file=sys.stderr)
    sys.exit(2)

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "run.json"
"""What was installed. First file in, so that a `.venv` without it is known to be somebody else's; while an install is
under way it names the extras only, so that an interrupted one matches nothing and is redone."""

TORCH_VENV = ROOT / ".venv-torch"
"""Torch never shares an environment with JAX."""
TORCH_REQUIREMENTS = ROOT / "tests" / "external" / "requirements.txt"


class SetupError(Exception):
    """Set-up cannot go on; the text says why and what to do."""


def read_stamp() -> dict:
    """The stamp of what is installed, empty if there is none to trust."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def goal(extras: set[str], before: dict) -> dict:
    """The stamp of an up-to-date environment that has these extras and those it had before."""
    inputs = b"".join((ROOT / name).read_bytes() for name in ("requirements.txt", "pyproject.toml"))
    return {
        "base": f"{sys.version} for {ROOT}",
        "inputs": hashlib.sha256(inputs).hexdigest(),
        "extras": sorted(extras.union(before.get("extras", ()))),
    }


@contextlib.contextmanager
def one_at_a_time() -> Iterator[tuple[int, ...]]:
    """Hold the set-up lock. Children inherit it, so an installer that outlives a killed run.py is waited for."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield ()
        return
    lock = os.open(ROOT, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield (lock,)
    finally:
        os.close(lock)


def call(command: list, locks: tuple[int, ...]) -> None:
    """Run one step of the set-up silently; if it fails, show everything it said."""
    step = subprocess.run(
        command, cwd=ROOT, pass_fds=locks, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if step.returncode:
        shown = " ".join(str(word) for word in command)
        raise SetupError(f"failed with exit code {step.returncode}: {shown}\n{step.stdout}")


def venv_command(folder: Path = VENV) -> list:
    """The command that makes an environment with pip in it."""
    try:
        importlib.import_module("venv")
        importlib.import_module("ensurepip")
    except ImportError as error:
        uv = shutil.which("uv")
        if uv:
            return [uv, "venv", "--quiet", "--seed", "--allow-existing", "--python", sys.executable, folder]
        package = f"python3.{sys.version_info.minor}-venv"
        raise SetupError(
            f"this Python cannot make environments (no {error.name}): on Debian and Ubuntu `apt install {package}` "
            "brings it; elsewhere use a full Python 3.11+, or put uv on PATH"
        ) from None
    return [sys.executable, "-m", "venv", folder]


def clear() -> None:
    """Remove everything from `.venv` but the stamp."""
    for entry in VENV.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != STAMP:
            entry.unlink()


def install(extras: set[str], locks: tuple[int, ...]) -> None:
    """Add to `.venv` what is missing if it is whole and of this Python, else make it anew."""
    before = read_stamp()
    after = goal(extras, before)
    if before == after and PYTHON.exists():
        return  # another run.py did it while this one waited
    whole = before.get("base") == after["base"] and PYTHON.exists()
    make_venv = None if whole else venv_command()
    if not before and VENV.is_dir() and any(VENV.iterdir()):
        raise SetupError(f"{VENV} was not made by run.py: rename it, or go on without run.py ({PYTHON} train.py ...)")
    VENV.mkdir(exist_ok=True)
    STAMP.write_text(json.dumps({"extras": after["extras"]}))
    began = time.monotonic()
    print("run.py: installing into .venv (a minute or two the first time) ...", end="", file=sys.stderr, flush=True)
    try:
        if make_venv:
            clear()
            call(make_venv, locks)
        project = f".[{','.join(after['extras'])}]" if after["extras"] else "."
        call([PYTHON, "-m", "pip", "install", "-q", "--no-user", "-c", "requirements.txt", "-e", project], locks)
        STAMP.write_text(json.dumps(after))
    except BaseException as error:
        if whole and isinstance(error, SetupError):
            # pip resolves before it changes anything: what worked before still does.
            STAMP.write_text(json.dumps(before))
        print(file=sys.stderr)
        raise
    print(f" done in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def prepare(extras: set[str]) -> None:
    """Make sure that `.venv` has the project with these extras, beside those it already has."""
    stamp = read_stamp()
    if stamp != goal(extras, stamp) or not PYTHON.exists():
        with one_at_a_time() as locks:
            install(extras, locks)


def prepare_torch() -> Path:
    """The Python of `.venv-torch`, made anew when Python or its requirements change."""
    wanted = {
        "base": f"{sys.version} for {ROOT}",
        "inputs": hashlib.sha256(TORCH_REQUIREMENTS.read_bytes()).hexdigest(),
    }
    python, stamp = TORCH_VENV / PYTHON.relative_to(VENV), TORCH_VENV / STAMP.name
    with one_at_a_time() as locks:
        with contextlib.suppress(OSError, ValueError):
            if json.loads(stamp.read_text()) == wanted and python.exists():
                return python
        if TORCH_VENV.is_dir() and any(TORCH_VENV.iterdir()):
            if not stamp.exists():
                raise SetupError(f"{TORCH_VENV} was not made by run.py: rename it")
            shutil.rmtree(TORCH_VENV)
        make_venv = venv_command(TORCH_VENV)
        TORCH_VENV.mkdir(exist_ok=True)
        stamp.write_text("{}")
        print("run.py: installing torch into .venv-torch ...", file=sys.stderr, flush=True)
        call(make_venv, locks)
        call([python, "-m", "pip", "install", "-q", "--no-user", "-r", TORCH_REQUIREMENTS], locks)
        stamp.write_text(json.dumps(wanted))
    return python


def demo_command(arguments: list[str]) -> list[str]:
    """train.py on the bundled scene; a --config or --workdir of the user takes the place of ours."""
    given = {word.lstrip("-").split("=")[0] for word in arguments if word.startswith("-")}
    defaults = {"config": ROOT / "configs" / "demo.py", "workdir": ROOT / "out" / "demo"}
    ours = [f"--{name}={path}" for name, path in defaults.items() if name not in given]
    return [str(PYTHON), str(ROOT / "train.py"), *ours, *arguments]


def become(command: list[str]) -> None:
    """Go on as `command`: its exit code and its way with Ctrl-C are ours."""
    if os.name == "nt":
        sys.exit(subprocess.call(command))
    os.execv(command[0], command)


def parse(words: list[str]) -> tuple[set[str], str, list[str]]:
    """Split the command line into extras, command and the command's arguments."""
    extras = set()
    while words and words[0].partition("=")[0] == "--extra":
        joined = words[0].partition("=")[2]
        extras.add(joined or "".join(words[1:2]))
        words = words[1:] if joined else words[2:]
    return extras, "".join(words[:1]), words[1:]


def check(extras: set[str]) -> None:
    """Refuse extras that pyproject.toml does not have; pip would only warn."""
    import tomllib

    known = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    if not extras <= known:
        raise SetupError(f"no extra {sorted(extras - known)[0]!r}; there are {', '.join(sorted(known))}")


def main() -> int:
    """Set up, then become the command."""
    extras, command, arguments = parse(sys.argv[1:])
    if command not in ("demo", "test", "test-external"):
        asked = command in ("-h", "--help")
        print(__doc__, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        if extras:
            check(extras)
        if command == "demo":
            prepare(extras)
            become(demo_command(arguments))
        prepare(extras | {"test"})
        os.chdir(ROOT)
        # One worker per core: the tests mostly compile, which takes one core. Neighbours stay together, since they
        # share fixtures and programs, until a worker has nothing left to do. A later -n0 wins.
        pytest = [str(PYTHON), "-m", "pytest", "-n", "auto", "--dist", "worksteal"]
        if command == "test-external":
            os.environ["MOM3D_TORCH_PYTHON"] = str(prepare_torch())
            pytest += ["-m", "external", "tests/external"]
        become([*pytest, *arguments])
    except KeyboardInterrupt:
        return 130
    except (OSError, SetupError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
