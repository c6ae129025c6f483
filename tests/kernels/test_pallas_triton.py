"""What the conformance tests do not see of the Triton kernels: CUDA lowering, the choice, many images, the sums."""

import functools
import types
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh
from mom3d_jax.kernels import backends, rasterize
from mom3d_jax.kernels.binning import count
from mom3d_jax.kernels.binning.op import Bins
from mom3d_jax.kernels.rasterize import images, pallas_triton, triton_backward
from mom3d_jax.kernels.rasterize.launch import Launch, heuristic_launch
from mom3d_jax.kernels.rasterize.tiles import Image

INTERPRETED = "pallas_triton_interpreted"
SIZE = {"width": 40, "height": 24}
NAMES = ("means2d", "conics", "colors", "opacities", "depths")
SMALL = {"width": 13, "height": 9, "capacity": 64, "deterministic": True}
"""4 tiles."""


def lower_for_cuda(function, *arrays):
    """Text of the lowered program. The mesh stands for the GPU, which newer JAX wants to know."""
    gpu = AbstractDevice(device_kind="NVIDIA H200", num_cores=None, platform="gpu")
    with warnings.catch_warnings(), jax.sharding.use_abstract_mesh(AbstractMesh((), (), abstract_device=gpu)):
        warnings.filterwarnings("ignore", "The Pallas Triton backend is deprecated", DeprecationWarning)
        return jax.jit(function).trace(*arrays).lower(lowering_platforms=("cuda",)).as_text()


@pytest.mark.parametrize(("channels", "views"), [(1, 1), (4, 1), (33, 1), (4, 3)])
def test_kernels_lower_for_cuda(channels, views, scene):
    """Gradients of the backend as a GPU would run it, and the three kernels in it."""
    gaussians = scene(60, **SIZE, channels=channels)

    def loss(*arrays):
        blend = functools.partial(backends.load("pallas_triton"), **SIZE, capacity=1024, deterministic=True)
        blended, transmittance, _ = jax.vmap(blend, (0, None, None, None, 0))(*arrays)
        return blended.sum() + transmittance.sum()

    arrays = [gaussians[name] for name in NAMES]
    for k in (0, 4):
        arrays[k] = np.stack([arrays[k]] * views)
    text = lower_for_cuda(jax.grad(loss, argnums=(0, 1, 2, 3)), *arrays)
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


@pytest.fixture
def lean(monkeypatch):
    """Kernels without unrolled loops compile in half the time."""
    monkeypatch.setattr(pallas_triton, "choose_launch", lambda channels: Launch(1, 1, 8, 1, 8, 1, 1))


def test_wide_features(scene, lean):
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


def test_what_is_hidden_has_no_gradient_at_all(lean):
    """Partial gradients that no tile reached are zero."""
    n, hidden = 60, 40
    wall = {
        "means2d": np.full((n, 2), 12, np.float32),
        "conics": np.tile(np.float32([[1e-6, 0, 1e-6]]), (n, 1)),
        "colors": np.ones((n, 1), np.float32),
        "opacities": np.full(n, 0.9, np.float32),
        "depths": np.linspace(1, 2, n, dtype=np.float32),
    }
    gradient = jax.jit(jax.grad(lambda g: rasterize(**g, **SIZE, capacity=1024, backend=INTERPRETED).color.sum()))(wall)
    for name, values in gradient.items():
        assert np.isfinite(values).all(), name
        assert not values[-hidden:].any(), name
    assert gradient["colors"][:3].all()


def few(scene, n=12, seed=0):
    gaussians = scene(n, SMALL["width"], SMALL["height"], channels=2, seed=seed)
    return [jnp.asarray(gaussians[name]) for name in NAMES]


def blend_small(*gaussians, **changed):
    """(Image, T), `used`."""
    *out, used = pallas_triton.blend_interpreted(*gaussians, **{**SMALL, **changed})
    return tuple(out), used


def value_and_gradients(gaussians, weights):
    """Image, T, `used` and the gradients of all inputs for a weighted sum of the image and T."""
    (blended, transmittance), pullback, used = jax.vjp(blend_small, *gaussians, has_aux=True)
    return (blended, transmittance), used, pullback((weights, weights[..., 0]))


