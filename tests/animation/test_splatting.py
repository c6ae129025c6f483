import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mom3d_jax.animation.splatting import NEARER, SOLID, Layer, Sources, fill_holes, over, splat
from mom3d_jax.animation.trajectories import advect, sample, spread

H, W = 9, 12


def test_splat_matches_a_loop():
    rng = np.random.default_rng(0)
    still = rng.random((H, W, 3)).astype(np.float32)
    log_depth = rng.uniform(0, 0.2, (H, W)).astype(np.float32)
    rests = rng.random((H, W)) < 0.3
    m = 40
    position = rng.uniform([-1, -1], [W + 1, H + 1], size=(m, 2)).astype(np.float32)
    color = rng.random((m, 3)).astype(np.float32)
    depth = rng.uniform(0, 0.2, m).astype(np.float32)
    alive = rng.random(m) < 0.8
    layer = splat(Sources(position, color, depth, alive, np.ones(m, np.float32)), still, log_depth, rests)

    share, weight, total = (np.zeros((H, W)), np.zeros((H, W)), np.zeros((H, W, 3)))
    moving = np.zeros((H, W))
    for i in np.flatnonzero(alive):
        for row in range(H):
            for column in range(W):
                x, y = position[i]
                b = max(0.0, 1 - abs(x - column - 0.5)) * max(0.0, 1 - abs(y - row - 0.5))
                moving[row, column] += b
                weight[row, column] += b * np.exp(-NEARER * depth[i])
                total[row, column] += b * np.exp(-NEARER * depth[i]) * color[i]
    at_rest = np.where(rests, np.exp(-NEARER * log_depth), 0)
    share = moving + rests
    weight, total = weight + at_rest, total + at_rest[..., None] * still
    clear = share > 0.2
    np.testing.assert_allclose(layer.color[clear], (total[clear] / weight[clear][:, None]), atol=5e-3)
    np.testing.assert_array_equal(layer.touched, moving > 0)
    pad = np.pad(moving, 1)
    around = sum(pad[i : i + H, j : j + W] for i in range(3) for j in range(3)) / 9
    cover = np.minimum((np.maximum(moving, around) + rests) / SOLID, 1)
    np.testing.assert_allclose(layer.cover, cover, atol=1e-5)


@pytest.mark.parametrize("depth", [1e-3, 1.0, 1e6])
def test_softmax_survives_any_depth(depth):
    still = np.full((H, W, 3), 0.5, np.float32)
    log_depth = np.log(np.linspace(depth, 100 * depth, H * W)).reshape(H, W).astype(np.float32)
    none = Sources(
        np.zeros((0, 2), np.float32),
        np.zeros((0, 3), np.float32),
        np.zeros(0, np.float32),
        np.zeros(0, bool),
        np.zeros(0, np.float32),
    )
    layer = splat(none, still, log_depth, np.ones((H, W), bool))
    np.testing.assert_allclose(layer.color, still, atol=1e-6)


def test_over_is_the_front_where_it_covers():
    full, none = jnp.ones((H, W)), jnp.zeros((H, W))
    no = jnp.zeros((H, W), bool)
    red = Layer(jnp.full((H, W, 3), 0.9), full, full, no)
    blue = Layer(jnp.full((H, W, 3), 0.1), full, full, no)
    np.testing.assert_allclose(over(red, blue).color, 0.9, rtol=1e-6)
    np.testing.assert_allclose(over(red._replace(cover=none), blue).color, 0.1, rtol=1e-6)
    np.testing.assert_allclose(over(red._replace(cover=full / 4), blue).color, 0.25 * 0.9 + 0.75 * 0.1, rtol=1e-6)
    assert float(over(red._replace(cover=none), blue._replace(cover=none)).cover.max()) == 0


def test_torn_content_leaves_its_place_to_what_lies_behind():
    full, none, no = jnp.ones((H, W)), jnp.zeros((H, W)), jnp.zeros((H, W), bool)
    red = Layer(jnp.full((H, W, 3), 0.9), full, full / 4, no)
    blue = Layer(jnp.full((H, W, 3), 0.1), full, full, no)
    np.testing.assert_allclose(over(red, blue).color, 0.25 * 0.9 + 0.75 * 0.1, rtol=1e-6)
    alone = over(red, blue._replace(cover=none))
    np.testing.assert_allclose(alone.color, 0.9, rtol=1e-6)
    np.testing.assert_allclose(alone.cover, 1, rtol=1e-6)


