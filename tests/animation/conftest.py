from collections.abc import Callable

import numpy as np
import pytest

from mom3d_jax.cameras import input_camera, relative_to
from mom3d_jax.types import Hints, Views


@pytest.fixture(scope="session")
def make_views() -> Callable[..., Views]:
    """Views that differ only in what is given: images, masks, depth, validity."""

    def make(images, masks, depth=None, valid=None) -> Views:
        images, masks = np.asarray(images, np.float32), np.asarray(masks, np.float32)
        v, h, w = masks.shape
        hints = Hints(np.zeros((v, 0, 2), np.float32), np.zeros((v, 0, 2), np.float32), np.zeros((v, 0), bool))
        return Views(
            cameras=relative_to(input_camera(w, h), np.broadcast_to(np.eye(3), (v, 3, 3)), np.zeros((v, 3))),
            images=images,
            valid=np.ones((v, h, w), np.float32) if valid is None else np.asarray(valid, np.float32),
            masks=masks,
            depth=np.full((v, h, w), 2.0, np.float32) if depth is None else np.asarray(depth, np.float32),
            visible=np.zeros((v, 0), bool),
            hints=hints,
            coverage=np.ones(v, np.float32),
            accepted=np.ones(v, bool),
        )

    return make
