"""Strict settings for every test: no silent promotion, two CPU devices, no GPU unless asked for."""

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# What a shell runs in the background ignores Ctrl-C, and so would the programs that tests start and stop.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module", autouse=True)
def few_programs():
    """A process that runs hundreds of tests compiles more programs than Linux has room for."""
    from mom3d_jax.programs import release_programs

    yield
    release_programs()


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with real photos and flows: MOM3D_TEST_DATA, or `shared` beside the checkout."""
    folder = Path(os.environ.get("MOM3D_TEST_DATA", REPOSITORY.parent / "shared"))
    if not (folder / "scenes").is_dir():
        pytest.skip(f"no real photos: set MOM3D_TEST_DATA to a folder with scenes/ (looked in {folder})")
    return folder
