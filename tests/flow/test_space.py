"""Arrows in space against the exact flow of a moving plane, a float64 loop, and each other."""

import dataclasses

import jax
import numpy as np
import pytest

from mom3d_jax.cameras import input_camera, relative_to, select
from mom3d_jax.flow import choose_interpolation, cross_validate, estimate_flow, hint_flow, lift_hints, space_flow
from mom3d_jax.flow.space import Velocities, spread_velocities
from mom3d_jax.types import Hints, Layout, Scene, Views

W, H = 64, 48
CAMERA = input_camera(W, H)
HEIGHT = 0.3  # of the camera over the water
VELOCITY = np.array([0.004, 0.0, -0.012])
ONE = np.ones((H, W), np.float32)


def water():
    """A plane at y = HEIGHT below the horizon: depth [H,W] (0 above), and its exact flow under VELOCITY."""
    rows = np.arange(H) + 0.5 - H / 2
    below = np.arange(H) >= H / 2 + 3
    z = np.where(below, HEIGHT * W / np.where(below, rows, 1), 0)
    depth = np.broadcast_to(z[:, None], (H, W)).astype(np.float32)
    x, y = np.meshgrid(np.arange(W) + 0.5 - W / 2, rows)
    points = np.stack([x * depth / W, y * depth / W, depth], -1) + VELOCITY
    ahead = np.where(depth > 0, points[..., 2], 1)
    flow = np.stack([points[..., 0] / ahead * W - x, points[..., 1] / ahead * W - y], -1)
    return depth, np.where((depth > 0)[..., None], flow, 0)


def arrows_at(places, flow):
    start = np.float32(places) + 0.5
    motion = np.stack([flow[y, x] for x, y in places]).astype(np.float32)
    return Hints(start, motion, np.ones(len(places), bool))


def test_one_arrow_moves_the_whole_plane_as_it_truly_moves():
    depth, flow = water()
    hints = arrows_at([(20, 40)], flow)
    found = np.asarray(space_flow(lift_hints(hints, ONE, depth, CAMERA), ONE, depth, CAMERA, 10.0))
    np.testing.assert_allclose(found, flow, atol=0.02 * np.abs(flow).max())
    assert (found[depth == 0] == 0).all()
    # The image's plane knows nothing of it: there the far water is as fast as the near water.
    across = np.asarray(hint_flow(hints, ONE, 10.0))
    assert np.abs(across - flow)[depth > 0].mean() > 10 * np.abs(found - flow)[depth > 0].mean()


def test_a_view_beside_the_photo_sees_the_same_plane_move():
    depth, flow = water()
    arrows = lift_hints(arrows_at([(20, 40), (50, 33)], flow), ONE, depth, CAMERA)
    beside = select(relative_to(CAMERA, np.eye(3)[None], np.float64([[-0.2, 0, 0]])), 0)
    # An endless plane looks the same from there, and it moves evenly.
    found = np.asarray(space_flow(arrows, ONE, depth, beside, 10.0))
    np.testing.assert_allclose(found, flow, atol=0.02 * np.abs(flow).max())


def test_spread_is_the_softmax_mean_in_float64():
    rng = np.random.default_rng(0)
    points, position = (rng.normal(size=(n, 3)) + np.array([0, 0, 4]) for n in (7, 4))
    velocity, valid = rng.normal(size=(4, 3)), np.array([True, True, False, True])
    expected = np.zeros((7, 3))
    for i, p in enumerate(points):
        share = (
            np.array([np.exp(-(80.0**2) * ((p - q) ** 2).sum() / (p[2] * q[2]) / 60.0**2) for q in position]) * valid
        )
        expected[i] = share @ velocity / share.sum()
    arrows = Velocities(*(a.astype(np.float32) for a in (position, velocity)), valid)
    found = spread_velocities(arrows, points.astype(np.float32), 80.0, 60.0)
    np.testing.assert_allclose(np.asarray(found), expected, atol=2e-5)
    with jax.disable_jit():
        eager = spread_velocities(arrows, points.astype(np.float32), 80.0, 60.0)
    np.testing.assert_allclose(np.asarray(eager), np.asarray(found), atol=1e-6)
    # The unit of length does not matter.
    scaled = arrows._replace(position=2 * arrows.position, velocity=2 * arrows.velocity)
    np.testing.assert_allclose(
        np.asarray(spread_velocities(scaled, 2 * points.astype(np.float32), 80.0, 60.0)),
        2 * np.asarray(found),
        rtol=1e-4,
    )


