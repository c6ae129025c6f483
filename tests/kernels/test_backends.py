"""The registry, and the two ways to sum rows."""

import jax.numpy as jnp
import numpy as np
import pytest
from mom3d_jax.kernels import backends
from mom3d_jax.kernels.segments import sum_rows, sum_sorted, sum_unsorted


def test_choice():
    assert backends.choose(None) == "xla"
    assert backends.choose("reference") == "reference"
    everywhere = [name for name in backends.available(jnp.float32) if name != "pallas_triton"]
    assert everywhere == ["xla", "reference", "pallas_triton_interpreted"]
    # Only the reference computes in any precision.
    assert backends.choose(None, jnp.float16) == "reference"


def test_unknown_is_a_value_error_and_impossible_is_not_implemented():
    with pytest.raises(ValueError, match=r"unknown rasterizer backend 'cuda'; known: xla, pallas_triton, reference"):
        backends.choose("cuda")
    with pytest.raises(NotImplementedError, match=r"'xla' cannot run: it computes in float32, not float16"):
        backends.choose("xla", jnp.float16)


@pytest.mark.parametrize("add", [sum_rows, sum_sorted, sum_unsorted])
def test_sums_of_rows(add):
    rng = np.random.default_rng(0)
    rows, ids = rng.normal(size=(500, 3)).astype(np.float32), rng.integers(0, 25, 500).astype(np.int32)
    truth = np.zeros((20, 3))
    np.add.at(truth, ids[ids < 20], rows[ids < 20].astype(np.float64))
    np.testing.assert_allclose(add(jnp.asarray(rows), jnp.asarray(ids), 20), truth, atol=1e-5)
