"""Who may import whom. The table is the architecture; a package that is not in it does not belong to the house yet."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CONTRACTS = {"types", "cameras", "atomic"}
HOUSEKEEPING = {"artifacts", "cli", "config", "programs", "progress", "summary"}
"""Modules that know files, flags and terminals, but no stage."""
STAGES = {
    *("inputs", "depth", "pointcloud", "views", "flow", "motion3d"),
    *("animation", "gaussians", "deformation", "render"),
}
ENTRY_POINTS = HOUSEKEEPING | {"pipeline", "evaluation", "synthetic", "motion3d", "external", "export"}
WHOLE_PATH = CONTRACTS | HOUSEKEEPING | STAGES | {"training", "metrics", "export", "external"}

MAY_IMPORT: dict[str, set[str]] = {
    "atomic": set(),
    "types": set(),
    "cameras": {"types"},
    "kernels": set(),
    **dict.fromkeys(STAGES, CONTRACTS),
    # The 4D representation: these three act on the same Gaussians.
    "render": CONTRACTS | {"kernels", "gaussians"},
    "deformation": CONTRACTS | {"kernels.gridsample", "gaussians"},
    "training": CONTRACTS | {"gaussians", "deformation", "render", "metrics", "progress"},
    "metrics": CONTRACTS | {"render"},
    # Files hold the scene in motion, which is what the fields and residuals say it is.
    "export": CONTRACTS | {"render", "gaussians", "deformation", "progress"},
    "synthetic": CONTRACTS,
    "external": {"types"},
    "external.workers": set(),
    **{module: {"types", "atomic"} for module in HOUSEKEEPING},
    "measure": WHOLE_PATH,
    "stages": WHOLE_PATH | {"measure", "synthetic"},
    "pipeline": WHOLE_PATH | {"measure", "stages"},
    # It judges results from all along the path, and draws and animates by itself.
    "evaluation": WHOLE_PATH | {"measure", "stages", "pipeline", "synthetic"},
    "laboratory": CONTRACTS | HOUSEKEEPING | {"pipeline", "stages", "motion3d", "export"},
    "__main__": ENTRY_POINTS | {"laboratory"},
    "train": ENTRY_POINTS,
    "eval": ENTRY_POINTS,
    "configs": {"config", "evaluation.settings"},
}
"""Unit (package or module of mom3d_jax, top-level script or folder) -> what of mom3d_jax it may import."""

KERNEL_LIBRARIES = {"jax", "numpy", "jaxtyping"}
TRITON = "jax.experimental.pallas.triton"


def module_name(path: Path) -> tuple[str, bool]:
    """Dotted name under which a source file is imported, and whether it is a package."""
    parts = path.with_suffix("").parts
    if parts[0] == "kernels":
        parts = ("mom3d_jax", *parts)
    is_package = parts[-1] == "__init__"
    return ".".join(parts[:-1] if is_package else parts), is_package


def unit(module: str) -> str:
    """The row of the table that a module belongs to; empty for mom3d_jax itself."""
    parts = module.split(".")
    if parts[:3] == ["mom3d_jax", "external", "workers"]:
        return "external.workers"
    return ".".join(parts[1:2]) if parts[0] == "mom3d_jax" else parts[0]


def imports(source: str, module: str, is_package: bool) -> Iterator[tuple[int, str, bool]]:
    """Line, dotted name and relativity of each name that a source imports, wherever in the file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, False
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            package = parts[: len(parts) + is_package - node.level] if node.level else []
            base = [*package, *filter(None, [node.module])]
            for alias in node.names:
                yield node.lineno, ".".join([*base, alias.name]), node.level > 0


