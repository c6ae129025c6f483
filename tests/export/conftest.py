import itertools
from collections.abc import Callable

import jax
import numpy as np
import pytest

from mom3d_jax import deformation
from mom3d_jax.cameras import input_camera
from mom3d_jax.export import DynamicScene
from mom3d_jax.types import Displacements, Gaussians

RESIDUALS = {
    "none": {},
    "hexplane": {
        "resolution": 8,
        "features": 4,
        "width": 8,
        "time_resolution": 5,
        "heads": ("pixels", "log_scales", "quaternions", "opacity_logits", "sh_dc"),
    },
}


@pytest.fixture(scope="session")
def make_scene() -> Callable[..., DynamicScene]:
    """A small scene that moves and turns, with colours that depend on the view and a residual far from zero."""

    def make(field: str = "fill", residual: str = "hexplane", *, period: int = 8, **options) -> DynamicScene:
        rng = np.random.default_rng(0)
        movable, n = 12, 60
        draw = lambda *shape: rng.normal(size=shape).astype(np.float32)
        alive = np.ones(n, bool)
        alive[[5, 40]] = False
        g = Gaussians(
            means=rng.uniform([-1, -0.7, 2], [1, 0.7, 4], (n, 3)).astype(np.float32),
            log_scales=rng.uniform(-3, -2, (n, 3)).astype(np.float32),
            quaternions=draw(n, 4),
            opacity_logits=draw(n) + 1,
            sh=draw(n, 4, 3) * np.float32([1, 0.3, 0.3, 0.3])[None, :, None],
            alive=alive,
            movable=movable,
        )
        g.means[40] = np.nan
        steps = np.arange(period + 1, dtype=np.float32)[:, None, None]
        velocity = 0.05 * draw(1, movable, 3)
        tears = rng.uniform(0, 3, (1, movable)).astype(np.float32)
        table = Displacements(
            forward=steps * velocity + 0.01 * steps**2,
            backward=-steps * velocity,
            forward_spread=1 + steps[..., 0] * tears,
            backward_spread=1 + steps[..., 0] * tears[:, ::-1],
        )
        sizes = rng.uniform(0.05, 0.15, n).astype(np.float32)
        dynamics, params = deformation.initialize(
            jax.random.key(0), g, table, sizes, residual=residual, residual_options=RESIDUALS[residual], **options
        )
        numbers = itertools.count()
        noise = lambda p: p + 0.3 * jax.random.normal(jax.random.key(next(numbers)), p.shape)
        return DynamicScene(g, dynamics, jax.tree.map(noise, params), field, input_camera(32, 24), {"scene": "small"})

    return make
