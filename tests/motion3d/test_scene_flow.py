import jax.numpy as jnp
import numpy as np
import pytest

from mom3d_jax.cameras import input_camera, pixel_grid, project, unproject
from mom3d_jax.motion3d import displacements, query
from mom3d_jax.types import SceneFlow

W, H = 24, 16
CAMERA = input_camera(W, H)


def scene(motion, mask=None, depth=None):
    z = np.full((H, W), 2.0, np.float32) if depth is None else depth.astype(np.float32)
    points = np.asarray(unproject(CAMERA, pixel_grid(W, H).reshape(-1, 2), z.reshape(-1)))
    mask = np.ones(H * W, np.float32) if mask is None else mask.reshape(-1).astype(np.float32)
    motion = np.broadcast_to(np.asarray(motion, np.float32), points.shape) * mask[:, None]
    pixels = np.arange(H * W, dtype=np.int32)
    return SceneFlow(points=points, motion=motion.astype(np.float32), mask=mask, pixels=pixels, camera=CAMERA)


def test_on_the_points_it_is_their_motion():
    rng = np.random.default_rng(0)
    flow = scene(rng.normal(size=(H * W, 3)))
    np.testing.assert_allclose(query(flow, flow.points), flow.motion, atol=2e-5)


def test_points_may_come_in_any_order_and_number():
    rng = np.random.default_rng(0)
    flow = scene(rng.normal(size=(H * W, 3)))
    keep = rng.permutation(H * W)[: H * W // 2]
    part = SceneFlow(
        points=flow.points[keep],
        motion=flow.motion[keep],
        mask=flow.mask[keep],
        pixels=flow.pixels[keep],
        camera=CAMERA,
    )
    np.testing.assert_allclose(query(part, part.points), part.motion, atol=2e-4)


def test_between_the_points_it_is_bilinear():
    column = np.arange(H * W) % W
    row = np.arange(H * W) // W
    flow = scene(np.stack([0.1 * column, 0.2 * row, 0 * row], -1))
    rng = np.random.default_rng(1)
    p = rng.uniform([0.5, 0.5], [W - 0.5, H - 0.5], size=(50, 2)).astype(np.float32)
    found = query(flow, unproject(CAMERA, p, np.full(50, 2.0, np.float32)))
    np.testing.assert_allclose(found[:, 0], 0.1 * (p[:, 0] - 0.5), atol=1e-4)
    np.testing.assert_allclose(found[:, 1], 0.2 * (p[:, 1] - 0.5), atol=1e-4)


def test_still_off_the_mask_other_depths_and_behind():
    mask = np.zeros((H, W))
    mask[:, :10] = 1
    flow = scene([1.0, 0, 0], mask)
    at = lambda x, z: unproject(CAMERA, np.array([[x, 8.0]], np.float32), np.array([z], np.float32))
    assert float(query(flow, at(5.0, 2.0))[0, 0]) == pytest.approx(1)
    # The last moving cell keeps its full motion up to its outer neighbour's centre: sharp borders stay sharp.
    assert float(query(flow, at(10.2, 2.0))[0, 0]) == pytest.approx(1)
    assert float(query(flow, at(10.6, 2.0))[0, 0]) == 0
    assert float(query(flow, at(5.0, 4.0))[0, 0]) == 0
    assert float(query(flow, at(5.0, 1.0))[0, 0]) == 0
    assert float(query(flow, -at(5.0, 2.0))[0, 0]) == 0
    assert np.isfinite(query(flow, jnp.array([[0.0, 0, 0], [np.nan, 0, 1], [np.inf, 0, 1]], jnp.float32))).all()


def test_a_constant_field_is_a_straight_line_out_of_the_frame():
    step = np.array([0.06, 0, 0], np.float32)
    flow = scene(step)
    table = displacements(flow, flow.points, frames=60)
    for k in (0, 1, 17, 60):
        np.testing.assert_allclose(table.forward[k], np.broadcast_to(k * step, (H * W, 3)), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(table.backward[k], np.broadcast_to(-k * step, (H * W, 3)), rtol=1e-4, atol=1e-6)
    pixels, _ = project(CAMERA, flow.points + table.forward[60])
    assert float(pixels[:, 0].min()) > W


def test_a_vortex_closes():
    pixels = pixel_grid(W, H).reshape(-1, 2) - np.array([W / 2, H / 2])
    omega = 2 * np.pi / 400
    flow = scene(np.stack([-pixels[:, 1], pixels[:, 0], 0 * pixels[:, 0]], -1) * omega * 2.0 / W)
    start = unproject(CAMERA, np.array([[W / 2 + 3, H / 2]], np.float32), np.array([2.0], np.float32))
    table = displacements(flow, start, frames=400)
    # Euler spirals out by (1 + ω²)^(k/2): 1.6 % in radius over one turn of 400 steps would be 3.1e-2 · r.
    assert float(jnp.linalg.norm(table.forward[400])) < 0.07 * 3 * 2 / W
    assert float(jnp.linalg.norm(table.forward[200])) == pytest.approx(2 * 3 * 2 / W, rel=0.05)


def test_content_stops_at_the_border_of_the_mask():
    mask = np.zeros((H, W))
    mask[:, :12] = 1
    flow = scene([0.05, 0, 0], mask)
    table = displacements(flow, flow.points[8 * W + 5][None], frames=60)
    pixels, _ = project(CAMERA, flow.points[8 * W + 5][None] + table.forward[:, 0])
    assert 12 <= float(pixels[-1, 0]) < 14
    assert (np.diff(np.asarray(pixels[:, 0])) >= -1e-4).all()


def test_the_gate_follows_a_slanted_surface():
    """Water flowing towards the camera over a plane whose depth falls by far more than the gate."""
    rows = np.arange(H) + 0.5
    depth = np.repeat((H / rows)[:, None], W, 1)
    flow = scene(np.stack([0 * depth, 0.4 * depth / W, 0 * depth], -1).reshape(-1, 3), depth=depth)
    start = 3 * W + 12
    table = displacements(flow, flow.points[start][None], frames=25)
    pixels, _ = project(CAMERA, flow.points[start][None] + table.forward[:, 0])
    # 0.4 px per frame, although the content stays at the depth it started from.
    np.testing.assert_allclose(pixels[:, 1], 3.5 + 0.4 * np.arange(26), atol=0.02)
    assert depth[3, 0] / depth[13, 0] > 3


def test_the_table_shows_the_motion_of_the_query_and_no_points_is_fine():
    rng = np.random.default_rng(2)
    flow = scene(0.02 * rng.normal(size=(H * W, 3)))
    table = displacements(flow, flow.points[:20], frames=5)
    x = jnp.asarray(flow.points[:20])
    for _ in range(5):
        x = x + query(flow, x)
    np.testing.assert_allclose(
        project(CAMERA, flow.points[:20] + table.forward[5])[0], project(CAMERA, x)[0], atol=1e-3
    )
    assert displacements(flow, flow.points[:0], frames=5).forward.shape == (6, 0, 3)
    assert query(scene([1.0, 0, 0], np.zeros((H, W))), flow.points).sum() == 0


@pytest.mark.parametrize("share", [1.0, 1.1])
def test_motion_along_the_ray_does_not_add_up(share):
    """A drift of 1 % of the depth per frame would be 49 % after 40; content keeps its share of the surface's depth."""
    depth = np.repeat(np.linspace(2, 3, W)[None], H, 0)
    drift = np.asarray(scene([0, 0, 0], depth=depth).points) * 0.01 + np.array([0.03, 0, 0])
    flow = scene(drift, depth=depth)
    start = share * flow.points[5 * W + 2][None]
    table = displacements(flow, start, frames=40)
    for path in (table.forward, table.backward):
        pixels, z = project(CAMERA, start + path[:, 0])
        surface = np.interp(pixels[:, 0], np.arange(W) + 0.5, depth[0])
        np.testing.assert_allclose(z / surface, share, rtol=0.015)


def test_linear_displacements_keep_the_velocity_of_the_start():
    rng = np.random.default_rng(3)
    flow = scene(0.02 * rng.normal(size=(H * W, 3)))
    x = flow.points[:20]
    table = displacements(flow, x, frames=4, integration="linear", flow_scale=2.0)
    velocity = np.asarray(query(flow, jnp.asarray(x)))
    for k in range(5):
        np.testing.assert_allclose(table.forward[k], 2 * k * velocity, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(table.backward[k], -2 * k * velocity, rtol=1e-5, atol=1e-7)


def test_a_flow_scale_of_zero_moves_nothing_and_of_two_goes_twice_as_fast():
    flow = scene([0.06, 0, 0])
    assert not np.any(displacements(flow, flow.points, frames=3, flow_scale=0.0).forward)
    twice = displacements(flow, flow.points, frames=3, flow_scale=2.0)
    np.testing.assert_allclose(twice.forward[3], displacements(flow, flow.points, frames=6).forward[6], atol=1e-5)


@pytest.mark.parametrize("wrong", [{"integration": "leapfrog"}, {"flow_scale": float("nan")}])
def test_unknown_integrations_and_scales_are_refused(wrong):
    flow = scene([0.06, 0, 0])
    with pytest.raises(ValueError, match=r"leapfrog|flow_scale=nan"):
        displacements(flow, flow.points, frames=3, **wrong)


def test_spread_of_a_uniform_stretch_is_its_determinant():
    """u = a (x - cx): after k Euler steps of one frame, lengths along x have grown by (1 + a)^k."""
    a, z = 0.02, 2.0
    pixels = pixel_grid(W, H).reshape(-1, 2)
    motion = np.stack([a * (pixels[:, 0] - W / 2), 0 * pixels[:, 0], 0 * pixels[:, 0]], -1) * z / CAMERA.focal[0]
    flow = scene(motion)
    inner = np.flatnonzero((np.abs(pixels - [W / 2, H / 2]) < [5, 5]).all(-1))
    table = displacements(flow, flow.points[inner], frames=20)
    expected = np.broadcast_to(((1 + a) ** np.arange(21))[:, None], (21, len(inner)))
    np.testing.assert_allclose(table.forward_spread, expected, rtol=2e-3)
    expected = np.broadcast_to(((1 - a) ** np.arange(21))[:, None], (21, len(inner)))
    np.testing.assert_allclose(table.backward_spread, expected, rtol=2e-3)


@pytest.mark.parametrize("integration", ["euler", "linear"])
def test_content_beside_a_border_is_whole(integration):
    mask = np.zeros((H, W))
    mask[4:12, 4:14] = 1
    mask[2, 18] = 1  # one lone pixel
    flow = scene([0.02, 0.01, 0], mask)
    moving = np.flatnonzero(mask.ravel())
    table = displacements(flow, flow.points[moving], frames=4, integration=integration)
    np.testing.assert_allclose(table.forward_spread[:2], 1, atol=1e-3)
    np.testing.assert_allclose(table.forward_spread[0], 1, atol=1e-3)
