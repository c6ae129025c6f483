"""A tilted plane seen by the 25 generation views, with a known motion."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from mom3d_jax.cameras import Rig, generation_cameras, input_camera, pixel_grid, project, select, unproject
from mom3d_jax.motion3d import Problem, predict


def grid_graph(height: int, width: int) -> np.ndarray:
    index = np.pad(np.arange(height * width).reshape(height, width), 1, mode="edge")
    sides = [index[:-2, 1:-1], index[2:, 1:-1], index[1:-1, :-2], index[1:-1, 2:]]
    return np.stack(sides, -1).reshape(-1, 4).astype(np.int32)


@pytest.fixture(scope="session")
def plane() -> Callable[..., tuple[Problem, np.ndarray]]:
    """A problem whose flows are exact, and the motion that explains them."""

    def make(
        width: int = 20,
        height: int = 12,
        focal: float | tuple[float, float] | None = None,
        motion_px: tuple[float, float] | None = None,
        depth: float | None = None,
        rig: Rig | None = None,
    ) -> tuple[Problem, np.ndarray]:
        camera = input_camera(width, height, focal)
        grid = pixel_grid(width, height)
        z = 1.5 + 1.5 * (1 - grid[..., 1] / height) if depth is None else np.full((height, width), depth)
        points = np.asarray(unproject(camera, grid.reshape(-1, 2), z.reshape(-1).astype(np.float32)))
        size = points[:, 2:] / np.asarray(camera.focal)
        if motion_px is None:
            x, y = points[:, 0], points[:, 1]
            lateral = np.stack([0.6 + 0.3 * np.sin(x + y), 0.3 * np.cos(2 * x)], -1)
        else:
            lateral = np.broadcast_to(motion_px, (len(points), 2))
        motion = np.concatenate([lateral * size, np.zeros((len(points), 1))], -1).astype(np.float32)
        cameras = generation_cameras(camera, z, rig or Rig())
        weight = []
        for v in range(25):
            p, depth_v = (np.asarray(a) for a in project(select(cameras, v), points))
            weight.append((depth_v > 0) & (p >= 0).all(-1) & (p[:, 0] < width) & (p[:, 1] < height))
        n = len(points)
        problem = Problem(
            points=points,
            cameras=cameras,
            target=np.zeros((25, n, 2), np.float32),
            weight=np.array(weight, np.float32),
            neighbours=grid_graph(height, width),
            population=np.array(weight, np.float32).sum(1),
            index=np.arange(n, dtype=np.int32),
            reference=2,
        )
        return dataclasses.replace(problem, target=np.asarray(predict(problem, motion))), motion

    return make


@pytest.fixture(scope="session")
def corrupted(plane: Callable[..., tuple[Problem, np.ndarray]]) -> Problem:
    """The same with noise and outliers in every view."""
    problem, _ = plane()
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.normal(size=problem.target.shape)
    noise += rng.normal(size=problem.target.shape) * (rng.random(problem.weight.shape) < 0.15)[..., None]
    return dataclasses.replace(problem, target=(problem.target + noise).astype(np.float32))
