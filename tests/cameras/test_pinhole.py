import jax
import numpy as np
import pytest

from mom3d_jax import cameras


@pytest.fixture
def tilted() -> tuple:
    camera = cameras.input_camera(40, 30, focal=(35.0, 31.0))
    angle = 0.3
    rotation = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    return cameras.select(cameras.relative_to(camera, rotation[None], np.array([[0.1, -0.2, 0.4]])), 0)


def test_projection_equals_the_matrix_form(tilted):
    points = np.random.default_rng(0).normal([0, 0, 6], 1, (50, 3))
    K = np.array([[35, 0, 20], [0, 31, 15], [0, 0, 1.0]])
    homogeneous = (K @ (np.asarray(tilted.rotation, np.float64) @ points.T + [[0.1], [-0.2], [0.4]])).T
    pixels, z = cameras.project(tilted, points.astype(np.float32))
    np.testing.assert_allclose(pixels, homogeneous[:, :2] / homogeneous[:, 2:], rtol=1e-5)
    np.testing.assert_allclose(z, homogeneous[:, 2], rtol=1e-5)


def test_unproject_inverts_project(tilted):
    points = np.random.default_rng(1).normal([0, 0, 6], 1, (50, 3)).astype(np.float32)
    pixels, z = cameras.project(tilted, points)
    np.testing.assert_allclose(cameras.unproject(tilted, pixels, z), points, atol=2e-5)


def test_pixel_centres_are_at_one_half():
    camera = cameras.input_camera(4, 2)
    grid = cameras.pixel_grid(4, 2)
    np.testing.assert_array_equal(grid[0, 0], [0.5, 0.5])
    np.testing.assert_array_equal(grid.reshape(-1, 2).mean(0), [2.0, 1.0])
    np.testing.assert_allclose(cameras.project(camera, np.array([[0, 0, 3.0]], np.float32))[0][0], [2.0, 1.0])


def test_jit_and_vmap_agree_with_the_loop():
    camera = cameras.input_camera(32, 32)
    many = cameras.generation_cameras(camera, np.full((32, 32), 4.0, np.float32))
    points = np.random.default_rng(2).uniform(-1, 1, (7, 3)).astype(np.float32) + np.float32([0, 0, 5])
    together = jax.jit(jax.vmap(cameras.project, in_axes=(0, None)))(many, points)[0]
    for v in range(25):
        np.testing.assert_allclose(together[v], cameras.project(cameras.select(many, v), points)[0], rtol=1e-5)


def test_camera_centres_project_from_themselves(tilted):
    centre = np.asarray(cameras.positions(tilted))
    np.testing.assert_allclose(np.asarray(cameras.to_camera(tilted, centre)), 0, atol=1e-6)


@pytest.mark.parametrize(("width", "height", "focal"), [(0, 3, None), (3, 3, -1.0), (3, 3, float("nan"))])
def test_bad_cameras_are_refused(width, height, focal):
    with pytest.raises(ValueError, match="not positive"):
        cameras.input_camera(width, height, focal)
