"""Rendered views against a ray-cast world, brute-force visibility, and hand-made holes."""

import dataclasses

import jax
import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from mom3d_jax.cameras import generation_cameras, input_camera, project, relative_to, select, unproject
from mom3d_jax.pointcloud import lift
from mom3d_jax.types import Depth, Hints, Scene
from mom3d_jax.views import carry, carry_flow, rasterize, render_views


def moved(camera, *translations):
    return relative_to(camera, np.broadcast_to(np.eye(3), (len(translations), 3, 3)), np.array(translations))


def flat(width=40, height=30, z=2.0, image=None, hints=None):
    """A wall at one depth, seen frontally."""
    camera = input_camera(width, height)
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    ramp = np.stack([u / width, v / height, 0.5 + 0 * u], -1)
    hints = hints or Hints(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), np.zeros(0, bool))
    scene = Scene(np.float32(ramp if image is None else image), np.float32(u > 20), hints, None, None)
    depth = Depth(np.full((height, width), z, np.float32), np.zeros((height, width), np.float32), np.float32(1))
    return scene, camera, lift(scene, depth, camera)


def without(cloud, keep):
    """The cloud with only the points where `keep` [H,W] is true."""
    index = np.flatnonzero(keep)
    parts = {f: getattr(cloud, f)[index] for f in ("points", "colors", "mask", "pixels")}
    return dataclasses.replace(cloud, **parts, neighbours=np.zeros((len(index), 8), np.int32))


@pytest.fixture(scope="module")
def world(worlds):
    scene, camera, depth, cloud = worlds.make(mask=np.arange(120)[:, None] + np.arange(160) > 150)
    cameras = generation_cameras(camera, depth.z)
    return scene, camera, depth, cloud, cameras, render_views(cloud, cameras, scene, camera)


def test_input_pose_is_the_photo(world):
    scene, _, _, cloud, _, views = world
    assert (views.valid[2] == 1).all()
    np.testing.assert_allclose(views.images[2], scene.image, atol=1e-6)
    np.testing.assert_array_equal(views.masks[2], scene.mask)
    np.testing.assert_allclose(views.depth[2].reshape(-1), cloud.points[:, 2], rtol=1e-6)
    assert views.visible[2].all()


def test_input_pose_is_the_photo_for_noise_and_any_depth():
    rng = np.random.default_rng(0)
    h, w = 37, 53
    camera = input_camera(w, h, (61.0, 47.0))
    z = np.exp(rng.normal(0, 1, (h, w))).astype(np.float32)
    hints = Hints(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), np.zeros(0, bool))
    scene = Scene(rng.random((h, w, 3), np.float32), rng.random((h, w), np.float32), hints, None, None)
    cloud = lift(scene, Depth(z, np.zeros((h, w), np.float32), np.float32(1)), camera)
    views = render_views(cloud, moved(camera, (0, 0, 0)), scene, camera)
    np.testing.assert_allclose(views.images[0], scene.image, atol=1e-6)
    np.testing.assert_allclose(views.masks[0], scene.mask, atol=1e-6)


def test_views_match_the_ray_cast_world(world, worlds):
    _, camera, _, _, cameras, views = world
    scores = []
    for n in range(25):
        view = jax.tree.map(np.asarray, select(cameras, n))
        z, image, surface, point = worlds.cast(view)
        # Where the photo shows the same point, and no border between surfaces is within 2 px.
        pixels, ahead = (np.asarray(a) for a in project(camera, np.float32(point)))
        inside = (pixels >= 1).all(-1) & (pixels[..., 0] <= 159) & (pixels[..., 1] <= 119) & (ahead > 0)
        first = worlds.cast(camera)[0]
        column, row = (np.clip(pixels[..., i].astype(int), 0, (159, 119)[i]) for i in (0, 1))
        known = inside & (np.abs(first[row, column] / ahead - 1) < 0.05)
        border = np.zeros_like(known)
        border[1:] |= surface[1:] != surface[:-1]
        border[:, 1:] |= surface[:, 1:] != surface[:, :-1]
        unknown_near = binary_dilation(border | ~known, np.ones((5, 5)))
        sure = known & ~unknown_near
        valid = views.valid[n] > 0
        assert valid[sure].mean() > 0.999, n
        assert not (valid & ~binary_dilation(known, np.ones((5, 5)))).any(), n
        both = sure & valid
        scores.append(worlds.psnr(views.images[n][both], image[both]))
        # The lift moves a few depths beside the card by one pixel's slope.
        assert (np.abs(views.depth[n][both] / z[both] - 1) < 2e-3).mean() > 0.999, n
    assert min(scores) > 45 and np.mean(scores) > 50, scores


