import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from mom3d_jax.cameras import select
from mom3d_jax.motion3d import Problem, image_motion, loss, normal_equations, point_losses, predict, residuals
from mom3d_jax.motion3d.problem import coordinates


def project64(problem: Problem, v: int, points: np.ndarray) -> np.ndarray:
    c = select(problem.cameras, v)
    x = points.astype(np.float64) @ np.asarray(c.rotation, np.float64).T + np.asarray(c.translation, np.float64)
    return np.asarray(c.focal, np.float64) * x[:, :2] / x[:, 2:] + np.asarray(c.centre, np.float64)


def test_image_motion_is_the_difference_of_projections(plane):
    problem, motion = plane()
    rng = np.random.default_rng(0)
    motion = (motion + 0.05 * rng.normal(size=motion.shape)).astype(np.float32)
    for v in (0, 2, 7, 24):
        truth = project64(problem, v, problem.points + motion.astype(np.float64)) - project64(
            problem, v, problem.points
        )
        np.testing.assert_allclose(predict(problem, motion)[v], truth, atol=2e-5)
        np.testing.assert_allclose(residuals(problem, motion)[v], truth - problem.target[v], atol=2e-5)


def test_small_motions_do_not_cancel(plane):
    problem, motion = plane()
    tiny = motion * 1e-6
    truth = project64(problem, 7, problem.points + tiny.astype(np.float64)) - project64(problem, 7, problem.points)
    np.testing.assert_allclose(predict(problem, tiny)[7], truth, rtol=1e-3, atol=1e-11)


def test_jacobian_is_the_derivative(plane):
    problem, motion = plane()
    camera = select(problem.cameras, 7)
    _, rows = image_motion(camera, coordinates(problem.points), coordinates(motion))
    J = np.stack([np.stack(r, -1) for r in rows], 1)
    for k in range(3):
        step = np.zeros(3)
        step[k] = 1e-5
        end = problem.points.astype(np.float64) + motion
        slope = (project64(problem, 7, end + step) - project64(problem, 7, end - step)) / 2e-5
        np.testing.assert_allclose(J[..., k], slope, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_normal_equations_and_loss_match_a_loop(corrupted, name):
    problem = dataclasses.replace(corrupted, loss=name)
    rng = np.random.default_rng(1)
    motion = (0.02 * rng.normal(size=problem.points.shape)).astype(np.float32)
    H, g = normal_equations(problem, motion, 0.05)
    r = np.asarray(residuals(problem, motion), np.float64)
    total = 0.0
    for i in (0, 37, 150):
        Hi, gi = np.zeros((3, 3)), np.zeros(3)
        for v in range(25):
            camera = select(problem.cameras, v)
            _, rows = image_motion(camera, coordinates(problem.points[i : i + 1]), coordinates(motion[i : i + 1]))
            for c in range(2):
                J = np.array([float(x[0]) for x in rows[c]])
                w = problem.weight[v, i] / (max(abs(r[v, i, c]), 0.05) if name == "l1" else 1)
                Hi += w * np.outer(J, J)
                gi += w * J * r[v, i, c]
        np.testing.assert_allclose(H[i], Hi, rtol=2e-4, atol=1e-3 * np.trace(Hi) * 0.01)
        np.testing.assert_allclose(g[i], gi, rtol=2e-3, atol=1e-4 * np.linalg.norm(gi))
    rho = np.abs(r) if name == "l1" else r**2 / 2
    total = (problem.weight[..., None] * rho).sum() / problem.weight.sum()
    assert float(loss(problem, motion)) == pytest.approx(total, rel=1e-5)


def test_smoothed_l1_lies_above_l1_and_touches_it(corrupted):
    motion = jnp.zeros_like(corrupted.points)
    sharp = point_losses(corrupted, motion, 1e-6)
    soft = point_losses(corrupted, motion, 0.3)
    assert bool((soft >= sharp - 1e-4).all())
    r = np.abs(np.asarray(residuals(corrupted, motion)))
    huber = np.where(r > 0.3, r, r**2 / 0.6 + 0.15).sum(-1)
    np.testing.assert_allclose(soft, (corrupted.weight * huber).sum(0), rtol=1e-5)


def test_empty_and_hidden_points_are_harmless(plane):
    problem, motion = plane()
    none = dataclasses.replace(
        problem,
        points=problem.points[:0],
        target=problem.target[:, :0],
        weight=problem.weight[:, :0],
        neighbours=problem.neighbours[:0],
        index=problem.index[:0],
    )
    assert float(loss(none, motion[:0])) == 0
    behind = dataclasses.replace(problem, points=-problem.points, weight=0 * problem.weight)
    H, g = normal_equations(behind, motion)
    assert float(jnp.abs(H).max()) == 0
    assert float(jnp.abs(g).max()) == 0
    assert float(loss(behind, motion)) == 0
