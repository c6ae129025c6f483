"""Projection from axes against matrices in float64, gradients against their central differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mom3d_jax.cameras import input_camera, relative_to, select
from mom3d_jax.render.projection import DILATION, GUARD, NEAR, project_gaussians
from mom3d_jax.types import Cameras

INPUTS = ("means", "scales", "quaternions")


@pytest.fixture
def camera() -> Cameras:
    turned = Rotation.from_euler("yxz", [0.2, -0.1, 0.3]).as_matrix()
    return select(relative_to(input_camera(40, 30, (35.0, 33.0)), turned[None], np.array([[0.1, -0.2, 0.3]])), 0)


@pytest.fixture
def ellipsoids() -> dict[str, np.ndarray]:
    """In view, beside it beyond the guard, and behind the camera."""
    rng = np.random.default_rng(0)
    means = rng.uniform([-1, -0.6, 2], [1, 0.6, 4], (24, 3))
    means[12:18, 0] += 9
    means[18:, 2] -= 5
    arrays = {
        "means": means,
        "scales": np.exp(rng.uniform(-3, 0, (24, 3))),
        "quaternions": rng.normal(size=(24, 4)) * np.exp(rng.normal(size=(24, 1))),
    }
    return {name: x.astype(np.float32) for name, x in arrays.items()}


def by_matrices(camera: Cameras, means, scales, quaternions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, conics and depths in float64, one Gaussian after the other."""
    R, t, focal, centre = (
        np.asarray(x, np.float64) for x in (camera.rotation, camera.translation, camera.focal, camera.centre)
    )
    pixels, conics, depths = [], [], []
    for mean, scale, quaternion in zip(means, scales, quaternions, strict=True):
        x = R @ mean + t
        z = x[2] if x[2] > NEAR else 1.0
        limits = GUARD * np.array([camera.width, camera.height]) / 2 / focal
        slope = np.clip(x[:2] / z, -limits, limits)
        J = np.diag(focal) @ np.column_stack([np.eye(2), -slope]) / z
        axes = Rotation.from_quat(np.roll(quaternion, -1)).as_matrix()
        Q = np.linalg.inv(J @ R @ axes @ np.diag(scale**2) @ axes.T @ R.T @ J.T + DILATION * np.eye(2))
        pixels.append(focal * x[:2] / z + centre)
        conics.append([Q[0, 0], Q[0, 1], Q[1, 1]])
        depths.append(x[2] if x[2] > NEAR else 0.0)
    return np.array(pixels), np.array(conics), np.array(depths)


def test_values(camera: Cameras, ellipsoids: dict[str, np.ndarray]) -> None:
    projected = jax.jit(project_gaussians)(**ellipsoids, camera=camera)
    for ours, truth in zip(projected, by_matrices(camera, **ellipsoids), strict=True):
        np.testing.assert_allclose(ours, truth, rtol=1e-4, atol=1e-5)
    assert (projected.depths > 0).sum() == 18


@pytest.mark.parametrize("name", INPUTS)
def test_gradients(camera: Cameras, ellipsoids: dict[str, np.ndarray], name: str) -> None:
    weights = [np.random.default_rng(1).normal(size=(24, *tail)).astype(np.float32) for tail in ((2,), (3,), ())]
    seen = by_matrices(camera, **ellipsoids)[2] > 0

    def loss(x: np.ndarray) -> np.ndarray:
        """Of each Gaussian alone."""
        outputs = by_matrices(camera, **{**ellipsoids, name: x})
        return sum((w * y).reshape(24, -1).sum(1) for w, y in zip(weights, outputs, strict=True))

    def total(x: jax.Array) -> jax.Array:
        outputs = project_gaussians(**{**ellipsoids, name: x}, camera=camera)
        return sum(jnp.sum(w * y) for w, y in zip(weights, outputs, strict=True))

    x = ellipsoids[name].astype(np.float64)
    steps = 1e-5 * np.eye(x.shape[1])
    truth = np.stack([(loss(x + step) - loss(x - step)) / 2e-5 for step in steps], -1)
    ours = np.asarray(jax.jit(jax.grad(total))(ellipsoids[name]))
    scale = np.abs(truth[seen]).max(axis=1, keepdims=True)
    np.testing.assert_allclose(ours[seen] / scale, truth[seen] / scale, atol=2e-4)
    assert np.isfinite(ours).all()


def test_no_rotation_of_a_zero_quaternion(camera: Cameras, ellipsoids: dict[str, np.ndarray]) -> None:
    zero, identity = np.zeros((24, 4), np.float32), np.tile(np.float32([1, 0, 0, 0]), (24, 1))

    def conics(quaternions: jax.Array) -> jax.Array:
        return project_gaussians(ellipsoids["means"], ellipsoids["scales"], quaternions, camera).conics

    np.testing.assert_array_equal(conics(zero), conics(identity))
    np.testing.assert_array_equal(jax.jit(jax.grad(lambda q: conics(q).sum()))(zero), 0)


def test_over_cameras(camera: Cameras, ellipsoids: dict[str, np.ndarray]) -> None:
    """The gradient through a batch of cameras is the sum of those through each."""
    pair = jax.tree.map(lambda a, b: jnp.stack([jnp.asarray(a), jnp.asarray(b)]), camera, input_camera(40, 30))

    def total(quaternions: jax.Array, camera: Cameras) -> jax.Array:
        return project_gaussians(ellipsoids["means"], ellipsoids["scales"], quaternions, camera).conics.sum()

    def looped(quaternions: jax.Array) -> jax.Array:
        return jax.lax.map(lambda camera: total(quaternions, camera), pair).sum()

    def mapped(quaternions: jax.Array) -> jax.Array:
        return jax.vmap(lambda camera: total(quaternions, camera))(pair).sum()

    q = jnp.asarray(ellipsoids["quaternions"])
    gradient = jax.jit(jax.grad(total))
    truth = gradient(q, select(pair, 0)) + gradient(q, select(pair, 1))
    for over in (looped, mapped):
        np.testing.assert_allclose(jax.jit(jax.grad(over))(q), truth, rtol=1e-4, atol=1e-4)