def test_visible_is_the_analytic_visibility(world, worlds):
    _, _, _, cloud, cameras, views = world
    for n in range(25):
        view = jax.tree.map(np.asarray, select(cameras, n))
        pixels, z = (np.asarray(a) for a in project(view, cloud.points))
        to_border = np.minimum(pixels, np.array([160, 120]) - pixels).min(-1)
        inside = (to_border > 1e-3) & (z > 0)
        first, _, surface, _ = worlds.cast(view)
        column, row = (np.clip(pixels[:, i].astype(int), 0, (159, 119)[i]) for i in (0, 1))
        border = np.zeros(surface.shape, bool)
        border[1:] |= surface[1:] != surface[:-1]
        border[:, 1:] |= surface[:, 1:] != surface[:, :-1]
        sure = ~binary_dilation(border, np.ones((5, 5)))[row, column]
        expected = inside & (z < 1.03 * first[row, column])
        assert (views.visible[n][sure] == expected[sure]).mean() > 0.999, n
        assert not views.visible[n][to_border < -1e-3].any()


def test_magnified_foreground_has_no_gaps(worlds):
    scene, camera, _, cloud = worlds.make()
    for noise in (0.0, 0.001):
        z = cloud.points[:, 2:] * np.exp(np.random.default_rng(0).normal(0, noise, (len(cloud.points), 1)))
        jittered = dataclasses.replace(cloud, points=(cloud.points / cloud.points[:, 2:] * z).astype(np.float32))
        camera_in = moved(camera, (0.05, 0.03, -1.4), (0, 0, 0))
        views = render_views(jittered, camera_in, scene, camera)
        _, _, surface, _ = worlds.cast(jax.tree.map(np.asarray, select(camera_in, 0)))
        inner = ~binary_dilation(surface != 2, np.ones((7, 7)))
        assert inner.sum() > 500
        assert (views.valid[0][inner] == 1).all()
        assert views.depth[0][inner].max() < 1.5


def test_a_view_does_not_depend_on_the_others(world):
    scene, camera, _, cloud, cameras, views = world
    for n in (0, 7, 23):
        few = render_views(cloud, select(cameras, slice(n, n + 2)), scene, camera)
        for a, b in zip(jax.tree.leaves(few), jax.tree.leaves(views), strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b)[n : n + 2], atol=1e-6)


def test_jit_equals_eager():
    _, camera, cloud = flat(12, 9)
    cameras = moved(camera, (0.113, -0.057, 0.091))
    compiled = rasterize(cloud, cameras, camera)
    with jax.disable_jit():
        eager = rasterize(cloud, cameras, camera)
    for a, b in zip(jax.tree.leaves(compiled), jax.tree.leaves(eager), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-5)


def test_small_holes_are_filled_linearly_and_large_ones_are_not():
    scene, camera, cloud = flat()
    keep = np.ones((30, 40), bool)
    keep[10, 12:14] = False  # 2 px: closed
    keep[20:26, 25:31] = False  # 6 x 6 px: unknown
    keep[0, 5] = False  # at the rim, but bridged along its row
    keep[:2, 30:36] = False  # at the rim and open above
    views = render_views(without(cloud, keep), moved(camera, (0, 0, 0), (0.1, 0, 0)), scene, camera)
    assert views.valid[0, 10, 12:14].all() and views.valid[0, 0, 5] == 1
    np.testing.assert_allclose(views.images[0, 10, 12:14], scene.image[10, 12:14], atol=1e-6)
    assert (views.valid[0, 20:26, 25:31] == 0).all()
    assert (views.images[0, 20:26, 25:31] == 0).all() and (views.depth[0, 20:26, 25:31] == 0).all()
    assert (views.valid[0, :2, 30:36] == 0).all()
    np.testing.assert_allclose(views.coverage[0], views.valid[0].mean(), rtol=1e-6)


def test_a_gap_between_two_surfaces_stays_unknown():
    scene, camera, cloud = flat(400, 20)
    z = np.where(np.arange(400) < 200, 1.0, 3.0) * np.ones((20, 1))
    depth = Depth(z.astype(np.float32), np.zeros_like(scene.mask), np.float32(1))
    cloud = lift(scene, depth, camera)
    # The near half moves 4 px to the left, the far half 4/3 px: a gap of 8/3 px; at 16 / 400 of that it is a crack.
    views = render_views(cloud, moved(camera, (-0.02, 0, 0), (-0.01, 0, 0), (0.01, 0, 0)), scene, camera)
    middle = views.valid[:, 10]
    assert (middle[0, 100:300] == 0).sum() in (5, 6)
    assert (middle[1, 100:300] == 0).sum() == 3
    assert (middle[2, 100:300] == 1).all()


def test_hints_keep_their_place_and_depth_at_the_start(worlds):
    # Hint 2 starts on the card and ends on the wall; hint 3 is not valid in the photo.
    start = np.array([[75.0, 57.0], [130.2, 40.7], [100.0, 60.0], [150.0, 110.0], [30.0, 50.0]])
    motion = np.array([[1.5, 0.5], [-1.0, 0.25], [6.0, 0.0], [0.5, 0.5], [1.0, 0.0]])
    scene, camera, depth, cloud = worlds.make(hints=(start, motion))
    assert depth.z[60, 100] < 3 < depth.z[60, 106]
    hints = dataclasses.replace(scene.hints, valid=np.array([True, True, True, False, True]))
    scene = dataclasses.replace(scene, hints=hints)
    cameras = moved(camera, (0, 0, 0), (0.2, 0.1, -0.1))
    views = render_views(cloud, cameras, scene, camera)
    assert views.hints.valid.tolist() == [[True, True, True, False, True]] * 2
    for n in (0, 1):
        t = np.asarray(cameras.translation)[n]
        for k in (0, 1, 2, 4):
            z = depth.z[int(start[k, 1]), int(start[k, 0])]
            ends = []
            for p in (start[k], start[k] + motion[k]):
                x = np.array([(p[0] - 80) / 160 * z, (p[1] - 60) / 160 * z, z]) + t
                ends.append(160 * x[:2] / x[2] + [80, 60])
            np.testing.assert_allclose(views.hints.start[n, k], ends[0], atol=1e-3)
            np.testing.assert_allclose(views.hints.motion[n, k], ends[1] - ends[0], atol=1e-3)


