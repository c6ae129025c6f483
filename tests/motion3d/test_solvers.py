import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from mom3d_jax.cameras import Rig, select
from mom3d_jax.motion3d import SOLVERS, image_motion, loss, make_solver, point_losses, predict, solve, viewing_rays
from mom3d_jax.motion3d.problem import coordinates
from mom3d_jax.motion3d.solvers.base import run
from mom3d_jax.motion3d.solvers.coupled import conjugate_gradients
from mom3d_jax.motion3d.solvers.linear import factorize
from mom3d_jax.motion3d.solvers.linear import solve as solve3
from mom3d_jax.types import pytree, static

OFFICIAL = Rig(yaw=20, pitch=22.5, orbit=5, radius=4.3, cap=0)
"""The generation cameras of the released code."""
CONVERGING = ["coupled", "input_view_lift", "irls"]


def empty(problem):
    return dataclasses.replace(
        problem,
        points=problem.points[:0],
        target=problem.target[:, :0],
        weight=problem.weight[:, :0],
        neighbours=problem.neighbours[:0],
        index=problem.index[:0],
    )


@pytest.mark.parametrize("name", sorted(SOLVERS))
class TestContract:
    """What every solver keeps to, whoever wrote it."""

    def test_state_is_a_pytree_with_the_motion(self, name, plane):
        problem, _ = plane()
        solver = make_solver(name)
        state = solver.init(problem)
        after = jax.eval_shape(solver.step, problem, state)
        assert jax.tree.structure(state) == jax.tree.structure(after)
        assert state.motion.shape == problem.points.shape
        assert [a.dtype for a in jax.tree.leaves(state)] == [b.dtype for b in jax.tree.leaves(after)]
        assert isinstance(solver.iterations, int)

    def test_does_not_lose_ground(self, name, corrupted):
        motion, report = solve(corrupted, name)
        assert motion.shape == corrupted.points.shape
        assert np.isfinite(motion).all()
        assert len(report["losses"]) == report["steps"] + 1
        assert report["losses"][-1] <= float(loss(corrupted, np.zeros_like(motion)))
        assert report["losses"][-1] == pytest.approx(float(loss(corrupted, motion)), rel=1e-5)

    def test_is_reproducible(self, name, corrupted):
        np.testing.assert_array_equal(solve(corrupted, name)[0], solve(corrupted, name)[0])

    def test_still_flows_give_a_still_scene(self, name, plane):
        problem, _ = plane()
        motion, _ = solve(dataclasses.replace(problem, target=0 * problem.target), name)
        np.testing.assert_array_equal(motion, 0)

    def test_no_points(self, name, plane):
        motion, report = solve(empty(plane()[0]), name)
        assert motion.shape == (0, 3)
        assert report["losses"][-1] == 0

    def test_points_that_nobody_sees_stay(self, name, plane):
        problem, _ = plane()
        weight = problem.weight.copy()
        weight[:, 5] = 0
        neighbours = np.where(problem.neighbours == 5, np.arange(len(weight[0]))[:, None], problem.neighbours)
        neighbours[5] = 5
        motion, _ = solve(dataclasses.replace(problem, weight=weight, neighbours=neighbours.astype(np.int32)), name)
        np.testing.assert_array_equal(motion[5], 0)
        assert np.isfinite(motion).all()

    def test_one_view_leaves_the_ray_nearly_at_rest(self, name, plane):
        problem, _ = plane()
        weight = np.zeros_like(problem.weight)
        weight[2] = problem.weight[2]
        motion, _ = solve(dataclasses.replace(problem, weight=weight), name)
        rays, pixel = viewing_rays(problem)
        across = jnp.linalg.norm(motion / pixel, axis=-1)
        if name in CONVERGING:
            assert float(across.mean()) > 0.3
        # The lift keeps z instead of the distance, neighbours pull on each other: tan(angle off axis) at most.
        assert float(jnp.abs((rays * motion / pixel).sum(-1)).mean()) < (0.02 if name == "irls" else 0.2)


@pytest.mark.parametrize("name", CONVERGING)
@pytest.mark.parametrize(
    ("focal", "depth", "px"), [(18.2, 3.0, (1, 0)), (18.2, 10.0, (1, 0)), ((64.7, 36.4), 5.0, (0.7, 1))]
)
def test_recovery_does_not_depend_on_focal_length_depth_or_axis(name, plane, focal, depth, px):
    problem, _ = plane(focal=focal, depth=depth, motion_px=px)
    motion, _ = solve(problem, name)
    recovered = np.asarray(predict(problem, motion))[2].mean(0)
    np.testing.assert_allclose(recovered, px, atol=0.02)


@pytest.mark.parametrize(
    ("width", "height", "depth", "px", "recovered"),
    [
        (512, 512, 3.0, (1, 0), (0.992, 0)),
        (512, 512, 10.0, (1, 0), (0.117, 0)),
        (1280, 720, 5.0, (1, 0), (0.430, 0)),
        (1280, 720, 5.0, (0, 1), (0, 0.144)),
        (1920, 1080, 5.0, (1, 1), (0.206, 0.065)),
    ],
)
def test_official_sgd_starves_as_released(plane, width, height, depth, px, recovered):
    """Measured on a replica of the released update; f²/N is kept, so a small image tells the same."""
    scale = 32 if width > 1500 else 16
    focal = (582.69 * width / height / scale, 582.69 / scale)
    size = (round(width / scale), round(height / scale))
    problem, _ = plane(*size, focal=focal, depth=depth, motion_px=px, rig=OFFICIAL)
    motion, _ = solve(problem, "official_sgd")
    np.testing.assert_allclose(np.asarray(predict(problem, motion))[2].mean(0), recovered, rtol=0.02, atol=1e-3)


