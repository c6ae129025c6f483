from collections.abc import Callable
from pathlib import Path

import pytest
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