def test_hints_behind_the_card_or_outside_are_dropped(worlds):
    # With the camera 0.3 to the left the card moves right by 19 px and hides the wall's points that move by 6 px.
    start = np.array([[110.0, 57.0], [4.0, 50.0], [75.0, 57.0]])
    scene, camera, _, cloud = worlds.make(hints=(start, np.ones((3, 2))))
    views = render_views(cloud, moved(camera, (0.3, 0, 0), (-0.3, 0, 0)), scene, camera)
    assert views.hints.valid.tolist() == [[False, True, True], [True, False, True]]
    assert (views.hints.start[0, 0] == 0).all() and (views.hints.motion[0, 0] == 0).all()


def test_carry_and_carry_flow_match_the_projection():
    _, camera, cloud = flat(z=3.0)
    rng = np.random.default_rng(1)
    coefficients = rng.normal(size=(3, 2)) * [[0.01], [0.01], [0.5]]
    u, v = np.meshgrid(np.arange(40) + 0.5, np.arange(30) + 0.5)
    field = lambda a, b: np.stack([a, b, 1 + 0 * a], -1) @ coefficients
    turn = np.array([[np.cos(0.1), 0, -np.sin(0.1)], [0, 1, 0], [np.sin(0.1), 0, np.cos(0.1)]])
    cameras = relative_to(camera, np.stack([np.eye(3), turn]), np.array([[0, 0, 0], [0.1, 0.05, -0.2]]))
    raster = rasterize(cloud, cameras, camera)
    nearer = lambda a: 0.002 * a - 0.01
    flow = np.asarray(carry_flow(raster, np.float32(field(u, v)), np.float32(nearer(u))))
    plain, depth = carry(raster, np.float32(np.stack([u, v], -1)))
    np.testing.assert_allclose(flow[0], field(u, v), atol=3e-5)
    inner = np.asarray(depth[1] > 0)
    source = np.asarray(plain[1])
    ends = []
    for p, change in ((source, 0), (source + field(source[..., 0], source[..., 1]), nearer(source[..., 0]))):
        z = np.broadcast_to(1 / (1 / 3.0 + change), p.shape[:2])
        world_point = unproject(camera, np.float32(p), np.float32(z))
        ends.append(np.asarray(project(jax.tree.map(np.asarray, select(cameras, 1)), world_point)[0]))
    sure = inner & (source[..., 0] > 1) & (source[..., 0] < 39) & (source[..., 1] > 1) & (source[..., 1] < 29)
    assert sure.sum() > 500
    np.testing.assert_allclose(ends[0][sure], np.stack([u, v], -1)[sure], atol=1e-3)
    np.testing.assert_allclose(flow[1][sure], (ends[1] - ends[0])[sure], atol=1e-3)
    assert (flow[1][~inner] == 0).all()


def test_views_with_little_coverage_are_not_accepted():
    scene, camera, cloud = flat()
    views = render_views(cloud, moved(camera, (1.1, 0, 0), (1.3, 0, 0)), scene, camera, min_coverage=0.4)
    assert views.accepted.tolist() == [True, False]
    np.testing.assert_allclose(views.coverage, [0.45, 0.35], atol=0.01)
    # Far to the side, and behind the wall.
    views = render_views(cloud, moved(camera, (50.0, 0, 0), (0, 0, -5.0)), scene, camera)
    assert not views.accepted.any() and (views.coverage == 0).all()
    assert not views.visible.any() and (views.images == 0).all()


def test_an_empty_cloud_and_bad_arguments():
    scene, camera, cloud = flat()
    empty = without(cloud, np.zeros((30, 40), bool))
    views = render_views(empty, moved(camera, (0, 0, 0), (1, 0, 0)), scene, camera)
    assert (views.coverage == 0).all() and views.visible.shape == (2, 0)
    with pytest.raises(ValueError, match="batch of cameras"):
        render_views(cloud, camera, scene, camera)
    with pytest.raises(ValueError, match="min_coverage"):
        render_views(cloud, moved(camera, (0, 0, 0)), scene, camera, min_coverage=2.0)
    broken = dataclasses.replace(cloud, points=np.where(np.arange(1200)[:, None] == 7, np.nan, cloud.points))
    with pytest.raises(ValueError, match="1 of 1200 points"):
        render_views(broken, moved(camera, (0, 0, 0)), scene, camera)
