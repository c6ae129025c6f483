"""The evaluated problem against float64 loops and automatic differentiation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mom3d_jax.motion3d import (
    LOSSES,
    Priors,
    gradient,
    image_motion,
    jvp,
    normal_equations,
    objective,
    residuals,
    size,
    viewing_rays,
    vjp,
)
from mom3d_jax.motion3d.losses import width
from mom3d_jax.motion3d.objective import local_model, penalty_of, residual_spread
from mom3d_jax.motion3d.priors import UPPER, laplacian
from mom3d_jax.motion3d.problem import coordinates

STIFF = Priors(damping=0.3, smoothness=1.5, depth_edge=0.2, tangency=0.7)
EPSILON = 0.05


@pytest.fixture(scope="module", params=sorted(LOSSES))
def stated(request, corrupted):
    """Every loss, all priors, normals that are partly unknown, and a response in every view."""
    rng = np.random.default_rng(3)
    normals = rng.normal(size=corrupted.points.shape)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[::7] = 0
    problem = dataclasses.replace(
        corrupted,
        loss=request.param,
        priors=STIFF,
        normals=normals.astype(np.float32),
        response=(np.array([[1, 0]]) + 0.2 * rng.normal(size=(25, 2))).astype(np.float32),
    )
    return problem, (0.03 * rng.normal(size=corrupted.points.shape)).astype(np.float32)


def misfits64(problem, motion) -> np.ndarray:
    """A (π(X + F) - π(X)) - f in float64."""
    c, X = problem.cameras, problem.points.astype(np.float64)
    out = []
    for v in range(len(problem.weight)):
        R, t, f = (np.asarray(a[v], np.float64) for a in (c.rotation, c.translation, c.focal))
        p, q = (f * x[:, :2] / x[:, 2:] for x in (X @ R.T + t, (X + motion) @ R.T + t))
        a, b = problem.response[v]
        out.append((q - p) @ np.array([[a, b], [-b, a]]) - problem.target[v])
    return np.stack(out)


def priors64(problem, motion) -> float:
    """The sums of `priors`, pair by pair."""
    rays, pixel = (np.asarray(a, np.float64) for a in viewing_rays(problem))
    u, total, own = motion / pixel, problem.weight.sum(0), problem.priors
    energy = own.damping / 2 * (total * (rays * u).sum(-1) ** 2).sum()
    energy += own.tangency / 2 * (total * (problem.normals * u).sum(-1) ** 2).sum()
    n, k = problem.neighbours.shape
    for i in range(n):
        for j in problem.neighbours[i]:
            if j > i:
                near = np.exp(-((np.log(pixel[i, 0] / pixel[j, 0]) / own.depth_edge) ** 2))
                c = own.smoothness / k * near * (total[i] + total[j]) / 2
                energy += c / 2 * ((u[i] - u[j]) ** 2).sum()
    return float(energy)


def test_objective_is_the_sum_of_loss_and_priors(stated):
    problem, motion = stated
    r = misfits64(problem, motion)
    np.testing.assert_allclose(residuals(problem, motion), r, atol=1e-4)
    c = width(problem.loss, EPSILON, problem.noise)
    rho = np.asarray(LOSSES[problem.loss].value(jnp.asarray(r, jnp.float32), c), np.float64)
    total = (problem.weight[..., None] * rho).sum() + priors64(problem, motion)
    assert float(objective(problem, motion, EPSILON)) == pytest.approx(total / problem.weight.sum(), rel=2e-5)


def test_gradient_is_the_derivative(stated):
    problem, motion = stated
    automatic = jax.grad(lambda m: objective(problem, m, EPSILON))(jnp.asarray(motion)) * problem.weight.sum()
    mine = np.asarray(gradient(problem, motion, EPSILON))
    np.testing.assert_allclose(mine, automatic, rtol=1e-3, atol=2e-4 * np.abs(mine).max())


def test_products_with_the_jacobian(stated):
    problem, motion = stated
    rng = np.random.default_rng(5)
    tangent = rng.normal(size=motion.shape).astype(np.float32)
    cotangent = rng.normal(size=problem.target.shape).astype(np.float32)
    _, forward = jax.jvp(lambda m: residuals(problem, m), (jnp.asarray(motion),), (jnp.asarray(tangent),))
    mine = np.asarray(jvp(problem, motion, tangent))
    np.testing.assert_allclose(mine, forward, atol=1e-4 * np.abs(mine).max())
    _, backward = jax.vjp(lambda m: residuals(problem, m), jnp.asarray(motion))
    mine = np.asarray(vjp(problem, motion, cotangent))
    np.testing.assert_allclose(mine, backward(jnp.asarray(cotangent))[0], atol=1e-4 * np.abs(mine).max())


def test_normal_equations_hold_the_local_priors(stated):
    problem, motion = stated
    local = dataclasses.replace(problem, priors=dataclasses.replace(problem.priors, smoothness=0.0))
    H, g = normal_equations(local, motion, EPSILON)
    np.testing.assert_allclose(g, gradient(local, motion, EPSILON), atol=1e-4 * float(jnp.abs(g).max()))
    free, _ = normal_equations(dataclasses.replace(problem, priors=Priors()), motion, EPSILON)
    rays, pixel = (np.asarray(a, np.float64) for a in viewing_rays(problem))
    rays, normals, total = rays / pixel, problem.normals / pixel, problem.weight.sum(0)
    stiff = total[:, None, None] * (
        problem.priors.damping * rays[:, :, None] * rays[:, None, :]
        + problem.priors.tangency * normals[:, :, None] * normals[:, None, :]
    )
    np.testing.assert_allclose(H - free, stiff, rtol=1e-3, atol=3e-6 * float(jnp.abs(H).max()))


def test_the_quadratic_model_is_per_pixel(stated):
    problem, motion = stated
    H, g = local_model(problem, penalty_of(problem), motion, EPSILON)
    matrix, force = normal_equations(problem, motion, EPSILON)
    pixel = viewing_rays(problem)[1]
    for entry, (i, j) in zip(H, UPPER, strict=True):
        np.testing.assert_allclose(entry, matrix[:, i, j] * pixel[:, 0] ** 2, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(np.stack(g, -1), force * pixel, rtol=1e-4, atol=1e-3)


def test_size(corrupted):
    small = size(corrupted)
    assert small[:3] == (240, 25, int((corrupted.weight > 0).sum()))
    arrays = (corrupted.points, corrupted.target, corrupted.weight, corrupted.neighbours, corrupted.population)
    assert small.bytes >= sum(a.nbytes for a in arrays)
    assert small.bytes < 1.1 * sum(a.nbytes for a in arrays)


def test_one_more_view_is_one_more_term(corrupted):
    """A similarity on the motion of one view, by hand."""
    motion = np.full(corrupted.points.shape, 0.02, np.float32)
    response = np.tile(np.float32([[1, 0]]), (25, 1))
    response[7] = 0.5, -0.25
    bent = residuals(dataclasses.replace(corrupted, response=response), motion) - residuals(corrupted, motion)
    camera = jax.tree.map(lambda a: a[7], corrupted.cameras)
    (u, v), _ = image_motion(camera, coordinates(corrupted.points), coordinates(motion))
    np.testing.assert_allclose(bent[7, :, 0], -0.5 * u + 0.25 * v, atol=1e-5)
    np.testing.assert_allclose(bent[7, :, 1], -0.25 * u - 0.5 * v, atol=1e-5)
    np.testing.assert_allclose(np.delete(np.asarray(bent), 7, axis=0), 0, atol=1e-6)


def test_coupling_is_symmetric_and_ignores_a_common_motion(corrupted):
    problem = dataclasses.replace(corrupted, priors=STIFF)
    penalty = penalty_of(problem)
    rng = np.random.default_rng(0)
    x, y = (coordinates(rng.normal(size=corrupted.points.shape).astype(np.float32)) for _ in range(2))
    one = sum(float(jnp.sum(a * b)) for a, b in zip(y, laplacian(penalty, x), strict=True))
    other = sum(float(jnp.sum(a * b)) for a, b in zip(x, laplacian(penalty, y), strict=True))
    assert one == pytest.approx(other, rel=1e-4)
    same = laplacian(penalty, coordinates(np.ones_like(corrupted.points)))
    assert max(float(jnp.abs(a).max()) for a in same) < 1e-4


def test_spread_of_residuals(corrupted, plane):
    """Against the median of all observations; exact flows have none, and no observations give 0."""
    problem, motion = plane()
    r = np.abs(np.asarray(residuals(corrupted, motion)))[corrupted.weight > 0]
    assert float(residual_spread(corrupted, motion)) == pytest.approx(1.4826 * np.median(r), rel=1e-5)
    assert float(residual_spread(problem, motion)) < 1e-4
    silent = dataclasses.replace(problem, weight=0 * problem.weight)
    assert float(residual_spread(silent, motion)) == 0
