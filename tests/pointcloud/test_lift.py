"""Lifting: closed form, depth edges, neighbours, bad input."""

import numpy as np
import pytest

from mom3d_jax.cameras import input_camera, project
from mom3d_jax.pointcloud import grid_neighbours, lift, snap_between
from mom3d_jax.types import Depth, Hints, Scene


def make_scene(z, mask=None, seed=0):
    h, w = z.shape
    rng = np.random.default_rng(seed)
    hints = Hints(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), np.zeros(0, bool))
    mask = np.zeros((h, w), np.float32) if mask is None else mask
    scene = Scene(rng.random((h, w, 3), np.float32), mask, hints, None, None, name="test")
    return scene, Depth(z.astype(np.float32), np.zeros((h, w), np.float32), np.float32(1), source="test")


def extremes(z):
    """3 x 3 minimum and maximum by an explicit loop over shifts."""
    padded = np.pad(z, 1, mode="edge")
    h, w = z.shape
    shifts = np.stack([padded[i : i + h, j : j + w] for i in range(3) for j in range(3)])
    return shifts.min(0), shifts.max(0)


def test_points_are_the_closed_form():
    rng = np.random.default_rng(1)
    h, w, f = 7, 11, 9.0
    z = 2 + 0.05 * rng.random((h, w))
    mask = (rng.random((h, w)) > 0.5).astype(np.float32)
    scene, depth = make_scene(z, mask)
    camera = input_camera(w, h, f)
    cloud = lift(scene, depth, camera)
    for v in range(h):
        for u in range(w):
            n = v * w + u
            expected = z[v, u] * np.array([(u + 0.5 - w / 2) / f, (v + 0.5 - h / 2) / f, 1])
            np.testing.assert_allclose(cloud.points[n], expected, rtol=2e-6)
            np.testing.assert_array_equal(cloud.colors[n], scene.image[v, u])
            assert cloud.mask[n] == mask[v, u]
            assert cloud.pixels[n] == n
    assert cloud.snapped == 0
    pixels, _ = project(camera, cloud.points)
    np.testing.assert_allclose(np.asarray(pixels)[5 * w + 3], [3.5, 5.5], atol=1e-5)


@pytest.mark.parametrize("ramp", [1, 2, 3, 5])
@pytest.mark.parametrize("axis", [0, 1])
def test_soft_edge_becomes_a_step(ramp, axis):
    profile = np.concatenate([np.full(12, 1.0), np.linspace(1, 3, ramp + 2)[1:-1], np.full(12, 3.0)])
    z = np.broadcast_to(profile[:, None] if axis == 0 else profile, (len(profile), len(profile)))
    scene, depth = make_scene(z)
    cloud = lift(scene, depth, input_camera(*z.shape))
    lifted = cloud.points[:, 2].reshape(z.shape)
    assert np.isclose(lifted[..., None], [1.0, 3.0], rtol=1e-6).any(-1).all()
    assert len(cloud.points) == z.size
    assert cloud.snapped == ramp * len(profile)
    # Each side gets the values that are closer to it in log depth.
    np.testing.assert_allclose(lifted, np.where(z * z <= 3.0001, 1.0, 3.0), rtol=1e-6)


def test_sharp_steps_stay_as_they_are():
    z = np.full((20, 30), 4.0, np.float32)
    z[5:15, 8:20] = 1.0
    z[12, 25] = 2.0
    np.testing.assert_array_equal(snap_between(z), z)


def test_nothing_is_left_in_between_within_a_pixel():
    rng = np.random.default_rng(2)
    rows = np.arange(40)[:, None] + 0.5
    ground = 30 / np.clip(rows - 12, 0.4, None)
    z = np.where(rng.random((40, 50)) < 0.05, 3.0, np.broadcast_to(ground, (40, 50))).astype(np.float32)
    snapped = snap_between(z)
    near, far = extremes(z)
    edge = far > 1.1 * near
    moved = snapped != z
    assert edge.any() and moved.any()
    assert not moved[~edge].any()
    kept = edge & ~moved
    assert ((z <= 1.0193 * near) | (z * 1.0193 >= far))[kept].all()
    # A moved pixel takes a depth that exists nearby instead of making up another one.
    at_extreme = (snapped == near) | (snapped == far)
    assert np.isin(snapped, z).all()
    assert at_extreme[moved].mean() > 0.9


def test_a_slope_stays_a_slope():
    rows = np.arange(60)[:, None] + 0.5
    z = np.broadcast_to(40 / np.clip(rows - 20, 0.3, None), (60, 32)).astype(np.float32)
    snapped = snap_between(z)
    assert (np.diff(snapped[20:], axis=0) <= 0).all()
    near, far = extremes(z)
    assert ((snapped == z) | (snapped == near) | (snapped == far)).all()
    assert (snapped != z).any()


def test_neighbours_match_a_loop():
    rng = np.random.default_rng(3)
    h, w = 6, 8
    z = np.where(rng.random((h, w)) < 0.3, 2.0, 1.0 + 0.2 * rng.random((h, w)))
    mask = (rng.random((h, w)) < 0.3).astype(np.float32)
    found = grid_neighbours(z, mask, 8, 1.1)
    for v in range(h):
        for u in range(w):
            expected = []
            for dv in (-1, 0, 1):
                for du in (-1, 0, 1):
                    a, b = v + dv, u + du
                    if (dv, du) == (0, 0):
                        continue
                    same = 0 <= a < h and 0 <= b < w
                    same = same and max(z[v, u], z[a, b]) / min(z[v, u], z[a, b]) < 1.1
                    same = same and mask[v, u] == mask[a, b]
                    expected.append(a * w + b if same else v * w + u)
            assert sorted(found[v * w + u]) == sorted(expected)
    cross = np.asarray(grid_neighbours(np.ones((3, 3)), np.zeros((3, 3)), 4))[4]
    assert sorted(cross) == [1, 3, 5, 7]


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0])
def test_refuses_bad_depth(value):
    z = np.ones((8, 9))
    z[3, 4] = value
    scene, depth = make_scene(z)
    with pytest.raises(ValueError, match="1 of 72 pixels"):
        lift(scene, depth, input_camera(9, 8))


def test_refuses_other_bad_arguments():
    scene, depth = make_scene(np.ones((8, 9)))
    with pytest.raises(ValueError, match="image of scene 'test'"):
        lift(scene, depth, input_camera(8, 9))
    with pytest.raises(ValueError, match="edge_ratio"):
        lift(scene, depth, input_camera(9, 8), edge_ratio=1.0)
    with pytest.raises(ValueError, match="neighbours=0"):
        lift(scene, depth, input_camera(9, 8), neighbours=0)


def test_ground_that_meets_a_wall_is_not_an_edge():
    # Ten steep rows join a wall and gentle ground; their depth may move by one row, not to either end.
    rows = np.arange(60)[:, None] + 0.5
    z = np.broadcast_to(np.minimum(80 / np.clip(rows - 10, 0.1, None), 8.0), (60, 32)).astype(np.float32)
    snapped = snap_between(z)
    near, far = extremes(z)
    assert ((snapped >= near) & (snapped <= far)).all()
    assert (snapped != z).any()
