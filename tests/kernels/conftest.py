"""Scenes of 2D Gaussians; a rasterizer as one loop per Gaussian, in float64, that shares no code; traced programs."""

from collections.abc import Callable

import jax
import numpy as np
import pytest


def make_scene(n: int, width: int, height: int, channels: int = 3, seed: int = 0, scale: float = 2.0) -> dict:
    """Rotated ellipses of about `scale` px, some beyond the border, all opacities, depths with ties."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, np.pi, n)
    sigma = scale * np.exp(rng.normal(0, 0.5, (n, 2)))
    axes = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1).reshape(n, 2, 2)
    Q = axes / sigma[:, None] ** 2 @ axes.swapaxes(1, 2)
    scene = {
        "means2d": rng.uniform([-4, -4], [width + 4, height + 4], (n, 2)),
        "conics": np.stack([Q[:, 0, 0], Q[:, 0, 1], Q[:, 1, 1]], -1),
        "colors": rng.uniform(size=(n, channels)),
        "opacities": rng.uniform(0, 1, n),
        "depths": np.round(rng.uniform(1, 3, n), 1),
    }
    return {name: x.astype(np.float32) for name, x in scene.items()}


def loop_rasterize(
    means2d, conics, colors, opacities, depths, *, width, height, background=None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colour, alpha, depth by the definition, one Gaussian after the other over all pixels."""
    means2d, conics, colors, opacities, depths = (
        np.asarray(x, np.float64) for x in (means2d, conics, colors, opacities, depths)
    )
    y, x = np.mgrid[:height, :width] + 0.5
    T = np.ones((height, width))
    ended = np.zeros((height, width), bool)
    color, depth = np.zeros((height, width, colors.shape[1])), np.zeros((height, width))
    for i in sorted(range(len(depths)), key=lambda i: (depths[i], i)):
        if depths[i] <= 0:
            continue
        d = np.stack([x - means2d[i, 0], y - means2d[i, 1]], -1)
        Q = np.array([[conics[i, 0], conics[i, 1]], [conics[i, 1], conics[i, 2]]])
        alpha = np.minimum(0.99, opacities[i] * np.exp(-0.5 * np.einsum("hwi,ij,hwj->hw", d, Q, d)))
        alpha[alpha < 1 / 255] = 0
        ended |= T * (1 - alpha) < 1e-4
        weight = np.where(ended, 0, alpha * T)
        color += weight[..., None] * colors[i]
        depth += weight * depths[i]
        T = np.where(ended, T, T * (1 - alpha))
    if background is not None:
        color += T[..., None] * np.asarray(background, np.float64)
    return color, 1 - T, depth


def find_equations(function: Callable, *arrays, name: str) -> list:
    """All equations of a primitive in what `function` is traced to, however deep they are nested."""

    def walk(jaxpr) -> list:
        found = []
        for equation in jaxpr.eqns:
            found += [equation] if equation.primitive.name == name else []
            inner = jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns"))
            found += [e for x in inner if hasattr(x, "eqns") for e in walk(x)]
        return found

    return walk(jax.make_jaxpr(function)(*arrays))


@pytest.fixture
def equations() -> Callable[..., list]:
    return find_equations


@pytest.fixture
def scene() -> Callable[..., dict]:
    return make_scene


@pytest.fixture
def loop() -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return loop_rasterize
