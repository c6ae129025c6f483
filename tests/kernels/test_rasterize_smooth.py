"""Gradients of every backend against differences of that same backend, in a scene where it is a smooth function.

The definition has three cut-offs: α below 1/255, α above 0.99, transmittance below 10⁻⁴. Where none of them acts the
image is analytic in every input, so that differences over finite steps converge to the gradient, in float32 as well.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mom3d_jax.kernels import backends, rasterize

WIDTH, HEIGHT, CHANNELS, N = 13, 10, 2, 20
DIRECTIONS = 3
"""Random ones per input."""
STEPS = {"means2d": 1.0, "conics": 1e-3, "colors": 0.5, "opacities": 0.06, "depths": 0.05, "background": 0.5}
"""Largest step: large, so that float32 rounds the differences little; the extrapolation removes what is cubic in it."""


def smooth_scene() -> dict[str, np.ndarray]:
    """Wide, faint ellipses that all pixels see all of, more than a backend walks at a time."""
    rng = np.random.default_rng(2)
    angle, sigma = rng.uniform(0, np.pi, N), rng.uniform(7, 12, (N, 2))
    axes = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1).reshape(N, 2, 2)
    Q = axes / sigma[:, None] ** 2 @ axes.swapaxes(1, 2)
    inputs = {
        "means2d": rng.uniform([2, 2], [WIDTH - 2, HEIGHT - 2], (N, 2)),
        "conics": np.stack([Q[:, 0, 0], Q[:, 0, 1], Q[:, 1, 1]], -1),
        "colors": rng.uniform(size=(N, CHANNELS)),
        "opacities": rng.uniform(0.1, 0.4, N),
        "depths": rng.permutation(np.linspace(1, 3, N)),
        "background": rng.uniform(size=CHANNELS),
    }
    return {name: values.astype(np.float32) for name, values in inputs.items()}


def assert_smooth(inputs: dict[str, np.ndarray], order: np.ndarray) -> None:
    """No cut-off acts at any pixel, in float64, and the order is as given."""
    x = {name: np.asarray(values, np.float64) for name, values in inputs.items()}
    row, column = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    dx, dy = column[..., None] - x["means2d"][:, 0], row[..., None] - x["means2d"][:, 1]
    a, b, c = x["conics"].T
    assert (a * c > b * b).all()
    alpha = x["opacities"] * np.exp(-0.5 * (a * dx**2 + 2 * b * dx * dy + c * dy**2))
    assert alpha.min() > 1.1 / 255
    assert alpha.max() < 0.98
    assert np.prod(1 - alpha, -1).min() > 1.1e-4
    np.testing.assert_array_equal(np.argsort(x["depths"]), order)


def directions(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Random ones, no number of which is longer than the step of its input."""
    rng = np.random.default_rng(3)
    return {name: STEPS[name] * rng.uniform(-1, 1, (DIRECTIONS, *x.shape)) for name, x in inputs.items()}


def points(inputs: dict[str, np.ndarray]) -> tuple[list[dict[str, np.ndarray]], list[tuple[str, int, float]]]:
    """The scene itself, then the scene after (input, direction, share of the step)."""
    along = directions(inputs)
    moves = [(name, k, s) for name in inputs for k in range(DIRECTIONS) for s in (1, -1, 0.5, -0.5)]
    moved = [inputs | {name: (inputs[name] + s * along[name][k]).astype(np.float32)} for name, k, s in moves]
    return [inputs, *moved], moves


@pytest.mark.parametrize("backend", backends.available())
def test_against_differences_of_the_backend_itself(backend):
    inputs = smooth_scene()
    scenes, moves = points(inputs)
    for x in scenes:
        assert_smooth(x, np.argsort(inputs["depths"]))
    rng = np.random.default_rng(4)
    weights = [rng.normal(size=(HEIGHT, WIDTH, *c)).astype(np.float32) for c in ((CHANNELS,), (), ())]

    @jax.jit
    def images_and_gradients(scenes):
        def one(inputs):
            def render(inputs):
                out = rasterize(**inputs, width=WIDTH, height=HEIGHT, capacity=128, backend=backend)
                return [out.color, out.alpha, out.depth]

            image, pull_back = jax.vjp(render, inputs)
            return image, pull_back([jnp.asarray(w) for w in weights])[0]

        return jax.lax.map(one, scenes)

    images, gradients = images_and_gradients(jax.tree.map(lambda *x: np.stack(x), *scenes))
    # Summed in float64: the loss of a pixel is rounded, the sum over pixels is not.
    losses = sum(
        np.float64(x).reshape(len(x), -1) @ np.float64(w).ravel() for x, w in zip(images, weights, strict=True)
    )
    loss = dict(zip(moves, losses[1:], strict=True))
    for name, along in directions(inputs).items():
        slope = lambda k, s, name=name: (loss[name, k, s] - loss[name, k, -s]) / (2 * s)
        numeric = [(4 * slope(k, 0.5) - slope(k, 1)) / 3 for k in range(DIRECTIONS)]
        analytic = [np.vdot(np.asarray(gradients[name][0], np.float64), v) for v in along]
        np.testing.assert_allclose(analytic, numeric, rtol=0, atol=1e-3 * np.abs(numeric).max(), err_msg=name)