@pytest.mark.parametrize(
    ("outer", "inner", "limit", "pictures", "gradients"),
    [
        ((0, None, 0, None, 0), (0, 0, None, None, None), 2**30, [6], [6]),
        ((None, None, 0, None, None), (None,) * 5, 3 * SMALL["capacity"] * 16, [2], [3, 3]),
    ],
    ids=["geometry", "features and gradients alone, at most three at a time"],
)
def test_nested_vmap_equals_loop(outer, inner, limit, pictures, gradients, scene, equations, monkeypatch, lean):
    """And takes as few launches as it may, of so many images each."""
    monkeypatch.setattr(images, "MAX_ELEMENTS", limit)
    seeds = iter(range(100))
    arrays = ()
    for k in range(5):
        batches = [size for size, by in zip((2, 3), (outer, inner), strict=True) if by[k] == 0]
        pick = [few(scene, seed=next(seeds))[k] for _ in range(int(np.prod(batches)))]
        arrays += (jnp.stack(pick).reshape(*batches, *pick[0].shape) if batches else pick[0],)
    weights = np.random.default_rng(1).normal(size=(2, 3, SMALL["height"], SMALL["width"], 2)).astype(np.float32)
    mapped = jax.vmap(jax.vmap(value_and_gradients, (inner, 0)), (outer, 0))
    found = jax.jit(mapped)(arrays, weights)

    one = jax.jit(value_and_gradients)
    for i, j in np.ndindex(2, 3):
        view = tuple(x[i] if by == 0 else x for x, by in zip(arrays, outer, strict=True))
        view = tuple(x[j] if by == 0 else x for x, by in zip(view, inner, strict=True))
        image, used, truth = one(view, weights[i, j])
        jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[i, j], y), found[:2], (image, used))  # noqa: B023
        for x, y in zip(found[2], truth, strict=True):
            np.testing.assert_allclose(x[i, j], y, atol=1e-6 * float(jnp.abs(y).max()))

    calls = [
        (len(call.invars), call.params["grid_mapping"].grid, call.invars[0].aval.shape)
        for call in equations(mapped, arrays, weights, name="pallas_call")
    ]
    # Four inputs have the kernels of pictures, seven those of gradients. What all images share is there once.
    shared = outer[0] is None
    assert [call for call in calls if call[0] == 4] == [(4, (4 * v,), (1 if shared else v, 4)) for v in pictures]
    assert [call for call in calls if call[0] == 7] == [(7, (4 * v,), (1 if shared else v, 4)) for v in gradients]


def test_an_image_without_room_spoils_no_other(scene, lean):
    """Neither its picture nor its gradients, which is what makes the count of each image its own."""
    small, large = few(scene, n=12), few(scene, n=12, seed=3)
    large[1] = large[1] * 0.01
    extent = {name: SMALL[name] for name in ("width", "height")}
    needed = [int(count(g[0], g[1], g[3], **extent)) for g in (small, large)]
    capacity = needed[0]
    assert needed[1] > capacity

    @jax.jit
    @jax.vmap
    def both(*gaussians):
        out, pullback, used = jax.vjp(lambda *g: blend_small(*g, capacity=capacity), *gaussians, has_aux=True)
        return out, pullback(out), used

    beside, alone = (both(*(jnp.stack(pair) for pair in zip(small, g, strict=True))) for g in (large, small))
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[0], y[0]), beside, alone)
    assert list(beside[2]) == needed


def test_sums_of_rows_per_gaussian():
    """None, one, a few and hundreds of rows per Gaussian, in any order, in two images; rows of nobody are NaN."""
    rng = np.random.default_rng(0)
    n, capacity = 21, 450
    bins, rows, truth = [], [], []
    for image in range(2):
        counts = np.array([0, 1, 300, 8, 9, *rng.integers(0, 5, n - 5)], np.int32)
        order = rng.permutation(n)
        begins = np.zeros(n, np.int32)
        begins[order] = 3 + np.cumsum(counts[order]) - counts[order]
        used = 3 + counts.sum()
        values = rng.normal(size=(capacity, 10)).astype(np.float32)
        values[:3] = values[used:] = np.nan
        if image:
            # Beyond the capacity: of these nothing is known but what fits.
            begins[0], counts[0], values[-2:] = capacity - 2, 40, 1
            begins[4], counts[4] = -5, 5
        bins.append((begins, counts))
        rows.append(values)
        inside = [np.arange(max(b, 0), min(max(b + c, 0), capacity)) for b, c in zip(begins, counts, strict=True)]
        truth.append(np.stack([values[i].astype(np.float64).sum(0) for i in inside]))
    begins, counts = (jnp.asarray(np.stack(x)) for x in zip(*bins, strict=True))
    nothing = jnp.zeros((2, 1), jnp.int32)
    lists = Bins(nothing, nothing, nothing, nothing, begins, counts, nothing[:, 0])
    kernels = pallas_triton.Kernels(Image(8, 8, capacity), heuristic_launch(4), interpret=True)
    np.testing.assert_allclose(kernels.sum_rows(lists, jnp.asarray(np.stack(rows))), truth, atol=1e-5)


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
