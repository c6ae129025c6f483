import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from mom3d_jax.cameras import Rig, select
from mom3d_jax.motion3d import Priors, image_motion, point_losses, predict, solve
from mom3d_jax.motion3d.priors import UPPER
from mom3d_jax.motion3d.problem import coordinates
from mom3d_jax.motion3d.solvers.linear import conjugate_gradients, factorize, times
from mom3d_jax.motion3d.solvers.linear import solve as solve3

OFFICIAL = Rig(yaw=20, pitch=22.5, orbit=5, radius=4.3, cap=0)
"""The generation cameras of the released code."""
PRIORS = Priors(damping=0.03, smoothness=2.0)
CONVERGING = [
    *("admm", "coupled", "input_view_lift", "irls", "lm", "sgd"),
    *("optax:adam", "optax:lion", "optax:lbfgs", "optax:schedule_free_adamw"),
]
OPTIONS = {"optax:lbfgs": {"iterations": 40}}
ROWS = [
    (512, 512, 3.0, (1, 0), (0.992, 0)),
    (512, 512, 10.0, (1, 0), (0.117, 0)),
    (1280, 720, 3.0, (1, 0), (0.969, 0)),
    (1280, 720, 5.0, (1, 0), (0.430, 0)),
    (1280, 720, 5.0, (0, 1), (0, 0.144)),
    (1280, 720, 10.0, (1, 1), (0.106, 0.034)),
    (1920, 1080, 5.0, (1, 1), (0.206, 0.065)),
]
"""Image size, depth and target of a measurement on a replica of the released update, and what it recovers."""


def recovered_px(plane, name, width, height, depth, px, **options):
    """Mean image motion in the input view. f²/N is kept, so that a small image tells the same."""
    scale = 32 if width > 1500 else 16
    focal = (582.69 * width / height / scale, 582.69 / scale)
    size = (round(width / scale), round(height / scale))
    problem, _ = plane(*size, focal=focal, depth=depth, motion_px=px, rig=OFFICIAL)
    motion, _ = solve(dataclasses.replace(problem, priors=PRIORS), name, **options)
    return np.asarray(predict(problem, motion))[2].mean(0)


