"""run.py set up for real, in a tiny project: two commands, from nothing and again, and everything that may go wrong."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

fcntl = pytest.importorskip("fcntl", reason="locks and signals below are POSIX")


def run(root: Path, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess:
    """Start run.py as a user does; pip is kept off the network through the user's settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        [sys.executable, str(root / "run.py"), *arguments],
        cwd=cwd or root,
        env={**inherited, "PIP_NO_INDEX": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def builds(root: Path) -> int:
    """How often pip built the project."""
    log = root / "builds.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def extras(root: Path) -> list[str]:
    return json.loads((root / ".venv" / "run.json").read_text())["extras"]


@pytest.fixture(scope="module")
def ready(tiny: Callable[[], Path]) -> Path:
    """A tiny project after its first `run.py demo`."""
    root = tiny()
    result = run(root, "demo", "--config.steps=3", "--input=a b.jpg", PIP_USER="1")
    assert result.returncode == 7, result.stderr
    arguments, prefix, folder = json.loads(result.stdout)
    assert arguments == [
        f"--config={root}/configs/demo.py",
        f"--workdir={root}/out/demo",
        "--config.steps=3",
        "--input=a b.jpg",
    ]
    assert (prefix, folder) == (str(root / ".venv"), str(root))
    assert extras(root) == []
    assert len(result.stderr.splitlines()) == 1
    return root


def test_second_run_starts_at_once_from_anywhere(ready: Path, tmp_path: Path) -> None:
    built = builds(ready)
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        result = run(ready, "demo", "--workdir=mine", "--config", "other.py", cwd=tmp_path)
        seconds.append(time.monotonic() - began)
    assert result.returncode == 7
    arguments, prefix, folder = json.loads(result.stdout)
    assert arguments == ["--workdir=mine", "--config", "other.py"]
    assert (prefix, folder) == (str(ready / ".venv"), str(tmp_path))
    assert result.stderr == ""
    assert builds(ready) == built
    assert min(seconds) < 0.5, "two interpreter starts and a hash"


def test_test_adds_its_extra_and_keeps_it(ready: Path, tmp_path: Path) -> None:
    result = run(ready, "test", "-k", "some thing", cwd=tmp_path)
    assert result.returncode == 5, result.stderr
    arguments, _, folder = json.loads(result.stdout)
    assert arguments == ["-n", "auto", "--dist", "worksteal", "-k", "some thing"]
    assert folder == str(ready)
    assert extras(ready) == ["test"]
    built = builds(ready)
    assert run(ready, "demo").returncode == 7
    assert run(ready, "--extra", "cuda13", "test").returncode == 5
    assert run(ready, "--extra=cuda13", "demo").returncode == 7
    assert builds(ready) == built + 1
    assert extras(ready) == ["cuda13", "test"]


def test_changed_requirements_are_installed(ready: Path) -> None:
    built = builds(ready)
    (ready / "requirements.txt").write_text("# changed\n")
    assert run(ready, "demo").returncode == 7
    assert run(ready, "demo").returncode == 7
    assert builds(ready) == built + 1


def test_failed_addition_shows_all_and_breaks_nothing(ready: Path) -> None:
    requirements = (ready / "requirements.txt").read_text()
    stamp = (ready / ".venv" / "run.json").read_text()
    (ready / "requires.txt").write_text("Requires-Dist: no-such-package\n")
    (ready / "requirements.txt").write_text("# asks pip again\n")
    result = run(ready, "test")
    assert result.returncode == 2
    assert "No matching distribution found for no-such-package" in result.stderr
    (ready / "requires.txt").unlink()
    (ready / "requirements.txt").write_text(requirements)
    assert (ready / ".venv" / "run.json").read_text() == stamp
    assert run(ready, "demo").returncode == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_killed_install_is_redone(tiny: Callable[[], Path], number: signal.Signals) -> None:
    root = tiny()
    command = [sys.executable, str(root / "run.py"), "demo"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (root / ".venv" / "bin").exists():
        time.sleep(0.02)
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}.get(number, -number)
    assert "Traceback" not in said
    assert json.loads((root / ".venv" / "run.json").read_text()) == {"extras": []}
    if number == signal.SIGKILL:
        half = root / ".venv" / "bin" / "half-installed"
        half.touch()
        assert run(root, "demo").returncode == 7
        assert not half.exists()


def test_uv_stands_in_and_one_set_up_runs_at_a_time(tiny: Callable[[], Path], tmp_path: Path) -> None:
    root = tiny()
    (tmp_path / "ensurepip.py").write_text("raise ImportError('not here', name='ensurepip')")
    (tmp_path / "uv").write_text('#!/bin/sh\necho "$@" > said; exec sleep 2\n')
    (tmp_path / "uv").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        [sys.executable, str(root / "run.py"), "demo"],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )
    while not ((root / "said").exists() and "--seed" in (root / "said").read_text()):
        time.sleep(0.02)
    process.kill()
    process.wait()
    lock = os.open(root, os.O_RDONLY)
    with pytest.raises(BlockingIOError):  # the installer outlives run.py and still holds the lock
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(lock)