def test_an_arrow_across_an_edge_or_out_of_the_mask_keeps_its_depth():
    depth, _ = water()
    hints = Hints(np.float32([[32, 40]]), np.float32([[0, 1.5]]), np.ones(1, bool))
    rising = np.asarray(lift_hints(hints, ONE, depth, CAMERA).velocity)
    assert rising[0, 2] < -0.01
    cut = depth.copy()
    cut[41:] = 4 * depth[41:]
    stopped = ONE.copy()
    stopped[41:] = 0
    for kept in (lift_hints(hints, ONE, cut, CAMERA), lift_hints(hints, stopped, depth, CAMERA)):
        np.testing.assert_allclose(np.asarray(kept.velocity)[0, 2], 0, atol=1e-6)
    unknown = depth.copy()
    unknown[36:44] = 0
    assert not np.asarray(lift_hints(hints, ONE, unknown, CAMERA).valid).any()


def test_arrows_tell_a_plane_from_a_wrong_depth():
    depth, flow = water()
    places = [(20, 44), (50, 34), (30, 30)]
    hints = arrows_at(places, flow)
    right = cross_validate(hints, lift_hints(hints, ONE, depth, CAMERA), CAMERA, 16.0)
    assert right["space"] < 0.2 * right["image"] and choose_interpolation(right) == "space"
    # A wall that slides to the right, taken for the plane.
    wall = dataclasses.replace(hints, motion=np.float32([[0.8, 0]] * 3))
    wrong = cross_validate(wall, lift_hints(wall, ONE, depth, CAMERA), CAMERA, 16.0)
    assert wrong["image"] < 1e-6 < wrong["space"] and choose_interpolation(wrong) == "image"


@pytest.mark.parametrize("valid", [[True], [True, False]])
def test_a_single_arrow_says_nothing_of_the_others(valid):
    depth, flow = water()
    hints = dataclasses.replace(arrows_at([(20, 40), (50, 34)][: len(valid)], flow), valid=np.array(valid))
    errors = cross_validate(hints, lift_hints(hints, ONE, depth, CAMERA), CAMERA, 16.0)
    assert errors == {"image": None, "space": None} and choose_interpolation(errors) == "space"


def test_views_without_a_visible_arrow_share_the_photo_s():
    depth, flow = water()
    hints = arrows_at([(20, 40), (50, 33)], flow)
    scene = Scene(np.zeros((H, W, 3), np.float32), ONE, hints, None, None, Layout(), name="test")
    stack = lambda a: np.broadcast_to(a, (3, *np.shape(a))).copy()
    views = Views(
        cameras=relative_to(CAMERA, stack(np.eye(3)), np.zeros((3, 3))),
        images=np.zeros((3, H, W, 3), np.float32),
        valid=stack((depth > 0).astype(np.float32)),
        masks=stack(ONE),
        depth=stack(depth),
        visible=np.ones((3, H * W), bool),
        hints=jax.tree.map(stack, dataclasses.replace(hints, valid=np.zeros(2, bool))),
        coverage=np.ones(3, np.float32),
        accepted=np.array([True, True, False]),
    )
    arrows = lift_hints(hints, ONE, depth, CAMERA)
    flows = estimate_flow(scene, views, sigma=10.0, arrows=arrows)
    np.testing.assert_array_equal(flows.weight, [1, 1, 0])
    alone = space_flow(arrows, np.float32(depth > 0), depth, CAMERA, 10.0)
    for k in range(3):
        np.testing.assert_allclose(flows.flow[k], np.asarray(alone), atol=3e-5)  # differences of px in float32
    np.testing.assert_array_equal(estimate_flow(scene, views, sigma=10.0).weight, [0, 0, 0])