@pytest.mark.parametrize(("width", "height", "depth", "px", "recovered"), ROWS)
def test_official_sgd_starves_as_released(plane, width, height, depth, px, recovered):
    found = recovered_px(plane, "official_sgd", width, height, depth, px)
    np.testing.assert_allclose(found, recovered, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("rows", [slice(5, 7), pytest.param(slice(7), marks=pytest.mark.slow)], ids=["two", "all"])
@pytest.mark.parametrize("name", CONVERGING)
def test_the_others_recover_every_row(plane, name, rows):
    """No dependence on resolution, depth or axis."""
    for width, height, depth, px, _ in ROWS[rows]:
        found = recovered_px(plane, name, width, height, depth, px, **OPTIONS.get(name, {}))
        for axis in range(2):
            assert found[axis] >= 0.98 * px[axis] - 2e-3
            assert found[axis] <= 1.02 * px[axis] + 1e-2


def optimum64(problem, motion) -> float:
    """Σ w |r|₁ at the optimum of the problem linearised at `motion`, by linear programming in float64.

    Without priors the points do not interact, so each is a programme of its own: min Σ w t subject to |J δ - b| ≤ t.
    Linearising at a solution leaves out terms of second order in what is still missing, far below the tolerance.
    """
    X, F = coordinates(problem.points), coordinates(motion)
    views = [image_motion(select(problem.cameras, v), X, F) for v in range(25)]
    J = np.array([[np.stack(row, -1) for row in rows] for _, rows in views], np.float64)
    b = np.asarray(problem.target, np.float64) - np.array([np.stack(moved, -1) for moved, _ in views])
    total = 0.0
    for i in range(len(problem.points)):
        seen = problem.weight[:, i] > 0
        A, rest = J[seen, :, i].reshape(-1, 3), b[seen, i].reshape(-1)
        # In px of the input view, so that the programme is well scaled.
        A, n = A * float(problem.points[i, 2]) / 20, len(rest)
        result = linprog(
            np.concatenate([np.zeros(3), np.repeat(problem.weight[seen, i], 2)]),
            A_ub=np.block([[A, -np.eye(n)], [-A, -np.eye(n)]]),
            b_ub=np.concatenate([rest, -rest]),
            bounds=[(None, None)] * 3 + [(0, None)] * n,
        )
        assert result.status == 0
        total += result.fun
    return total


@pytest.mark.parametrize(
    ("name", "options"), [("irls", {"iterations": 80, "tolerance": 0.0}), ("admm", {"iterations": 600})]
)
def test_exact_solvers_reach_the_linear_programming_optimum(corrupted, name, options):
    """200 points and 25 views: within 0.5 %, and not below it."""
    rows = slice(20, 220)
    problem = dataclasses.replace(
        corrupted,
        points=corrupted.points[rows],
        target=corrupted.target[:, rows],
        weight=corrupted.weight[:, rows],
        neighbours=np.arange(200, dtype=np.int32)[:, None],
        index=corrupted.index[rows],
    )
    motion, _ = solve(problem, name, **options)
    mine, best = float(np.asarray(point_losses(problem, motion), np.float64).sum()), optimum64(problem, motion)
    assert 0.999 * best <= mine <= 1.005 * best


def test_neighbours_help_against_noise(plane, corrupted):
    _, truth = plane()
    wanted = np.asarray(predict(corrupted, truth))
    seen = corrupted.weight > 0

    def error(name):
        motion, _ = solve(dataclasses.replace(corrupted, priors=PRIORS), name)
        return np.linalg.norm(np.asarray(predict(corrupted, motion)) - wanted, axis=-1)[seen].mean()

    assert error("coupled") < 0.9 * error("irls")
    assert error("coupled") < 0.25 * error("input_view_lift")


def test_coupling_stops_at_depth_edges(plane):
    """Two slabs that move apart: across the step in depth nothing leaks."""
    problem, _ = plane(depth=2.0, motion_px=(1, 0))
    column = np.arange(len(problem.points)) % 20
    scale = np.where(column < 10, 1, 2)[:, None].astype(np.float32)
    points = problem.points * scale
    motion = np.where(column < 10, 1, -1)[:, None] * np.array([[0.1, 0, 0]], np.float32) * scale
    moved = dataclasses.replace(problem, points=points)
    moved = dataclasses.replace(moved, target=np.asarray(predict(moved, motion.astype(np.float32))))
    moved = dataclasses.replace(moved, priors=Priors(damping=0.03, smoothness=100.0))
    found, _ = solve(moved, "coupled", iterations=8, inner=40)
    np.testing.assert_allclose(found[:, 0], motion[:, 0], rtol=0.05)


def test_small_linear_algebra_matches_numpy():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(50, 3, 3))
    A = (A @ A.transpose(0, 2, 1) + 0.1 * np.eye(3)).astype(np.float32)
    b = rng.normal(size=(50, 3)).astype(np.float32)
    entries = tuple(A[:, i, j] for i, j in UPPER)
    x = np.stack(solve3(factorize(entries), coordinates(b)), -1)
    np.testing.assert_allclose(x, np.linalg.solve(A, b[..., None])[..., 0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(np.stack(times(entries, coordinates(b)), -1), (A @ b[..., None])[..., 0], atol=1e-4)
    ridged = np.stack(solve3(factorize(entries, 2.0), coordinates(b)), -1)
    np.testing.assert_allclose(ridged, np.linalg.solve(A + 2 * np.eye(3), b[..., None])[..., 0], rtol=1e-3, atol=1e-4)
    M = rng.normal(size=(12, 12))
    M = (M @ M.T + np.eye(12)).astype(np.float32)
    c = rng.normal(size=12).astype(np.float32)
    x = conjugate_gradients(
        lambda x: tuple(jnp.split(M @ jnp.concatenate(x), 3)), lambda x: x, tuple(jnp.split(jnp.asarray(c), 3)), 40
    )
    np.testing.assert_allclose(np.concatenate(x), np.linalg.solve(M, c), rtol=1e-2, atol=1e-3)
