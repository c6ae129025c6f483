"""Hint interpolation against a float64 loop, weights of views, files, tapering."""

import dataclasses

import jax
import numpy as np
import pytest

from mom3d_jax.cameras import input_camera, relative_to
from mom3d_jax.flow import estimate_flow, hint_flow, taper
from mom3d_jax.types import Hints, Scene, Views

H, W, V = 24, 36, 4


def make_hints(n=3, seed=0):
    rng = np.random.default_rng(seed)
    start = (rng.random((n, 2)) * [W, H]).astype(np.float32)
    return Hints(start, rng.normal(size=(n, 2)).astype(np.float32), np.ones(n, bool))


def make_mask():
    mask = np.zeros((H, W), np.float32)
    mask[6:20, 4:30] = 1
    mask[10, 10] = 0.5
    return mask


def make_case(hints, flow=None):
    mask = make_mask()
    scene = Scene(np.zeros((H, W, 3), np.float32), mask, hints, None, flow, name="test")
    stack = lambda a: np.broadcast_to(a, (V, *np.shape(a))).copy()
    views = Views(
        cameras=relative_to(input_camera(W, H), stack(np.eye(3)), np.zeros((V, 3))),
        images=np.zeros((V, H, W, 3), np.float32),
        valid=np.ones((V, H, W), np.float32),
        masks=stack(mask),
        depth=np.ones((V, H, W), np.float32),
        visible=np.ones((V, H * W), bool),
        hints=jax.tree.map(stack, hints),
        coverage=np.ones(V, np.float32),
        accepted=np.ones(V, bool),
    )
    return scene, views


def dense_truth(hints, mask, sigma):
    flow = np.zeros((H, W, 2))
    for v in range(H):
        for u in range(W):
            weights = [
                np.exp(-((u + 0.5 - x) ** 2 + (v + 0.5 - y) ** 2) / sigma**2) * ok
                for (x, y), ok in zip(np.float64(hints.start), hints.valid, strict=True)
            ]
            flow[v, u] = mask[v, u] * (np.array(weights) @ np.float64(hints.motion)) / sum(weights)
    return flow


def test_matches_the_quotient_in_float64():
    hints = dataclasses.replace(make_hints(4), valid=np.array([True, False, True, True]))
    found = np.asarray(hint_flow(hints, make_mask(), 8.0))
    np.testing.assert_allclose(found, dense_truth(hints, make_mask(), 8.0), atol=2e-6)
    with jax.disable_jit():
        np.testing.assert_allclose(np.asarray(hint_flow(hints, make_mask(), 8.0)), found, atol=1e-6)


def test_one_hint_is_a_constant_field():
    hints = make_hints(1)
    found = np.asarray(hint_flow(hints, make_mask(), 0.5))
    np.testing.assert_allclose(found, make_mask()[..., None] * hints.motion[0], atol=1e-7)
    assert (found[make_mask() == 0] == 0).all()


def test_mirrored_hints_give_the_mirrored_field():
    hints = make_hints(3)
    flipped = Hints(
        np.float32([W, 0]) + hints.start * np.float32([-1, 1]), hints.motion * np.float32([-1, 1]), hints.valid
    )
    mask = make_mask()
    one, two = hint_flow(hints, mask, 6.0), hint_flow(flipped, mask[:, ::-1], 6.0)
    np.testing.assert_allclose(np.asarray(two), np.asarray(one)[:, ::-1] * np.float32([-1, 1]), atol=1e-5)


def test_far_from_all_hints_the_nearest_decides():
    hints = Hints(np.float32([[2, 2], [34, 2]]), np.float32([[1, 0], [0, 1]]), np.ones(2, bool))
    found = np.asarray(hint_flow(hints, np.ones((H, W), np.float32), 0.2))
    np.testing.assert_allclose(found[-1, 0], [1, 0], atol=1e-6)
    np.testing.assert_allclose(found[-1, -1], [0, 1], atol=1e-6)


def test_every_view_uses_its_own_hints_with_one_sigma():
    hints = make_hints(3)
    scene, views = make_case(hints)
    valid = np.ones((V, 3), bool)
    valid[1] = False
    valid[3, 0] = False
    start = np.asarray(views.hints.start) + np.arange(V, dtype=np.float32)[:, None, None]
    views = dataclasses.replace(
        views, hints=Hints(start, views.hints.motion, valid), accepted=np.array([True, True, False, True])
    )
    flows = estimate_flow(scene, views)
    np.testing.assert_array_equal(flows.weight, [1, 0, 0, 1])
    assert (np.asarray(flows.flow)[1] == 0).all()
    for view in (0, 3):
        own = Hints(start[view], hints.motion, valid[view])
        np.testing.assert_allclose(flows.flow[view], dense_truth(own, make_mask(), H / 3), atol=5e-6)


def test_a_view_without_moving_pixels_weighs_nothing():
    scene, views = make_case(make_hints(2))
    masks = views.masks.copy()
    masks[1] = 0
    valid = views.valid.copy()
    valid[3, :, :18] = 0
    flows = estimate_flow(scene, dataclasses.replace(views, masks=masks, valid=valid))
    np.testing.assert_array_equal(flows.weight, [1, 0, 1, 1])
    assert (flows.flow[3, :, :18] == 0).all() and (flows.flow[3, 6:20, 18:30] != 0).any(-1).all()


def test_carried_flow_and_file():
    rng = np.random.default_rng(5)
    file = rng.normal(size=(H, W, 2)).astype(np.float32)
    carried = rng.normal(size=(V, H, W, 2)).astype(np.float32)
    scene, views = make_case(make_hints(2), file)
    flows = estimate_flow(scene, views, carried)
    expected = carried * views.masks[..., None]
    expected[2] = file * make_mask()[..., None]
    np.testing.assert_allclose(flows.flow, expected, rtol=1e-6)
    np.testing.assert_array_equal(flows.weight, np.ones(V))