def test_irls_reaches_the_linear_programming_optimum(corrupted):
    motion, _ = solve(corrupted, "irls", damping=0.0, iterations=80, tolerance=0.0)
    mine = np.asarray(point_losses(corrupted, motion))
    for i in (0, 33, 77, 120, 199):
        rows, rest, weight = [], [], []
        for v in np.flatnonzero(corrupted.weight[:, i]):
            F = motion[i : i + 1]
            moved, J = image_motion(
                select(corrupted.cameras, v), coordinates(corrupted.points[i : i + 1]), coordinates(F)
            )
            for c in range(2):
                rows.append([float(x[0]) for x in J[c]])
                rest.append(float(corrupted.target[v, i, c] - moved[c][0]))
                weight.append(float(corrupted.weight[v, i]))
        # min Σ w t subject to |J δ - b| ≤ t, linearised at the solution.
        J, b, n = np.array(rows), np.array(rest), len(rest)
        result = linprog(
            np.concatenate([np.zeros(3), weight]),
            A_ub=np.block([[J, -np.eye(n)], [-J, -np.eye(n)]]),
            b_ub=np.concatenate([b, -b]),
            bounds=[(None, None)] * 3 + [(0, None)] * n,
        )
        assert mine[i] <= 1.005 * result.fun


def test_jit_changes_nothing(corrupted):
    solver = make_solver("official_sgd")
    state = solver.step(corrupted, solver.init(corrupted))
    jitted = jax.jit(solver.step)(corrupted, solver.init(corrupted))
    np.testing.assert_allclose(jitted.motion, state.motion, atol=1e-5)


def test_irls_never_raises_its_objective(corrupted):
    _, report = solve(corrupted, "irls", epsilon=1e-3, sharpest=1e-3, iterations=12)
    losses = np.array(report["losses"])
    assert (np.diff(losses) <= 1e-4).all()


def test_neighbours_help_against_noise(plane, corrupted):
    _, truth = plane()
    wanted = np.asarray(predict(corrupted, truth))
    seen = corrupted.weight > 0

    def error(name):
        motion, _ = solve(corrupted, name)
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
    found, _ = solve(moved, "coupled", smoothness=100.0, iterations=8, inner=40)
    np.testing.assert_allclose(found[:, 0], motion[:, 0], rtol=0.05)


def test_hyper_parameters_vmap(corrupted):
    losses = jax.vmap(lambda rate: run(make_solver("official_sgd", rate=rate), corrupted).losses[-1])(
        jnp.array([0.5, 0.05])
    )
    np.testing.assert_allclose(losses[0], solve(corrupted, "official_sgd")[1]["losses"][-1], rtol=1e-4)
    assert float(losses[1]) > float(losses[0])


def test_small_linear_algebra_matches_numpy():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(50, 3, 3))
    A = (A @ A.transpose(0, 2, 1) + 0.1 * np.eye(3)).astype(np.float32)
    b = rng.normal(size=(50, 3)).astype(np.float32)
    np.testing.assert_allclose(solve3(factorize(A), b), np.linalg.solve(A, b[..., None])[..., 0], rtol=1e-3, atol=1e-4)
    M = rng.normal(size=(12, 12))
    M = (M @ M.T + np.eye(12)).astype(np.float32)
    c = rng.normal(size=(4, 3)).astype(np.float32)
    x = conjugate_gradients(lambda x: (M @ x.ravel()).reshape(4, 3), lambda x: x, jnp.asarray(c), 40)
    np.testing.assert_allclose(np.asarray(x).ravel(), np.linalg.solve(M, c.ravel()), rtol=1e-2, atol=1e-3)


@pytree
class OneStep:
    """A user's own solver: a single least-squares step of the input view's lift, halved."""

    share: float = 0.5
    iterations: int = static(default=1)
    tolerance: float = 0.0

    def init(self, problem):
        return make_solver("input_view_lift").init(problem)

    def step(self, problem, state):
        return state._replace(motion=state.motion * jnp.float32(self.share))


def test_a_users_own_solver(plane, monkeypatch):
    import sys
    import types

    module = types.ModuleType("my_solvers")
    module.OneStep = OneStep
    monkeypatch.setitem(sys.modules, "my_solvers", module)
    problem, _ = plane()
    whole, _ = solve(problem, "input_view_lift")
    part, report = solve(problem, "my_solvers:OneStep", share=0.25)
    np.testing.assert_allclose(part, whole / 4, rtol=1e-6)
    assert report["steps"] == 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cuopled", {}, "did you mean 'coupled'"),
        ("coupled", {"smoothnes": 1.0}, "did you mean 'smoothness'"),
        ("no.such.module:Solver", {}, "cannot load solver"),
        ("json:Solver", {}, "cannot load solver"),
    ],
)
def test_bad_names(plane, name, options, message):
    with pytest.raises(ValueError, match=message):
        solve(plane()[0], name, **options)


def test_divergence_is_an_error(plane):
    problem, _ = plane()
    with pytest.raises(FloatingPointError, match="diverged"):
        solve(dataclasses.replace(problem, target=problem.target * np.float32(np.nan)), "input_view_lift")
