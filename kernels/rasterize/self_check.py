"""Is the chosen backend right on this machine? A tiny scene at the start of a run."""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import backends
from .op import rasterize

WIDTH, HEIGHT, CAPACITY = 19, 13, 512
TOLERANCE = 1e-4


def self_check(backend: str | None = None) -> dict[str, Any]:
    """Compare an image and its gradients with the reference, on 40 Gaussians.

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
    arrays = _scene(np.random.default_rng(0))
    image, gradients = _loss(*arrays, backend=name)
    true_image, true_gradients = _loss(*arrays, backend="reference")
    report = {"image": _deviation(image, true_image), "gradients": _deviation(gradients, true_gradients)}
    passed = all(d <= TOLERANCE for d in report.values())
    return {"backend": name, "passed": passed, **report, "seconds": time.perf_counter() - begin}


def _scene(rng: np.random.Generator, n: int = 40) -> tuple[np.ndarray, ...]:
    """Means, conics, colours, opacities, depths; some beyond the border, some above the cap of α."""
    angle, scale = rng.uniform(0, np.pi, n), np.exp(rng.normal(0.7, 0.5, (n, 2)))
    axes = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1).reshape(n, 2, 2)
    Q = axes / scale[:, None] ** 2 @ axes.swapaxes(1, 2)
    arrays = (
        rng.uniform(-3, [WIDTH + 3, HEIGHT + 3], (n, 2)),
        np.stack([Q[:, 0, 0], Q[:, 0, 1], Q[:, 1, 1]], -1),
        rng.uniform(size=(n, 2)),
        rng.uniform(0, 1, n),
        rng.uniform(1, 2, n),
    )
    return tuple(a.astype(np.float32) for a in arrays)


@functools.partial(jax.jit, static_argnames="backend")
def _loss(*arrays: jax.Array, backend: str) -> tuple[Any, Any]:
    """The image and the gradients of its mean square."""

    def loss(arrays: tuple[jax.Array, ...]) -> tuple[jax.Array, Any]:
        out = rasterize(*arrays, width=WIDTH, height=HEIGHT, capacity=CAPACITY, backend=backend)
        image = (out.color, out.alpha, out.depth)
        return jnp.stack([jnp.square(x).mean() for x in image]).sum(), image

    (_, image), gradients = jax.value_and_grad(loss, has_aux=True)(arrays)
    return image, gradients


def _deviation(values: Any, truth: Any) -> float:
    """Largest relative deviation over all arrays; NaN where one holds a NaN."""
    pairs = zip(jax.tree.leaves(values), jax.tree.leaves(truth), strict=True)
    return float(np.max([np.abs(np.asarray(v - t)).max() / np.abs(np.asarray(t)).max() for v, t in pairs]))
