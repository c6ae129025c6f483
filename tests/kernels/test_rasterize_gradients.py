"""Gradients of every backend against finite differences of the definition and against the reference's autodiff."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mom3d_jax.kernels import backends, rasterize

# The Triton kernels take part everywhere: interpreted, and as they are where there is a GPU for them.
BACKENDS = backends.available()
WIDTH, HEIGHT = 17, 11
SIZE = {"width": WIDTH, "height": HEIGHT}


def weights(channels, seed=7):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(HEIGHT, WIDTH, *c)).astype(np.float32) for c in ((channels,), (), ())]


@functools.partial(jax.jit, static_argnums=2)
@functools.partial(jax.grad, argnums=(0, 1))
def gradient(gaussians, background, backend):
    wc, wa, wd = weights(gaussians["colors"].shape[1])
    out = rasterize(**gaussians, **SIZE, background=background, capacity=1024, backend=backend)
    return (out.color * wc).sum() + (out.alpha * wa).sum() + (out.depth * wd).sum()


def gradients(gaussians, background, backend):
    """Of a random linear function of colour, alpha and depth."""
    by_gaussian, by_background = gradient(gaussians, background, backend)
    # The same bits again: a CPU adds in one order.
    jax.tree.map(np.testing.assert_array_equal, by_gaussian, gradient(gaussians, background, backend)[0])
    return {**by_gaussian, "background": by_background}


@pytest.mark.parametrize("backend", BACKENDS)
def test_against_finite_differences(backend, scene, loop):
    """Central differences of the float64 loop, thresholds and all: it is smooth between them."""
    channels = 2
    gaussians = scene(14, **SIZE, channels=channels, seed=3, scale=3.0)
    # No ties in depth: a step must not change the order.
    gaussians["depths"] = np.random.default_rng(4).permutation(np.linspace(1, 2, 14)).astype(np.float32)
    gaussians["opacities"][:4] = [0.995, 1.0, 0.991, 0.97]
    gaussians["conics"][:3] /= 50  # wide tops: many pixels beyond the cap, where nothing may flow
    inputs = {k: v.astype(np.float64) for k, v in gaussians.items()}
    inputs["background"] = np.array([0.3, 0.6])
    wc, wa, wd = weights(channels)

    def loss(inputs):
        color, alpha, depth = loop(**inputs, **SIZE)
        return (color * wc).sum() + (alpha * wa).sum() + (depth * wd).sum()

    analytic = gradients(gaussians, np.float32([0.3, 0.6]), backend)
    step = 1e-6
    for name, values in inputs.items():
        numeric = np.zeros_like(values)
        for at in np.ndindex(values.shape):
            sides = []
            for sign in (1, -1):
                moved = values.copy()
                moved[at] += sign * step
                sides.append(loss(inputs | {name: moved}))
            numeric[at] = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(analytic[name], numeric, rtol=1e-3, atol=1e-4 * np.abs(numeric).max(), err_msg=name)


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "reference"])
def test_against_reference_in_deep_scenes(backend, scene):
    """Hundreds of Gaussians per pixel: pixels that end early, lists of many chunks, large and tiny footprints."""
    gaussians = scene(400, **SIZE, seed=5, scale=1.5)
    gaussians["opacities"] **= 2
    background = np.float32([0.1, 0.5, 0.9])
    ours, truth = (gradients(gaussians, background, b) for b in (backend, "reference"))
    for name, gradient in ours.items():
        scale = float(jnp.abs(truth[name]).max())
        np.testing.assert_allclose(gradient, truth[name], atol=3e-5 * scale, err_msg=name)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_xla_lowers_for_accelerators(platform, scene):
    """Forward and backward translate without the hardware."""
    gradient = jax.jit(jax.grad(lambda g: rasterize(**g, **SIZE, capacity=1024, backend="xla").color.sum()))
    lowered = gradient.trace(scene(14, **SIZE)).lower(lowering_platforms=(platform,))
    assert "while" in lowered.as_text()