def within(name: str, allowed: set[str]) -> bool:
    """Whether a dotted name is one of the allowed ones or lies under one."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in allowed)


def violations(path: Path, source: str) -> list[str]:
    """What a file of kernels/, mom3d_jax/, configs/ or a top-level script imports against the table."""
    module, is_package = module_name(path)
    own = unit(module)
    if own and own not in MAY_IMPORT:
        return [f"{path}: {own!r} is not in the table of tests/architecture/test_imports.py"]
    found = []
    for line, name, relative in imports(source, module, is_package):
        root, _, inside = name.partition(".")
        if root == "mom3d_jax":
            to_itself = own != "external.workers" and bool(own) and within(inside, {own})
            to_itself &= not within(inside, {"external.workers"})
            if own == "kernels" and not relative:
                found.append(f"{path}:{line}: {name}: inside kernels/ imports of its own are relative")
            elif not to_itself and inside not in {"", "__version__"} and not within(inside, MAY_IMPORT.get(own, set())):
                found.append(f"{path}:{line}: {own or 'mom3d_jax'} may not import {name}")
        elif own == "kernels" and root not in KERNEL_LIBRARIES | sys.stdlib_module_names:
            found.append(f"{path}:{line}: kernels may not import {root}")
        elif own == "external.workers" and (relative or root in {"jax", "jaxlib", "flax"}):
            found.append(f"{path}:{line}: {name}: a worker is one file, and knows nothing of JAX")
        elif root in {"torch", "tensorflow"} and own != "external.workers":
            found.append(f"{path}:{line}: {root} stays out of the JAX process; run it through external/")
    return found


def test_table_is_kept(repository: Path, python_sources: list[Path]) -> None:
    ruled = [p for p in python_sources if p.parts[0] in {"kernels", "mom3d_jax", "configs", "train.py", "eval.py"}]
    found = [line for path in ruled for line in violations(path, (repository / path).read_text())]
    assert not found, "\n" + "\n".join(found)


def test_top_level_scripts_are_known(python_sources: list[Path]) -> None:
    assert {path.name for path in python_sources if len(path.parts) == 1} <= {"train.py", "eval.py", "run.py"}


def test_run_needs_the_standard_library_only(repository: Path) -> None:
    roots = {name.split(".")[0] for _, name, _ in imports((repository / "run.py").read_text(), "run", False)}
    assert roots <= sys.stdlib_module_names


def test_nobody_imports_top_level_kernels(repository: Path, python_sources: list[Path]) -> None:
    found = [
        f"{path}:{line}"
        for path in python_sources
        for line, name, relative in imports((repository / path).read_text(), *module_name(path))
        if within(name, {"kernels"}) and not relative
    ]
    assert not found


def test_triton_module_is_imported_in_one_place(repository: Path, python_sources: list[Path]) -> None:
    users = {
        path.as_posix()
        for path in python_sources
        for _, name, _ in imports((repository / path).read_text(), *module_name(path))
        if within(name, {TRITON})
    }
    assert users <= {"kernels/backends.py"}


@pytest.mark.parametrize(
    ("path", "source", "allowed"),
    [
        ("mom3d_jax/render/views.py", "from mom3d_jax.kernels.rasterize import rasterize", True),
        ("mom3d_jax/render/views.py", "from ..kernels.rasterize import rasterize", True),
        ("mom3d_jax/render/__init__.py", "from .views import render_view", True),
        ("mom3d_jax/render/__init__.py", "from ..training import fit", False),
        ("mom3d_jax/flow/lift.py", "from mom3d_jax import types, cameras, __version__", True),
        ("mom3d_jax/flow/lift.py", "from mom3d_jax import depth", False),
        ("mom3d_jax/flow/lift.py", "from .. import depth", False),
        ("mom3d_jax/flow/lift.py", "def f():\n    import mom3d_jax.depth.prior", False),
        ("mom3d_jax/views/__init__.py", "from mom3d_jax.kernels.binning import bin", False),
        ("mom3d_jax/deformation/residuals/hexplane.py", "from ...kernels.gridsample import sample_plane", True),
        ("mom3d_jax/deformation/residuals/hexplane.py", "from mom3d_jax.kernels import gridsample", True),
        ("mom3d_jax/deformation/residuals/hexplane.py", "from mom3d_jax.kernels import rasterize", False),
        ("mom3d_jax/external/workers/zoedepth.py", "import torch", True),
        ("mom3d_jax/external/workers/zoedepth.py", "import jax", False),
        ("mom3d_jax/external/workers/zoedepth.py", "from mom3d_jax.external import protocol", False),
        ("mom3d_jax/external/workers/zoedepth.py", "from mom3d_jax import types", False),
        ("mom3d_jax/external/workers/zoedepth.py", "from mom3d_jax.external.workers import template", False),
        ("mom3d_jax/external/workers/zoedepth.py", "from .template import main", False),
        ("mom3d_jax/external/run.py", "import torch", False),
        ("mom3d_jax/external/run.py", "from mom3d_jax.external.protocol import Item", True),
        ("mom3d_jax/external/run.py", "from mom3d_jax.external.workers import template", False),
        ("mom3d_jax/external/run.py", "from mom3d_jax.cameras import project", False),
        ("mom3d_jax/training/stage1.py", "import torch", False),
        ("mom3d_jax/pipeline.py", "from mom3d_jax.synthetic import world", False),
        ("mom3d_jax/__init__.py", "from mom3d_jax.render import render_view", False),
        ("mom3d_jax/helpers/__init__.py", "", False),
        ("kernels/rasterize/op.py", "from ..binning import op\nfrom . import reference", True),
        ("kernels/rasterize/op.py", "from mom3d_jax.kernels.binning import op", False),
        ("kernels/rasterize/op.py", "from ...types import Gaussians", False),
        ("kernels/rasterize/op.py", "import scipy", False),
        ("train.py", "from mom3d_jax import pipeline", True),
        ("train.py", "from mom3d_jax.render import render_view", False),
        ("train.py", "from mom3d_jax import cli", True),
        ("mom3d_jax/config.py", "from mom3d_jax import depth", False),
        ("configs/demo.py", "from mom3d_jax.config import default_config", True),
        ("configs/demo.py", "from mom3d_jax import pipeline", False),
    ],
)
def test_the_check_itself(path: str, source: str, allowed: bool) -> None:
    assert (violations(Path(path), source) == []) is allowed
