"""Workers that the tests write: without torch by default, with it under `python3 run.py test-external`."""

import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mom3d_jax.config import external_model
from mom3d_jax.external import Item, Model, make_model
from mom3d_jax.synthetic import landscape, write_scene

PRELUDE = """
import json, os, pathlib, resource, signal, subprocess, sys, time
import numpy as np

folder = pathlib.Path(sys.argv[1])
request = json.loads((folder / "request.json").read_text())

def arrays(number):
    return {f.stem: np.load(f) for f in (folder / "items" / f"{number:04d}").glob("*.npy")}

def draft(number, **results):
    place = folder / "result.tmp" / "items" / f"{number:04d}"
    place.mkdir(parents=True, exist_ok=True)
    for name, array in results.items():
        np.save(place / (name + ".npy"), array)

def finish(values=None, names=None, format=1, task=None):
    names = names or [item["name"] for item in request["items"]]
    items = [{"name": name, "values": {"kind": "relative"} if values is None else values} for name in names]
    result = {"format": format, "task": task or request["task"], "items": items, "provenance": {"versions": {}}}
    (folder / "result.tmp" / "result.json").write_text(json.dumps(result))
    (folder / "result.tmp").rename(folder / "result")

def note(text):
    with open(os.environ["NOTES"], "a") as file:
        file.write(str(text) + "\\n")

def slow_child(**options):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], **options)
    note(child.pid)
"""
GOOD = """
for number, item in enumerate(request["items"]):
    image = arrays(number)["image"]
    draft(number, depth=image.mean(axis=-1))
    print("progress", f"{number + 1}/{len(request['items'])}", item["name"], flush=True)
finish()
"""


@pytest.fixture(scope="session")
def prelude() -> str:
    """What a worker of the tests begins with: `arrays`, `draft`, `finish`, `note`, `slow_child`."""
    return PRELUDE


@pytest.fixture(scope="session")
def good() -> str:
    """A worker that does what it should: relative depth, the brightness."""
    return GOOD


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small landscape."""
    folder = tmp_path_factory.mktemp("scenes") / "lake"
    write_scene(folder, landscape(seed=0, width=96, height=54))
    return folder


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A file that workers of a test write into."""
    return tmp_path / "notes.txt"


@pytest.fixture
def model(tmp_path: Path, notes: Path) -> Callable[..., Model]:
    """A model whose worker is the text given, after the prelude; settings by name."""

    def make(body: str = GOOD, task: str = "depth", seed: int = 0, own_task: str = "", **settings) -> Model:
        worker = tmp_path / "worker.py"
        worker.write_text(PRELUDE + textwrap.dedent(body))
        c = {
            **external_model().to_dict(),
            "python": sys.executable,
            "worker": str(worker),
            "device": "cpu",
            "task": own_task,
        }
        # What may go wrong must not hang the tests.
        c |= {"timeout": 120.0, "environment": {"NOTES": str(notes)}} | settings
        return make_model("mine", task, c, seed=seed, store=tmp_path / "store")

    return make


def photos(count: int) -> list[Item]:
    """Items of a depth model."""
    images = np.random.default_rng(7).random((count, 6, 8, 3), np.float32)
    return [Item(f"photo {number}", {"image": image}) for number, image in enumerate(images)]


@pytest.fixture
def items() -> Callable[[int], list[Item]]:
    return photos


@pytest.fixture(scope="session")
def torch_python() -> str:
    """The Python with torch."""
    python = os.environ.get("MOM3D_TORCH_PYTHON", "")
    if not python:
        pytest.fail("set MOM3D_TORCH_PYTHON to a Python with torch, or let `python3 run.py test-external` make one")
    return python