def test_spread_is_the_determinant_of_the_motion():
    rng = np.random.default_rng(0)
    J = np.array([[1.5, 0.2], [-0.3, 0.8]])
    rows, columns = np.mgrid[2:7, 3:9]
    sources = rng.permutation((rows * W + columns).ravel())
    start = np.stack([sources % W, sources // W], -1) + 0.5
    area = spread((start @ J.T).astype(np.float32), sources.astype(np.int32), W, H)
    np.testing.assert_allclose(area, np.linalg.det(J), rtol=1e-5)


def test_spread_beside_a_border_and_alone_is_one():
    # Two columns go 3 px to the right, a lone pixel 2 px down; their neighbours stay and are no sources.
    sources = np.array([2 * W + 2, 2 * W + 3, 3 * W + 2, 3 * W + 3, 6 * W + 8, -1], np.int32)
    start = np.stack([sources % W, sources // W], -1) + 0.5
    moved = start + np.array([[3, 0]] * 4 + [[0, 2], [0, 0]])
    np.testing.assert_allclose(spread(moved.astype(np.float32), sources, W, H), 1, rtol=1e-6)


def test_push_pull_keeps_what_is_known_and_extends_constants():
    rng = np.random.default_rng(0)
    color = rng.random((H, W, 3)).astype(np.float32)
    known = rng.random((H, W)) < 0.3
    filled = np.asarray(jax.jit(fill_holes)(color, known.astype(np.float32)))
    np.testing.assert_allclose(filled[known], color[known], atol=1e-6)
    assert filled.min() >= color[known].min() - 1e-5
    assert filled.max() <= color[known].max() + 1e-5
    constant = np.where(known[..., None], np.full(3, 0.3), 7).astype(np.float32)
    np.testing.assert_allclose(fill_holes(jnp.asarray(constant), jnp.asarray(known, jnp.float32)), 0.3, atol=1e-5)
    assert np.isfinite(fill_holes(jnp.asarray(color), jnp.zeros((H, W)))).all()


def test_look_up_is_bilinear_and_clamped():
    image = np.arange(H * W, dtype=np.float32).reshape(H, W, 1)
    p = np.array([[0.5, 0.5], [3.25, 4.75], [-5, 0.5], [W + 9, H + 9]], np.float32)
    np.testing.assert_allclose(sample(image, p)[:, 0], [0, 2.75 + 4.25 * W, 0, H * W - 1], atol=1e-4)


def test_paths_follow_the_flow_and_end_outside():
    flow = np.zeros((H, W, 2), np.float32)
    flow[..., 0] = 1.5
    ground = np.ones((H, W), bool)
    path = advect(flow, np.array([[2.0, 4.0]], np.float32), ground, 8)
    np.testing.assert_allclose(path.position[:, 0, 0], 2 + 1.5 * np.arange(9), rtol=1e-6)
    np.testing.assert_array_equal(path.alive[:, 0], 2 + 1.5 * np.arange(9) < W)
    ground[:, 6] = False
    over_a_gap = advect(flow, np.array([[2.0, 4.0]], np.float32), ground, 8).alive[:, 0]
    np.testing.assert_array_equal(over_a_gap, np.arange(9) < 3)


def test_euler_matches_scipy_look_ups():
    from scipy import ndimage

    rng = np.random.default_rng(0)
    flow = ndimage.gaussian_filter(rng.normal(size=(H, W, 2)), (2, 2, 0)).astype(np.float32) * 5
    x = rng.uniform([2, 2], [W - 2, H - 2], size=(10, 2))
    path = advect(flow, x.astype(np.float32), np.ones((H, W), bool), 6)
    for _ in range(6):
        at = (x[:, 1] - 0.5, x[:, 0] - 0.5)
        x = x + np.stack([ndimage.map_coordinates(flow[..., c], at, order=1, mode="nearest") for c in range(2)], -1)
    np.testing.assert_allclose(path.position[6], x, atol=1e-4)
