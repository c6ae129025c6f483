"""A project as small as run.py allows: no dependencies and a build backend of its own, so that pip needs no network."""

import shutil
from pathlib import Path

import pytest

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "tiny"
version = "1"

[project.optional-dependencies]
cuda13 = []
test = []
"""

BACKEND = """
import zipfile
from pathlib import Path

def build_editable(folder, config_settings=None, metadata_directory=None):
    with open("builds.log", "a") as log:
        log.write("build\\n")
    name = "tiny-1-py3-none-any.whl"
    requires = Path("requires.txt")
    with zipfile.ZipFile(Path(folder) / name, "w") as wheel:
        wheel.writestr("tiny.pth", str(Path.cwd()))
        metadata = "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\nProvides-Extra: test\\nProvides-Extra: cuda13\\n"
        wheel.writestr("tiny-1.dist-info/METADATA", metadata + (requires.read_text() if requires.exists() else ""))
        wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return name
"""

TRAIN = "import json, os, sys; print(json.dumps([sys.argv[1:], sys.prefix, os.getcwd()])); sys.exit(7)"

PYTEST = "import json, os, sys; print(json.dumps([sys.argv[1:], sys.prefix, os.getcwd()])); sys.exit(5)"


@pytest.fixture(scope="session")
def tiny(repository: Path, tmp_path_factory: pytest.TempPathFactory):
    """Make a tiny project around a copy of run.py; what it starts prints [arguments, prefix, folder]."""

    def make() -> Path:
        root = tmp_path_factory.mktemp("a tiny project")
        shutil.copy(repository / "run.py", root)
        files = {"pyproject.toml": PYPROJECT, "backend.py": BACKEND, "train.py": TRAIN, "pytest.py": PYTEST}
        for name, text in {**files, "requirements.txt": ""}.items():
            (root / name).write_text(text)
        return root

    return make
