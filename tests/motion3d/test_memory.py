"""30 views of 2 million points fit in 2 GB: what the compiler says of programs that are never run."""

import jax
import numpy as np
import pytest

from mom3d_jax.motion3d import SOLVERS, Priors, Problem, make_solver
from mom3d_jax.motion3d.build import _observe
from mom3d_jax.motion3d.solvers import run
from mom3d_jax.types import Cameras

VIEWS, POINTS, LIMIT = 30, 2_000_000, 2 * 1024**3


def array(*shape: int, dtype: type = np.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


@pytest.fixture(scope="module")
def huge() -> Problem:
    """Shapes only."""
    v, n = VIEWS, POINTS
    return Problem(
        points=array(n, 3),
        cameras=Cameras(array(v, 3, 3), array(v, 3), array(v, 2), array(v, 2), 1920, 1080),
        target=array(v, n, 2),
        weight=array(v, n),
        neighbours=array(n, 8, dtype=np.int32),
        population=array(v),
        index=array(n, dtype=np.int32),
        normals=array(n, 3),
        priors=Priors(*(array() for _ in range(4))),
        noise=array(),
        nuisance="similarity",
    )


def needed(compiled: jax.stages.Compiled) -> int:
    memory = compiled.memory_analysis()
    return memory.temp_size_in_bytes + memory.output_size_in_bytes


OTHERS = [*sorted({*SOLVERS} - {"coupled", "admm"}), "optax:adam", "optax:lbfgs"]


@pytest.mark.parametrize("name", ["coupled", "admm", *(pytest.param(n, marks=pytest.mark.slow) for n in OTHERS)])
def test_solvers(huge, name):
    """With the problem's own arrays, 0.84 GB."""
    own = sum(np.dtype(a.dtype).itemsize * int(np.prod(a.shape)) for a in jax.tree.leaves(huge))
    # Each pair that L-BFGS remembers is 48 bytes per point; three do as well as the ten of optax.
    options = {"memory_size": 3} if name == "optax:lbfgs" else {}
    assert own + needed(jax.jit(run).lower(make_solver(name, **options), huge).compile()) < LIMIT


def test_observing(huge):
    """The largest image that has so many pixels; flow and mask come on top of what is made of them."""
    flow, known = array(VIEWS, 1080, 1920, 2), array(VIEWS, 1080, 1920, dtype=bool)
    compiled = _observe.lower(huge.cameras, huge.points, flow, known).compile()
    assert compiled.memory_analysis().argument_size_in_bytes + needed(compiled) < LIMIT
