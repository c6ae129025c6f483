import numpy as np
import pytest

from mom3d_jax.cameras import input_camera
from mom3d_jax.motion3d import assemble, predict, project_flow
from mom3d_jax.motion3d.projected import splat
from mom3d_jax.types import Hints, PointCloud, Views

W, H = 20, 12


@pytest.fixture
def seen(plane):
    problem, motion = plane(W, H)
    v, n = problem.weight.shape
    masks = np.zeros((v, H, W), np.float32)
    masks[:, 2:-2, 3:-3] = 1
    cloud = PointCloud(
        points=problem.points,
        colors=np.zeros((n, 3), np.float32),
        mask=np.ones(n, np.float32),
        pixels=np.arange(n, dtype=np.int32),
        neighbours=problem.neighbours,
    )
    hints = Hints(np.zeros((v, 0, 2), np.float32), np.zeros((v, 0, 2), np.float32), np.zeros((v, 0), bool))
    views = Views(
        cameras=problem.cameras,
        images=np.zeros((v, H, W, 3), np.float32),
        valid=masks,
        masks=masks,
        depth=masks,
        visible=problem.weight > 0,
        hints=hints,
        coverage=np.ones(v, np.float32),
        accepted=np.ones(v, bool),
    )
    return problem, motion, views, assemble(cloud, input_camera(W, H), problem, motion)


def test_in_the_input_view_it_is_the_image_motion_of_each_pixel(seen):
    problem, motion, views, flow = seen
    dense = project_flow(flow, views)
    assert dense.shape == (25, H, W, 2)
    wanted = np.asarray(predict(problem, motion))[2].reshape(H, W, 2)
    inside = views.masks[2] > 0
    np.testing.assert_allclose(dense[2][inside], wanted[inside], atol=1e-4)
    assert (dense[:, ~inside] == 0).all()


def test_other_views_agree_with_their_points(seen):
    problem, motion, views, flow = seen
    dense = project_flow(flow, views, [7, 2])
    assert dense.shape == (2, H, W, 2)
    wanted = np.asarray(predict(problem, motion))[7][problem.weight[7] > 0]
    values = dense[0][views.masks[7] > 0]
    assert values.min() >= wanted.min() - 1e-4
    assert values.max() <= wanted.max() + 1e-4
    assert (np.abs(values).sum(-1) > 0).all()


def test_splat_matches_a_loop_and_fills():
    rng = np.random.default_rng(0)
    pixels = rng.uniform([-1, -1], [W + 1, H + 1], size=(60, 2))
    values = rng.normal(size=(60, 2))
    image = splat(pixels, values, np.ones((H, W), bool))
    share, total = np.zeros((H, W)), np.zeros((H, W, 2))
    for (x, y), value in zip(pixels, values, strict=True):
        for row in range(H):
            for column in range(W):
                b = max(0, 1 - abs(x - column - 0.5)) * max(0, 1 - abs(y - row - 0.5))
                share[row, column] += b
                total[row, column] += b * value
    known = share > 1e-3
    np.testing.assert_allclose(image[known], (total[known] / share[known][:, None]), atol=1e-5)
    assert set(map(tuple, image[~known])) <= set(map(tuple, image[known]))


def test_nothing_visible_is_no_flow():
    assert (splat(np.zeros((0, 2)), np.zeros((0, 2)), np.ones((H, W), bool)) == 0).all()


def test_scene_flow_covers_all_points(seen):
    import dataclasses

    problem, motion, _, flow = seen
    half = dataclasses.replace(problem, index=np.arange(0, len(motion), 2))
    cloud = PointCloud(
        points=flow.points, colors=flow.points, mask=flow.mask, pixels=flow.pixels, neighbours=problem.neighbours
    )
    whole = assemble(cloud, flow.camera, half, motion[::2])
    np.testing.assert_array_equal(whole.motion[::2], motion[::2])
    assert (whole.motion[1::2] == 0).all()
