"""A small landscape, what the pipeline makes of it, and what a foreign scene beside it becomes."""

import functools
import shutil

import pytest

from mom3d_jax import artifacts, pipeline
from mom3d_jax.config import default_config
from mom3d_jax.stages import Job
from mom3d_jax.stages.wider import wider_scene


def tiny(folder):
    """The path up to the displacements at 64 x 36 px, without a fit, which takes longer than all the rest."""
    c = default_config()
    c.input = str(folder)
    c.size.width = 64
    c.time.frames = c.render.frames = 6
    c.stage1.steps = 0
    return c


def made_in(workdir):
    """The artifacts of a run by their names."""
    return lambda name: artifacts.load(pipeline.artifact_file(workdir, name))


@pytest.fixture(scope="session")
def without(lake, tmp_path_factory):
    """Work folder of the pipeline without a foreign scene."""
    workdir = tmp_path_factory.mktemp("without")
    pipeline.run(tiny(lake), workdir, until="displacements")
    return workdir


@pytest.fixture
def plain(without):
    """Its artifacts."""
    return functools.cache(made_in(without))


@pytest.fixture
def scene(lake, tmp_path):
    """A copy of the landscape that a test may add files to."""
    return shutil.copytree(lake, tmp_path / "lake")


@pytest.fixture
def config(scene):
    """Its config, which a test may change."""
    return tiny(scene)


@pytest.fixture
def again(without, tmp_path, config):
    """Artifacts and figures of a run that goes on from what is the same without a foreign scene."""

    def run(until="displacements"):
        workdir = shutil.copytree(without, tmp_path / "out")
        figures = pipeline.run(config, workdir, until=until, force=True)
        return made_in(workdir), figures

    return run


@pytest.fixture
def wider(plain, scene, config, tmp_path):
    """The foreign scene in our world, and its figures; nothing is fitted."""

    def bring(model=None):
        job = Job(config, tmp_path / "out", scene, "", {}, model)
        return wider_scene(job, plain("scene"), plain("pointcloud"), plain("views"))

    return bring
