import importlib
import logging
import runpy
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from absl.testing import flagsaver
from ml_collections import ConfigDict

from mom3d_jax.config import default_config
from mom3d_jax.synthetic import landscape, write_scene


@pytest.fixture(scope="session")
def landscape_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small procedural landscape with its annotation."""
    folder = tmp_path_factory.mktemp("scenes") / "lake"
    write_scene(folder, landscape(seed=0, width=96, height=54))
    return folder


@pytest.fixture(scope="session")
def tiny_config(landscape_folder: Path) -> Callable[[], ConfigDict]:
    """The whole path in seconds: 64 px wide, a handful of steps and frames."""

    def make() -> ConfigDict:
        c = default_config()
        c.input = str(landscape_folder)
        c.size.width = 64
        c.time.frames = 6
        c.stage1.steps = 20
        c.stage1.checkpoint_every = 10
        c.deformation.options.hexplane.update({"resolution": 8, "features": 4, "width": 8, "time_resolution": 5})
        c.stage2.steps = 20
        c.stage2.checkpoint_every = 10
        c.render.paths = ("circle",)
        c.render.frames = 6
        return c

    return make


@pytest.fixture
def command(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Iterator[Callable[..., subprocess.CompletedProcess]]:
    """Run train.py, or one stage, inside this process and in an empty folder, with the words of a command line."""
    importlib.import_module("mom3d_jax.cli")  # its flags are defined once
    monkeypatch.chdir(tmp_path)
    log = logging.getLogger("mom3d_jax")
    before = log.handlers[:], log.level, log.propagate

    def run(*words: object, stage: str = "") -> subprocess.CompletedProcess:
        given = [str(word) for word in words]
        if not any(word.startswith("--config=") for word in given):
            given.insert(0, f"--config={repository / 'configs' / 'preview.py'}")
        monkeypatch.setattr(sys, "argv", ["mom3d", *([stage] if stage else []), *given])
        code = 0
        with flagsaver.flagsaver(), warnings.catch_warnings():
            # How the flag library loads recipes; today's Pythons still have it.
            warnings.filterwarnings("ignore", message=r"the load_module\(\) method", category=DeprecationWarning)
            try:
                if stage:
                    importlib.import_module("mom3d_jax.__main__").main()
                else:
                    runpy.run_path(str(repository / "train.py"), run_name="__main__")
            except SystemExit as stop:
                code = int(stop.code or 0)
        log.handlers, log.level, log.propagate = before[0][:], before[1], before[2]
        return subprocess.CompletedProcess(sys.argv, code, *capsys.readouterr())

    yield run
    log.handlers, log.level, log.propagate = before


@pytest.fixture
def error_line() -> Callable[[subprocess.CompletedProcess], str]:
    """The one line that a run refuses with; nothing comes after it, and the exit code is 2."""

    def line(done: subprocess.CompletedProcess) -> str:
        assert done.returncode == 2, done.stderr
        (found,) = [text for text in done.stderr.splitlines() if text.startswith("error: ")]
        assert done.stderr.rstrip().endswith(found)
        assert "Traceback" not in done.stderr
        return found.removeprefix("error: ")

    return line
