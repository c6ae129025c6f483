"""Clouds of others against scenes whose depth, scale and visibility are known."""

import numpy as np
import pytest

from mom3d_jax.cameras import input_camera, pixel_grid, relative_to, unproject
from mom3d_jax.pointcloud import beyond_the_photo, lift_new, marked, scale_of
from mom3d_jax.pointcloud.wider import continued, z_buffer

CAMERA = input_camera(32, 24)
NEAR, FAR = 2.0, 6.0


def wall(camera, z, scale=1.0):
    """Points behind every pixel of a camera at one depth."""
    grid = pixel_grid(camera.width, camera.height).reshape(-1, 2)
    return scale * np.asarray(unproject(camera, grid, np.full(len(grid), z, np.float32)))


def moved(*translation):
    return relative_to(CAMERA, np.eye(3, dtype=np.float32)[None], np.float32([translation]))


def one(cameras):
    import jax

    return jax.tree.map(lambda a: a[0], cameras)


def test_scale_of_a_cloud_in_another_unit():
    z = np.full((24, 32), FAR, np.float32)
    z[:, :10] = NEAR
    grid = pixel_grid(32, 24).reshape(-1, 2)
    points = 0.25 * np.asarray(unproject(CAMERA, grid, z.reshape(-1)))
    scale, spread = scale_of(points, z, CAMERA)
    assert scale == pytest.approx(4.0, rel=1e-5)
    assert spread < 1e-5
    # A fifth of the pixels at half their depth change neither.
    points[::5] *= 0.5
    scale, _ = scale_of(points, z, CAMERA)
    assert scale == pytest.approx(4.0, rel=1e-5)


def test_a_cloud_in_other_axes_has_no_scale():
    points = wall(CAMERA, FAR) * [1, -1, -1]
    with pytest.raises(ValueError, match=r"cover 0\.0% of the photo: the world has to be the photo's camera"):
        scale_of(points, np.full((24, 32), FAR), CAMERA)


def test_what_the_photo_does_not_show():
    z = np.full((24, 32), FAR, np.float32)
    outside = wall(one(moved(-10.0, 0, 0)), FAR)
    behind, same, front = wall(CAMERA, 1.5 * FAR), wall(CAMERA, 1.05 * FAR), wall(CAMERA, NEAR)
    back = -wall(CAMERA, FAR)
    new, hiding = beyond_the_photo(np.concatenate([outside, behind, same, front, back]), z, CAMERA)
    parts = new.reshape(5, -1).all(1).tolist(), new.reshape(5, -1).any(1).tolist()
    assert parts[1] == [True, True, False, False, True]
    assert parts[0][1] and parts[0][4]
    assert hiding == 24 * 32


def test_points_hidden_in_a_view_are_not_marked_by_it():
    near, far = wall(CAMERA, NEAR), wall(CAMERA, FAR)
    mask = np.zeros((1, 24, 32), np.float32)
    mask[:, :, 16:] = 1
    moves, seen = marked(np.concatenate([near, far]), moved(0, 0, 0), mask)
    assert seen.reshape(2, -1).all(1).tolist() == [True, False]
    assert not seen.reshape(2, -1)[1].any()
    np.testing.assert_array_equal(moves[: 24 * 32].reshape(24, 32), mask[0] > 0)
    assert not moves[24 * 32 :].any()


def test_gaps_continue_the_farther_side_of_the_shorter_way():
    z = np.full((5, 9), np.nan)
    z[:, :2], z[:, 6:] = NEAR, FAR
    np.testing.assert_array_equal(continued(z)[:, 2:6], np.full((5, 4), FAR))
    z = np.full((9, 5), np.nan)
    z[:2] = NEAR  # nothing below
    np.testing.assert_array_equal(continued(z), np.full((9, 5), NEAR))
    assert continued(np.array([[np.nan, NEAR], [np.nan, np.nan]]))[1, 0] == pytest.approx(NEAR)


def test_images_of_other_cameras_add_what_the_photo_does_not_show():
    # The photo shows a wall; a camera 1 to the right sees more of it.
    camera = moved(-1.0, 0, 0)
    uncovered = ~np.isfinite(z_buffer(wall(CAMERA, FAR), one(camera)))
    assert 0 < uncovered.sum() < 24 * 32 // 2
    image = np.random.default_rng(0).random((1, 24, 32, 3), np.float32)
    points, colors = lift_new(wall(CAMERA, FAR), camera, image)
    truth = wall(one(camera), FAR).reshape(24, 32, 3)[uncovered]
    np.testing.assert_allclose(points, truth, atol=1e-4)
    np.testing.assert_array_equal(colors, image[0][uncovered])
    # The same again adds nothing.
    again, _ = lift_new(np.concatenate([wall(CAMERA, FAR), points]), camera, image)
    assert len(again) == 0
