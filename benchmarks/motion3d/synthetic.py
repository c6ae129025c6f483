"""Problems whose answer is known: a plane of water under a distant sky, in a motion with a formula.

Points: the pixel centres (u, v) of a W × H image, lifted to z = 2 / (0.12 + 0.88 s) with s = (v/H - 0.42) / 0.58
clipped to [0, 1]; focal length max(W, H). Where s < 0 that is a wall at z = 16.7 that faces the camera. Elsewhere 1/z
is a linear function α + β v of the row, which is a plane: from v = c + f Y/Z follows (α + β c) Z + β f Y = 1.

* synthetic_free: F = (z/f) (0.8 sin(1.3 X + Z) + 0.6, 0.2 cos X, 0.5 sin Z), about a pixel in the input view.
* synthetic_tangent: the part of that motion in the tangent plane, F - n (n·F) with the unit normal n of the wall or of
  the plane, times one number that gives it the size (root mean square, world units) of the free motion.

Every point counts in every view that has it in front and in bounds; nothing hides anything.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from benchmarks.motion3d.corruption import corrupt, draw
from mom3d_jax.cameras import INPUT_VIEW, Rig, generation_cameras, input_camera, pixel_grid, project, select, unproject
from mom3d_jax.motion3d import Problem, predict
from mom3d_jax.pointcloud import grid_neighbours

OFFICIAL = Rig(yaw=20, pitch=22.5, orbit=5, radius=4.3, cap=0)
"""The generation cameras of the released code."""
HORIZON, FAR, NEAR = 0.42, 0.06, 0.5
"""Row of the horizon as a share of the height; 1/z of the wall, and of the plane at the bottom of the image."""


class Case(NamedTuple):
    """A problem and its answer."""

    problem: Problem
    truth: Float[np.ndarray, "n 3"] | None
    """The motion to find, world units per frame; None where nobody knows it."""


class Surface(NamedTuple):
    """The points and which way their surface faces."""

    points: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"]
    z: Float[np.ndarray, "h w"]


def surface(width: int, height: int) -> Surface:
    """The wall and the plane."""
    camera = input_camera(width, height)
    grid = pixel_grid(width, height).astype(np.float64)
    s = np.clip((grid[..., 1] / height - HORIZON) / (1 - HORIZON), 0, 1)
    z = 1 / (FAR + (NEAR - FAR) * s)
    points = np.asarray(unproject(camera, grid.reshape(-1, 2).astype(np.float32), z.reshape(-1).astype(np.float32)))
    # In units of the image's height: β H, and α + β c with c = H/2.
    slope = (NEAR - FAR) / (1 - HORIZON)
    plane = np.array([0, slope * max(width, height) / height, FAR + slope * (0.5 - HORIZON)])
    wall = np.array([0, 0, 1.0])
    normals = np.where(s.reshape(-1, 1) > 0, plane / np.linalg.norm(plane), wall)
    return Surface(points, normals.astype(np.float32), z.astype(np.float32))


def free_motion(points: Float[np.ndarray, "n 3"], focal: float) -> Float[np.ndarray, "n 3"]:
    """F of synthetic_free in float64, world units per frame."""
    X, _, Z = points.astype(np.float64).T
    return (Z / focal * np.stack([0.8 * np.sin(1.3 * X + Z) + 0.6, 0.2 * np.cos(X), 0.5 * np.sin(Z)])).T


def tangent_motion(
    points: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"], focal: float
) -> Float[np.ndarray, "n 3"]:
    """F of synthetic_tangent in float64, world units per frame."""
    free, n = free_motion(points, focal), normals.astype(np.float64)
    tangent = free - n * (n * free).sum(-1, keepdims=True)
    return tangent * np.sqrt((free**2).sum() / (tangent**2).sum())


def exact_case(variant: str, width: int, height: int) -> Case:
    """The problem with the exact image motion of every view.

    Raises:
      ValueError: another variant than "synthetic_free" and "synthetic_tangent".
    """
    ground, focal = surface(width, height), float(max(width, height))
    if variant == "synthetic_free":
        motion = free_motion(ground.points, focal)
    elif variant == "synthetic_tangent":
        motion = tangent_motion(ground.points, ground.normals, focal)
    else:
        raise ValueError(f"unknown variant {variant!r}; known: synthetic_free, synthetic_tangent")
    truth, n = motion.astype(np.float32), width * height
    cameras = generation_cameras(input_camera(width, height), ground.z, OFFICIAL)
    views = len(cameras.rotation)
    weight = np.zeros((views, n), np.float32)
    for v in range(views):
        pixels, z = (np.asarray(a) for a in project(select(cameras, v), ground.points))
        weight[v] = (z > 0) & (pixels >= 0).all(-1) & (pixels < (width, height)).all(-1)
    problem = Problem(
        points=ground.points,
        cameras=cameras,
        target=np.zeros((views, n, 2), np.float32),
        weight=weight,
        neighbours=grid_neighbours(ground.z, np.ones((height, width))),
        population=weight.sum(1),
        index=np.arange(n, dtype=np.int32),
        normals=ground.normals,
        reference=INPUT_VIEW,
    )
    return Case(dataclasses.replace(problem, target=np.asarray(predict(problem, truth))), truth)


def make_case(variant: str, width: int, height: int, *, corruption: float, outliers: float, seed: int) -> Case:
    """A problem with corrupted flows.

    Raises:
      ValueError: an unknown variant, or corruption out of range.
    """
    drawn = draw(25, corruption, outliers, seed)
    case = exact_case(variant, width, height)
    target = np.array(case.problem.target)
    for v in range(len(target)):
        projected, _ = project(select(case.problem.cameras, v), case.problem.points)
        pixels = np.where(np.asarray(case.problem.weight)[v][:, None] > 0, projected, 0)
        target[v] = corrupt(drawn, v, target[v], pixels, (width, height))
    return case._replace(problem=dataclasses.replace(case.problem, target=target))