def with_files(scene, **flows):
    return dataclasses.replace(scene, view_flows={view.removeprefix("v"): flow for view, flow in flows.items()})


def test_files_of_single_views_come_first_and_the_rest_keep_their_hints():
    rng = np.random.default_rng(6)
    one, two = (rng.normal(size=(H, W, 2)).astype(np.float32) for _ in range(2))
    scene, views = make_case(make_hints(3))
    valid = np.ones((V, 3), bool)
    valid[1] = valid[3] = False
    views = dataclasses.replace(views, hints=dataclasses.replace(views.hints, valid=valid))
    hinted = estimate_flow(scene, views)
    found = estimate_flow(with_files(scene, v1=one, v2=two), views)
    np.testing.assert_array_equal(hinted.weight, [1, 0, 1, 0])
    np.testing.assert_array_equal(found.weight, [1, 1, 1, 0])
    np.testing.assert_array_equal(found.flow[0], hinted.flow[0])
    np.testing.assert_array_equal(found.flow[1], one * make_mask()[..., None])
    np.testing.assert_array_equal(found.flow[2], two * make_mask()[..., None])


def test_files_of_single_views_alone_leave_the_rest_silent():
    flow = np.ones((H, W, 2), np.float32)
    scene, views = make_case(make_hints(0))
    views = dataclasses.replace(views, accepted=np.array([True, True, False, True]))
    found = estimate_flow(with_files(scene, v0=flow, v2=flow), views)
    np.testing.assert_array_equal(found.weight, [1, 0, 0, 0])
    assert (found.flow[[1, 3]] == 0).all()
    with pytest.raises(ValueError, match="flow of view 4 is given, but there are only views 0 to 3"):
        estimate_flow(with_files(scene, v4=flow), views)


def test_files_of_single_views_beside_the_photos_flow():
    rng = np.random.default_rng(7)
    photo, own = (rng.normal(size=(H, W, 2)).astype(np.float32) for _ in range(2))
    carried = rng.normal(size=(V, H, W, 2)).astype(np.float32)
    scene, views = make_case(make_hints(2), photo)
    found = np.asarray(estimate_flow(with_files(scene, v2=own, v3=own), views, carried).flow)
    expected = np.stack([carried[0], carried[1], own, own]) * make_mask()[..., None]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_width_that_is_asked_for():
    scene, views = make_case(make_hints(3))
    found = estimate_flow(scene, views, sigma=5.0)
    np.testing.assert_allclose(found.flow[0], dense_truth(scene.hints, make_mask(), 5.0), atol=5e-6)


def test_refuses_what_cannot_work():
    scene, views = make_case(make_hints(2), np.zeros((H, W, 2), np.float32))
    with pytest.raises(ValueError, match="pass it as `carried`"):
        estimate_flow(scene, views)
    with pytest.raises(ValueError, match="carried flow is"):
        estimate_flow(scene, views, np.zeros((V, H, W + 1, 2), np.float32))
    scene, views = make_case(make_hints(0))
    with pytest.raises(ValueError, match="neither hints nor a flow file"):
        estimate_flow(scene, views)
    scene, views = make_case(make_hints(2))
    with pytest.raises(ValueError, match="sigma=0"):
        estimate_flow(scene, views, sigma=0.0)


def test_taper_only_where_the_content_continues():
    h, w = 80, 200
    mask = np.zeros((h, w), np.float32)
    mask[:, 60:140] = 1
    depth = np.full((h, w), 2.0, np.float32)
    depth[:, 140:] = 3.0
    flow = np.broadcast_to(np.float32([1, 0]), (h, w, 2)) * mask[..., None]
    weight = taper(flow, mask, depth, max_width=0.03)
    # 3 % of 200 px: a ramp of 6 px on the left, where depth continues; a sharp border on the right.
    np.testing.assert_allclose(weight[:, 60:67], np.broadcast_to(np.minimum(np.arange(1, 8) / 6, 1), (h, 7)), rtol=1e-6)
    assert (weight[:, 67:] == 1).all() and (weight[:, :60] == 1).all()
    assert (taper(flow, mask, depth, max_width=0.0) == 1).all()
    assert (taper(flow, np.ones_like(mask), depth) == 1).all()
    # A file that says what lies beyond: the content ends in the upper half and goes on in the lower one.
    beyond = np.broadcast_to(np.float32([1, 0]), (h, w, 2)).copy()
    beyond[: h // 2, :60] = 0
    known = taper(flow, mask, depth, beyond=beyond, max_width=0.03)
    np.testing.assert_array_equal(known[h // 2 + 6 :], weight[h // 2 + 6 :])
    assert (known[: h // 2 - 6] == 1).all() and (known[h // 2 :, 60] < 0.5).all()


def test_taper_keeps_the_mean_speed():
    h, w = 60, 200
    mask = np.zeros((h, w), np.float32)
    mask[20:34, 50:120] = 1
    rng = np.random.default_rng(0)
    flow = (1 + 0.2 * rng.random((h, w, 2))).astype(np.float32) * mask[..., None]
    weight = taper(flow, mask, np.ones((h, w), np.float32), max_width=0.03)
    speed = np.linalg.norm(flow, axis=-1)
    share = (speed * weight).sum() / speed.sum()
    assert 0.9 <= share < 0.92
    assert weight[27, 51] < 1
    with pytest.raises(ValueError, match="taper"):
        taper(flow, mask, np.ones((h, w), np.float32), keep=2.0)