def test_python_without_ensurepip(tiny: Callable[[], Path], tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError('not here', name='ensurepip')")
    root = tiny()
    result = run(root, "demo", PYTHONPATH=str(tmp_path), PATH="")
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert f"apt install python3.{sys.version_info.minor}-venv" in line
    assert not (root / ".venv").exists()


def test_environment_of_somebody_else_is_left_alone(tiny: Callable[[], Path]) -> None:
    root = tiny()
    (root / ".venv").mkdir()
    (root / ".venv" / "pyvenv.cfg").touch()
    result = run(root, "demo")
    assert result.returncode == 2
    assert "was not made by run.py" in result.stderr
    assert [path.name for path in (root / ".venv").iterdir()] == ["pyvenv.cfg"]


def test_torch_has_an_environment_of_its_own(ready: Path) -> None:
    requirements = ready / "tests" / "external" / "requirements.txt"
    requirements.parent.mkdir(parents=True)
    requirements.write_text("nothing-of-that-name\n")
    failed = run(ready, "test-external")
    assert failed.returncode == 2
    assert "No matching distribution found for nothing-of-that-name" in failed.stderr
    requirements.write_text("")
    for made in (1, 0):
        result = run(ready, "test-external", "-x")
        assert result.returncode == 5, result.stderr
        arguments, prefix, _ = json.loads(result.stdout)
        assert arguments[-4:] == ["-m", "external", "tests/external", "-x"]
        assert prefix == str(ready / ".venv")
        assert result.stderr.count("installing torch into .venv-torch") == made
    python = ready / ".venv-torch" / "bin" / "python"
    assert python.exists()
    (ready / ".venv-torch" / "run.json").unlink()
    result = run(ready, "test-external")
    assert result.returncode == 2
    assert "was not made by run.py" in result.stderr
    assert python.exists()


def test_unwritable_checkout(tiny: Callable[[], Path]) -> None:
    root = tiny()
    (root / ".venv").touch()
    result = run(root, "demo")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), (["-h"], 0), ([], 2), (["demonstrate"], 2), (["--extra", "cuda13"], 2)]
)
def test_usage(repository: Path, arguments: list[str], code: int) -> None:
    result = run(repository, *arguments)
    assert result.returncode == code
    text = result.stdout if code == 0 else result.stderr
    assert "run.py demo" in text
    assert "run.py test" in text
    assert len(text.splitlines()) < 12


def test_unknown_extra(tiny: Callable[[], Path]) -> None:
    result = run(tiny(), "--extra=cuda99", "demo")
    assert result.returncode == 2
    assert result.stderr == "run.py: no extra 'cuda99'; there are cuda13, test\n"


def test_old_python_gets_one_line(repository: Path) -> None:
    source = (repository / "run.py").read_text()
    ast.parse(source, feature_version=(3, 7))
    assert source.isascii()
    old = "import sys; sys.version_info = (3, 9, 18, 'final', 0); __file__ = 'run.py'; exec(sys.stdin.read())"
    result = subprocess.run(
        [sys.executable, "-c", old], input=source, capture_output=True, text=True, check=False, cwd=repository
    )
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "Python 3.11 or newer" in result.stderr
