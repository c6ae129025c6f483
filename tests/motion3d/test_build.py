import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from mom3d_jax.cameras import input_camera, pixel_grid, project, select
from mom3d_jax.motion3d import build_problem, solve
from mom3d_jax.motion3d.build import mutual_neighbours, sample
from mom3d_jax.types import Flows, Hints, PointCloud, Views

W, H = 20, 12


@pytest.fixture
def stages(plane):
    """Cloud, views and constant flows: the left half of the photo moves."""
    problem, _ = plane(W, H)
    n, v = len(problem.points), 25
    mask = (np.arange(n) % W < W // 2).astype(np.float32)
    cloud = PointCloud(
        points=problem.points,
        colors=np.zeros((n, 3), np.float32),
        mask=mask,
        pixels=np.arange(n, dtype=np.int32),
        neighbours=problem.neighbours,
    )
    hints = Hints(np.zeros((v, 0, 2), np.float32), np.zeros((v, 0, 2), np.float32), np.zeros((v, 0), bool))
    views = Views(
        cameras=problem.cameras,
        images=np.zeros((v, H, W, 3), np.float32),
        valid=np.ones((v, H, W), np.float32),
        masks=np.ones((v, H, W), np.float32),
        depth=np.ones((v, H, W), np.float32),
        visible=problem.weight > 0,
        hints=hints,
        coverage=np.ones(v, np.float32),
        accepted=np.ones(v, bool),
    )
    flow = np.broadcast_to(np.array([0.5, -0.25], np.float32), (v, H, W, 2)).copy()
    return cloud, views, Flows(flow=flow, weight=np.ones(v, np.float32))


def test_look_up_is_bilinear_at_pixel_centres():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(H, W, 2)).astype(np.float32)
    pixels = rng.uniform([0, 0], [W, H], size=(100, 2)).astype(np.float32)
    value, share = sample(image, np.ones((H, W), bool), pixels)
    for c in range(2):
        truth = ndimage.map_coordinates(
            image[..., c], (pixels[:, 1] - 0.5, pixels[:, 0] - 0.5), order=1, mode="nearest"
        )
        np.testing.assert_allclose(value[:, c], truth, atol=1e-5)
    np.testing.assert_allclose(share, 1, atol=1e-5)
    centres = pixel_grid(W, H).reshape(-1, 2)
    np.testing.assert_allclose(sample(image, np.ones((H, W), bool), centres)[0], image.reshape(-1, 2), atol=1e-6)


def test_unknown_taps_say_nothing():
    image = np.zeros((2, 2, 1), np.float32)
    image[0, 0], image[0, 1] = 3, 1000
    known = np.array([[True, False], [True, False]])
    value, share = sample(image, known, np.array([[1.0, 0.5]], np.float32))
    assert float(value[0, 0]) == pytest.approx(3)
    assert float(share[0]) == pytest.approx(0.5)


def test_only_moving_points_with_their_targets(stages):
    cloud, views, flows = stages
    problem, counts = build_problem(cloud, views, flows)
    np.testing.assert_array_equal(problem.index, np.flatnonzero(cloud.mask))
    np.testing.assert_array_equal(problem.points, cloud.points[problem.index])
    np.testing.assert_array_equal(problem.weight > 0, views.visible[:, problem.index])
    seen = problem.weight > 0
    np.testing.assert_allclose(problem.target[seen], np.broadcast_to([0.5, -0.25], (seen.sum(), 2)), atol=1e-6)
    assert problem.reference == 2
    nothing = ("unseen_points", "silent_views", "nan_flow_pixels", "points_without_normal")
    assert counts == {"points": len(problem.index), **dict.fromkeys(nothing, 0)}
    inside = []
    for v in range(25):
        p, z = (np.asarray(a) for a in project(select(views.cameras, v), cloud.points))
        inside.append(((z > 0) & (p >= 0).all(-1) & (p[:, 0] < W) & (p[:, 1] < H)).sum())
    np.testing.assert_array_equal(problem.population, inside)


def test_nan_is_masked_and_counted(stages):
    cloud, views, flows = stages
    flow = flows.flow.copy()
    flow[3, :, :5, 0] = np.nan
    flow[7] = np.nan
    problem, counts = build_problem(cloud, views, dataclasses.replace(flows, flow=flow))
    assert counts["nan_flow_pixels"] == H * 5 + H * W
    assert counts["silent_views"] == 1
    assert np.isfinite(problem.target).all()
    assert (problem.weight[7] == 0).all()
    assert np.isfinite(solve(problem)[0]).all()


def test_views_without_a_say(stages):
    cloud, views, flows = stages
    accepted, weight = views.accepted.copy(), flows.weight.copy()
    accepted[4], weight[9] = False, 0
    problem, counts = build_problem(
        cloud, dataclasses.replace(views, accepted=accepted), dataclasses.replace(flows, weight=weight)
    )
    assert (problem.weight[[4, 9]] == 0).all()
    assert counts["silent_views"] == 2


def test_points_seen_by_nobody_are_counted_and_left_out(stages):
    cloud, views, flows = stages
    visible = views.visible.copy()
    visible[:, [0, 3]] = False
    problem, counts = build_problem(cloud, dataclasses.replace(views, visible=visible), flows)
    assert counts["unseen_points"] == 2
    assert not np.isin([0, 3], problem.index).any()


def test_nothing_moves(stages):
    cloud, views, flows = stages
    problem, counts = build_problem(dataclasses.replace(cloud, mask=0 * cloud.mask), views, flows)
    assert counts["points"] == 0
    assert solve(problem)[0].shape == (0, 3)


def test_graph_is_symmetric_and_within():
    rng = np.random.default_rng(0)
    neighbours = rng.integers(0, 40, size=(40, 5)).astype(np.int32)
    keep = np.flatnonzero(rng.random(40) < 0.7)
    graph = mutual_neighbours(neighbours, keep)
    edges = {(i, int(j)) for i in range(len(keep)) for j in graph[i] if j != i}
    assert edges
    assert edges == {(j, i) for i, j in edges}
    wanted = {
        (a, b)
        for a, p in enumerate(keep)
        for b, q in enumerate(keep)
        if a != b and q in neighbours[p] and p in neighbours[q]
    }
    assert edges == wanted


def test_bad_input(stages):
    cloud, views, flows = stages
    with pytest.raises(ValueError, match="unknown loss 'l3'"):
        build_problem(cloud, views, flows, loss="l3")
    with pytest.raises(ValueError, match="unknown nuisance 'blur'"):
        build_problem(cloud, views, flows, nuisance="blur")
    with pytest.raises(ValueError, match="does not fit"):
        build_problem(cloud, views, dataclasses.replace(flows, flow=flows.flow[:, :-1]))


def test_input_camera_is_the_reference(plane):
    problem, _ = plane(W, H)
    camera = select(problem.cameras, problem.reference)
    np.testing.assert_allclose(camera.rotation, input_camera(W, H).rotation, atol=1e-7)
