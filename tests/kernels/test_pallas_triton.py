"""What the conformance tests do not see of the Triton kernels: CUDA lowering, the choice, wide features, the sums."""

import types
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh
from mom3d_jax.kernels import backends, rasterize
from mom3d_jax.kernels.rasterize import pallas_triton, triton_backward

INTERPRETED = "pallas_triton_interpreted"
SIZE = {"width": 40, "height": 24}
LAUNCH = pallas_triton.choose_launch(4, interpret=True)


def lower_for_cuda(function, *arrays):
    """Text of the lowered program. The mesh stands for the GPU, which newer JAX wants to know."""
    gpu = AbstractDevice(device_kind="NVIDIA H200", num_cores=None, platform="gpu")
    with warnings.catch_warnings(), jax.sharding.use_abstract_mesh(AbstractMesh((), (), abstract_device=gpu)):
        warnings.filterwarnings("ignore", "The Pallas Triton backend is deprecated", DeprecationWarning)
        return jax.jit(function).trace(*arrays).lower(lowering_platforms=("cuda",)).as_text()


@pytest.mark.parametrize("channels", [1, 4, 33])
def test_kernels_lower_for_cuda(channels, scene):
    """Gradients of the backend as a GPU would run it, and the three kernels in it."""
    gaussians = scene(60, **SIZE, channels=channels)
    names = ("means2d", "conics", "colors", "opacities", "depths")

    def loss(*arrays):
        blend = backends.load("pallas_triton")
        blended, transmittance, _ = blend(*arrays, **SIZE, capacity=1024, deterministic=True)
        return blended.sum() + transmittance.sum()

    text = lower_for_cuda(jax.grad(loss, argnums=(0, 1, 2, 3)), *(gaussians[name] for name in names))
    kernels = [line for line in text.splitlines() if "__gpu$xla.gpu.triton" in line]
    assert len(kernels) == 3
    for name, line in zip(("forward", "backward", "sum_rows"), kernels, strict=True):
        assert f"rasterize_{name}" in line


@pytest.mark.parametrize(
    ("platform", "version", "capability", "runs"),
    [
        ("gpu", "PJRT C API\ncuda 13000", "9.0", True),
        ("gpu", "PJRT C API\ncuda 12080", "8.0", True),
        ("gpu", "PJRT C API\ncuda 12080", "7.5", False),
        ("gpu", "PJRT C API\nrocm 70000", "gfx942", False),
        ("tpu", "PJRT C API\nTFRT TPU v5", None, False),
        ("cpu", "cpu", None, False),
    ],
)
def test_runs_on_recent_nvidia_gpus_alone(platform, version, capability, runs, monkeypatch):
    client = types.SimpleNamespace(platform_version=version)
    device = types.SimpleNamespace(platform=platform, client=client, compute_capability=capability)
    monkeypatch.setattr(jax, "devices", lambda: [device])
    # Unproven on a GPU, and slow as an interpretation: neither is chosen unless it is named.
    assert backends.choose(None) == "xla"
    assert backends.choose(INTERPRETED) == INTERPRETED
    if runs:
        assert backends.choose("pallas_triton") == "pallas_triton"
        with pytest.raises(NotImplementedError, match="computes in float32, not float16"):
            backends.choose("pallas_triton", jnp.float16)
    else:
        with pytest.raises(NotImplementedError, match=r"needs an NVIDIA GPU of compute capability 8\.0.*; use 'xla'"):
            backends.choose("pallas_triton")


def test_wide_features(scene):
    """Partial gradients of more than 16 columns."""
    gaussians = scene(60, **SIZE, channels=11)
    weights = np.random.default_rng(1).normal(size=(SIZE["height"], SIZE["width"], 11)).astype(np.float32)

    def gradients(backend):
        def loss(gaussians):
            out = rasterize(**gaussians, **SIZE, capacity=1024, backend=backend)
            return (out.color * weights).sum() + (out.alpha * out.depth).sum()

        return jax.jit(jax.grad(loss))(gaussians)

    ours, truth = gradients(INTERPRETED), gradients("reference")
    for name, gradient in ours.items():
        np.testing.assert_allclose(gradient, truth[name], atol=3e-5 * float(jnp.abs(truth[name]).max()), err_msg=name)


def test_what_is_hidden_has_no_gradient_at_all(scene):
    """Partial gradients that no tile reached are zero."""
    n, hidden = 60, 40
    wall = {
        "means2d": np.full((n, 2), 12, np.float32),
        "conics": np.tile(np.float32([[1e-6, 0, 1e-6]]), (n, 1)),
        "colors": np.ones((n, 1), np.float32),
        "opacities": np.full(n, 0.9, np.float32),
        "depths": np.linspace(1, 2, n, dtype=np.float32),
    }
    gradient = jax.grad(lambda g: rasterize(**g, **SIZE, capacity=1024, backend=INTERPRETED).color.sum())(wall)
    for name, values in gradient.items():
        assert np.isfinite(values).all(), name
        assert not values[-hidden:].any(), name
    assert gradient["colors"][:3].all()


def test_sums_of_rows_per_gaussian():
    """None, one, a few and hundreds of rows per Gaussian, in any order; rows of nobody are NaN."""
    rng = np.random.default_rng(0)
    n = 21
    counts = np.array([0, 1, 300, 8, 9, *rng.integers(0, 5, n - 5)], np.int32)
    order = rng.permutation(n)
    begins = np.zeros(n, np.int32)
    begins[order] = 3 + np.cumsum(counts[order]) - counts[order]
    rows = rng.normal(size=(3 + counts.sum() + 40, 10)).astype(np.float32)
    rows[:3] = rows[-40:] = np.nan
    truth = np.stack([rows[b : b + c].astype(np.float64).sum(0) for b, c in zip(begins, counts, strict=True)])
    sums = pallas_triton._sum_rows(LAUNCH, *map(jnp.asarray, (rows, begins, counts)))
    np.testing.assert_allclose(sums, truth, atol=1e-5)


@pytest.mark.parametrize(("x", "y"), [(0.3, -1.2), (-900.0, 4.0)])
def test_moments_about_the_mean(x, y):
    """From moments about a tile's centre; other columns are left alone."""
    rng = np.random.default_rng(0)
    slopes, (u, v) = rng.normal(size=(1, 64)), np.mgrid[:8, :8].reshape(2, 64) - 3.5
    moments = lambda u, v: np.stack([(slopes * m).sum(1) for m in (u, v, u * u, u * v, v * v, np.ones(64))], -1)
    about_center = np.concatenate([moments(u, v), [[7.0, 8.0]]], 1)
    at = (jnp.float32([x]), jnp.float32([y]))
    sums = triton_backward.about_mean(jnp.asarray(about_center, jnp.float32), *at)
    truth = moments(u - x, v - y)
    np.testing.assert_allclose(sums[:, :6], truth, rtol=1e-5, atol=1e-5 * np.abs(truth).max())
    np.testing.assert_array_equal(sums[:, 6:], [[7, 8]])


def test_halves_of_the_product_that_are_used():
    """Rows of 8 slopes and 8 weights in turn: moments from the former, features from the latter."""
    product = np.arange(32 * 16, dtype=np.float32).reshape(32, 16)
    slopes, weights = (np.concatenate([product[k : k + 8], product[k + 16 : k + 24]]) for k in (0, 8))
    truth = np.concatenate([slopes[:, :6], weights[:, 6:]], 1)
    np.testing.assert_array_equal(triton_backward.used_half(jnp.asarray(product)), truth)
