"""The wheel, the installed package and the plain checkout hold the same modules under the same names."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

IMPORTED_AS = {
    "absl-py": "absl",
    "opencv-python-headless": "cv2",
    "orbax-checkpoint": "orbax",
    "pillow": "PIL",
    "pyyaml": "yaml",
}
"""Distributions whose import name is another one."""

WITHOUT_EDITABLE = "import sys; sys.meta_path[:] = [f for f in sys.meta_path if '__editable__' not in f.__module__]; "
"""An editable install of the checkout would answer for modules that the place under test lacks."""

IMPORT_ALL = """
import importlib, pkgutil, mom3d_jax, mom3d_jax.kernels
names = ["mom3d_jax"] + [m.name for m in pkgutil.walk_packages(mom3d_jax.__path__, "mom3d_jax.")]
for name in names:
    if not name.endswith("__main__"):
        print(name, importlib.import_module(name).__file__)
"""


def python(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter started in `folder`, blind to editable installs."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_EDITABLE + code],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


WORKERS = Path("mom3d_jax", "external", "workers")
"""Programs for other environments: they come along as files and are never imported."""


def installed_names(sources: list[Path]) -> dict[Path, str]:
    """Each file of kernels/ and mom3d_jax/ -> its path in the wheel."""
    names = {p: f"mom3d_jax/{p.as_posix()}" for p in sources if p.parts[0] == "kernels"}
    return names | {p: p.as_posix() for p in sources if p.parts[0] == "mom3d_jax"}


def module_names(python_sources: list[Path]) -> dict[Path, str]:
    """Of those, what this environment imports."""
    return {p: name for p, name in installed_names(python_sources).items() if p.parent != WORKERS}


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the sources: no stale build folder, nothing left in the checkout."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("mom3d_jax", "kernels"):
        shutil.copytree(repository / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, copy)
    out = copy / "wheels"
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", out, copy]
    result = subprocess.run(build, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_package_list_equals_folders(repository: Path, python_sources: list[Path]) -> None:
    listed = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {Path(name).parent.as_posix().replace("/", ".") for name in module_names(python_sources).values()}
    assert listed == sorted(found), "pyproject.toml [tool.setuptools] packages differs from the folders"


def test_imported_libraries_are_declared(repository: Path, python_sources: list[Path]) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    # Of the extras, the one that brings readers of other people's data sets; who lacks it is told.
    declared = [*project["dependencies"], *project["optional-dependencies"]["datasets"]]
    known = {IMPORTED_AS.get(name := re.split(r"[<>=\[]", entry)[0], name.replace("-", "_")) for entry in declared}
    trees = [ast.parse((repository / path).read_text()) for path in module_names(python_sources)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    used = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    used |= {n.module.split(".")[0] for n in nodes if isinstance(n, ast.ImportFrom) and n.module and not n.level}
    assert used - known - set(sys.stdlib_module_names) <= {"mom3d_jax"}


def test_every_package_has_an_init(repository: Path, python_sources: list[Path]) -> None:
    folders = {path.parent for path in module_names(python_sources)}
    assert not [str(folder) for folder in folders if not (repository / folder / "__init__.py").is_file()]


def test_wheel_is_complete(names: set[str], sources: list[Path]) -> None:
    expected = {name for path, name in installed_names(sources).items() if path.name != "MOM3D_JAX_KERNELS"}
    assert "mom3d_jax/kernels/__init__.py" in names
    assert "mom3d_jax/py.typed" in names
    assert sorted(expected - names) == []


def test_wheel_brings_one_top_level_name(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"mom3d_jax"}


def test_wheel_states_its_licence(wheel: Path, names: set[str]) -> None:
    (licence,) = (name for name in names if name.endswith("/LICENSE"))
    (metadata,) = (name for name in names if name.endswith("/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        assert "Apache License" in archive.read(licence).decode()
        assert "License-Expression: Apache-2.0" in archive.read(metadata).decode()


def test_installed_wheel_imports(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    # A pure wheel is installed by unpacking it.
    zipfile.ZipFile(wheel).extractall(target)
    result = python(IMPORT_ALL, tmp_path, PYTHONPATH=str(target))
    assert result.returncode == 0, result.stderr
    files = dict(line.split(" ", 1) for line in result.stdout.splitlines())
    assert Path(files["mom3d_jax.kernels"]) == target / "mom3d_jax" / "kernels" / "__init__.py"
    assert all(Path(file).is_relative_to(target) for file in files.values())


def test_plain_checkout_imports(repository: Path) -> None:
    result = python("import mom3d_jax.kernels; print(mom3d_jax.kernels.__file__)", repository, PYTHONPATH="")
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.strip()) == repository / "kernels" / "__init__.py"


def test_kernels_have_one_name(repository: Path) -> None:
    result = python("import kernels", repository, PYTHONPATH="")
    assert result.returncode == 1
    assert "imported as mom3d_jax.kernels" in result.stderr
