"""Is the chosen backend right on this machine? A tiny scene at the start of a run."""

import functools
import time
from typing import Any

import jax
import numpy as np

from .. import backends
from .dense_float64 import Inputs, Outputs, image_and_gradients
from .op import rasterize

WIDTH, HEIGHT, CHANNELS, GAUSSIANS, CAPACITY = 13, 10, 3, 24, 128
TOLERANCE = 1e-4


def self_check(backend: str | None = None) -> dict[str, Any]:
    """Compare an image and the gradients of all inputs with those of NumPy in float64.

    The truth is computed here, without compiling anything, so that what this takes is the compilation of the backend.
    The scene has capped and early-ended pixels, tiles cut by the border and more Gaussians per tile than the backends
    walk at a time.

    Args:
      backend: as in `rasterize`.

    Returns:
      `backend`; `passed`; the largest deviation of the `image` and of the `gradients`, relative to the largest value of
      each array; `seconds` that this took, compilation included.

    Raises:
      ValueError: an unknown backend.
      NotImplementedError: a backend that cannot run here.
    """
    begin = time.perf_counter()
    name = backends.choose(backend)
    inputs, gradient = check_scene()
    found_image, found_gradients = jax.device_get(_image_and_gradients(inputs, gradient, backend=name))
    true_image, true_gradients = image_and_gradients(inputs, gradient)
    image, gradients = _deviation(found_image, true_image), _deviation(found_gradients, true_gradients)
    passed = image <= TOLERANCE and gradients <= TOLERANCE
    report = {"backend": name, "passed": passed, "image": image, "gradients": gradients}
    return {**report, "seconds": time.perf_counter() - begin}


def check_scene() -> tuple[Inputs, Outputs]:
    """The Gaussians, and the gradient of a loss that weights every pixel differently.

    The first third are wide and opaque: α is capped in their middle, and a few of them end a pixel. With this seed
    nothing comes closer to a threshold than rounding could carry it across.
    """
    rng = np.random.default_rng(0)
    wide = np.arange(GAUSSIANS) < GAUSSIANS // 3
    angle = rng.uniform(0, np.pi, GAUSSIANS)
    scale = np.where(wide, 6, 2)[:, None] * np.exp(rng.normal(0, 0.4, (GAUSSIANS, 2)))
    axes = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1).reshape(-1, 2, 2)
    Q = axes / scale[:, None] ** 2 @ axes.swapaxes(1, 2)
    inputs = Inputs(
        means2d=rng.uniform(-3, [WIDTH + 3, HEIGHT + 3], (GAUSSIANS, 2)),
        conics=np.stack([Q[:, 0, 0], Q[:, 0, 1], Q[:, 1, 1]], -1),
        colors=rng.uniform(size=(GAUSSIANS, CHANNELS)),
        opacities=np.where(wide, 1, rng.uniform(0.2, 0.9, GAUSSIANS)),
        depths=rng.uniform(1, 2, GAUSSIANS),
        background=rng.uniform(size=CHANNELS),
    )
    gradient = Outputs(*(rng.normal(size=(HEIGHT, WIDTH, *c)) for c in ((CHANNELS,), (), ())))
    return jax.tree.map(np.float32, (inputs, gradient))


@functools.partial(jax.jit, static_argnames="backend")
def _image_and_gradients(inputs: Inputs, gradient: Outputs, *, backend: str) -> tuple[Outputs, Inputs]:
    """As of `dense_float64`, by the backend."""

    def render(inputs: Inputs) -> Outputs:
        out = rasterize(**inputs._asdict(), width=WIDTH, height=HEIGHT, capacity=CAPACITY, backend=backend)
        return Outputs(out.color, out.alpha, out.depth)

    image, pull_back = jax.vjp(render, inputs)
    return image, pull_back(gradient)[0]


def _deviation(values: Outputs | Inputs, truth: Outputs | Inputs) -> float:
    """Largest relative deviation over all arrays; NaN where one holds a NaN."""
    return float(np.max([np.abs(v - t).max() / np.abs(t).max() for v, t in zip(values, truth, strict=True)]))
