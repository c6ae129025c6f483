import numpy as np
import pytest

from mom3d_jax.cameras import input_camera, pixel_grid, unproject
from mom3d_jax.motion3d.normals import surface_normals

W, H = 24, 18


@pytest.fixture
def graph(plane):
    return plane(W, H)[0].neighbours


def lifted(z: np.ndarray) -> np.ndarray:
    points = unproject(input_camera(W, H), pixel_grid(W, H).reshape(-1, 2), z.reshape(-1).astype(np.float32))
    return np.asarray(points)


def plane_depth(normal: np.ndarray, distance: float) -> np.ndarray:
    """z of n·X = d along the pixels' rays."""
    x = (pixel_grid(W, H) - (W / 2, H / 2)) / W
    return distance / (x @ normal[:2] + normal[2])


@pytest.mark.parametrize("normal", [(0.0, 0.0, 1.0), (0.3, 0.5, 0.8), (-0.6, 0.2, 0.9)])
def test_planes_face_the_camera(normal, graph):
    n = np.array(normal) / np.linalg.norm(normal)
    found = surface_normals(input_camera(W, H), lifted(plane_depth(n, 3.0)), graph)
    np.testing.assert_allclose(found, np.broadcast_to(-n, found.shape), atol=2e-3)


def test_grazing_ground_has_one_normal(graph):
    """Rows are 0.1 apart in depth near the camera and 5 near the horizon."""
    down = np.array([0, 1.0, 0.03]) / np.hypot(1, 0.03)
    y = (pixel_grid(W, H)[..., 1] - H / 2) / W
    z = 1 / (down[1] * np.maximum(y, 0.01) + down[2])
    found = surface_normals(input_camera(W, H), lifted(z), graph).reshape(H, W, 3)
    np.testing.assert_allclose(found[H // 2 + 2 :], np.broadcast_to(-down, (H - H // 2 - 2, W, 3)), atol=2e-3)


def test_normals_are_those_of_a_curved_surface(graph):
    """A paraboloid z = 4 + (x² + y²)/8 in the image, against the cross product of its derivatives in float64."""
    x, y = np.moveaxis((pixel_grid(W, H).astype(np.float64) - (W / 2, H / 2)) / W, -1, 0)
    z = 4 + (x**2 + y**2) / 8
    along_x = np.stack([z + x * x / 4, y * x / 4, x / 4], -1)
    along_y = np.stack([x * y / 4, z + y * y / 4, y / 4], -1)
    truth = -np.cross(along_x, along_y)
    truth /= np.linalg.norm(truth, axis=-1, keepdims=True)
    found = surface_normals(input_camera(W, H), lifted(z), graph).reshape(H, W, 3)
    np.testing.assert_allclose(found[1:-1, 1:-1], truth[1:-1, 1:-1], atol=2e-3)


def test_unknown_normals_are_zero(graph):
    z = np.where(np.arange(W) < W // 2, 2.0, 4.0) * np.ones((H, 1))
    found = surface_normals(input_camera(W, H), lifted(z), graph).reshape(H, W, 3)
    edge = np.abs(np.arange(W) - (W - 1) / 2) < 1
    assert (found[:, edge] == 0).all()
    np.testing.assert_allclose(found[:, ~edge], np.broadcast_to([0, 0, -1], (H, W - 2, 3)), atol=1e-4)
    alone = np.arange(W * H, dtype=np.int32)[:, None]
    assert (surface_normals(input_camera(W, H), lifted(z), alone) == 0).all()
    in_a_row = np.stack([np.maximum(alone[:, 0] - 1, 0), np.minimum(alone[:, 0] + 1, W * H - 1)], -1)[: W - 1]
    assert (surface_normals(input_camera(W, H), lifted(z)[: W - 1], np.minimum(in_a_row, W - 2)) == 0).all()
