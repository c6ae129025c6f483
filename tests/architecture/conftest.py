"""What the architecture tests look at: the sources of this checkout, without what users and tools leave in it."""

from pathlib import Path

import pytest

FOLDERS = ("kernels", "mom3d_jax", "configs", "benchmarks", "tests", "docs", ".ci")


@pytest.fixture(scope="session")
def sources(repository: Path) -> list[Path]:
    """Every file of the project, relative to the root."""
    files = [path for path in repository.iterdir() if path.is_file()]
    for folder in FOLDERS:
        files += [path for path in (repository / folder).rglob("*") if path.is_file()]
    return sorted(p.relative_to(repository) for p in files if "__pycache__" not in p.parts)


@pytest.fixture(scope="session")
def python_sources(sources: list[Path]) -> list[Path]:
    """Every Python file of the project, relative to the root."""
    return [path for path in sources if path.suffix == ".py"]
