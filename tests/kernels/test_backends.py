"""The registry, and the ways to sum rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mom3d_jax.kernels import backends
from mom3d_jax.kernels.segments import add_rows, sum_runs, sum_sorted


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


@pytest.mark.parametrize("add", [add_rows, sum_sorted])
def test_sums_of_rows(add):
    rng = np.random.default_rng(0)
    rows, ids = rng.normal(size=(500, 3)).astype(np.float32), rng.integers(0, 25, 500).astype(np.int32)
    truth = np.zeros((20, 3))
    np.add.at(truth, ids[ids < 20], rows[ids < 20].astype(np.float64))
    np.testing.assert_allclose(jax.jit(add, static_argnums=2)(rows, ids, 20), truth, atol=1e-5)


def test_sums_of_runs():
    """Empty runs, in any order, and rows of nobody between them, which may hold anything but spread nothing."""
    rng = np.random.default_rng(0)
    counts, order = rng.integers(0, 6, 40).astype(np.int32), rng.permutation(40)
    begins = np.zeros(40, np.int32)
    begins[order] = 2 + np.cumsum(counts[order] + 1) - counts[order] - 1
    rows = rng.normal(size=(2 + (counts + 1).sum() + 9, 3)).astype(np.float32)
    taken = np.concatenate([np.arange(b, b + c) for b, c in zip(begins, counts, strict=True)])
    rows[np.setdiff1d(np.arange(len(rows)), taken)] = 1e30
    truth = np.stack([rows[b : b + c].astype(np.float64).sum(0) for b, c in zip(begins, counts, strict=True)])
    np.testing.assert_allclose(jax.jit(sum_runs)(rows, begins, counts), truth, atol=1e-5)
