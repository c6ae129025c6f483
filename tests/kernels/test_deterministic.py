"""Gradients are added up in a fixed order, also where nobody can run them here: the program says so."""

import re

import jax
import numpy as np
import pytest
from mom3d_jax.kernels import rasterize

SIZE = {"width": 21, "height": 19}


def float_additions_by_scatter(gaussians, platform, **options):
    """Number of scatters in the gradient program that add floats: on an accelerator, atomics in any order."""
    gradient = jax.jit(jax.grad(lambda g: rasterize(**g, **SIZE, capacity=512, backend="xla", **options).color.sum()))
    text = gradient.trace(gaussians).lower(lowering_platforms=(platform,)).as_text()
    bodies = re.findall(r"stablehlo\.scatter.*?\}\) :", text, re.DOTALL)
    assert bodies
    return sum("stablehlo.add" in body and "f32" in body.split("stablehlo.add")[1][:80] for body in bodies)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_no_atomics_unless_they_are_allowed(platform, scene):
    gaussians = scene(14, **SIZE)
    assert float_additions_by_scatter(gaussians, platform) == 0
    assert float_additions_by_scatter(gaussians, platform, deterministic=True) == 0
    assert float_additions_by_scatter(gaussians, platform, deterministic=False) == 1


@pytest.mark.parametrize("deterministic", [True, False])
def test_same_bits_in_every_run(deterministic, scene):
    gaussians = scene(200, **SIZE, scale=3.0)
    gradient = jax.jit(
        jax.grad(lambda g: (rasterize(**g, **SIZE, capacity=2048, deterministic=deterministic).color ** 3).sum())
    )
    first = gradient(gaussians)
    for _ in range(3):
        jax.tree.map(np.testing.assert_array_equal, first, gradient(gaussians))
