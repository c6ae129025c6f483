import itertools
import math

import jax
import numpy as np
import pytest

from mom3d_jax.metrics import flicker, loop_seam, warping_error
from mom3d_jax.metrics.video import _pair_error

H, W = 19, 27


@pytest.fixture(scope="module")
def clip():
    rng = np.random.default_rng(0)
    frames = rng.uniform(size=(6, H, W, 3)).astype(np.float32)
    flow = rng.normal(0, 2, (5, H, W, 2)).astype(np.float32)
    weight = ((rng.uniform(size=(5, H, W)) < 0.7) * rng.uniform(0.2, 1, (5, H, W))).astype(np.float32)
    return frames, flow, weight


def warping_oracle(first, second, flow, weight):
    """float64, pixel by pixel."""
    total = counted = 0.0
    for i, j in itertools.product(range(H), range(W)):
        x, y = j + float(flow[i, j, 0]), i + float(flow[i, j, 1])
        if weight[i, j] == 0 or not (0 <= x <= W - 1 and 0 <= y <= H - 1):
            continue
        value = np.zeros(3)
        for row, column in itertools.product({math.floor(y), math.ceil(y)}, {math.floor(x), math.ceil(x)}):
            value += (1 - abs(y - row)) * (1 - abs(x - column)) * np.float64(second[row, column])
        total += weight[i, j] * np.mean((value - first[i, j]) ** 2)
        counted += weight[i, j]
    return total / counted


def test_warping_error(clip):
    frames, flow, weight = clip
    expected = [warping_oracle(frames[k], frames[k + 1], flow[k], weight[k]) for k in range(5)]
    np.testing.assert_allclose(warping_error(frames, flow, weight), expected, rtol=1e-5)
    everywhere = np.ones((H, W), np.float32)
    expected = [warping_oracle(frames[k], frames[k + 1], flow[0], everywhere) for k in range(5)]
    np.testing.assert_allclose(warping_error(frames, flow[0]), expected, rtol=1e-5)
    np.testing.assert_allclose(warping_error(frames, flow[0], everywhere), expected, rtol=1e-5)


def test_what_moves_along_the_flow_has_no_warping_error():
    # A ramp that slides: read between pixels it is exact.
    y, x = np.mgrid[:H, :W]
    ramp = lambda k: np.stack([0.01 * (x - 0.7 * k) + 0.02 * (y + 0.4 * k) + c / 10 for c in range(3)], axis=-1)
    frames = np.stack([ramp(k) for k in range(4)]).astype(np.float32)
    flow = np.full((H, W, 2), (0.7, -0.4), np.float32)
    np.testing.assert_allclose(warping_error(frames, flow), 0, atol=1e-12)
    # Against the motion it is off by twice of it.
    step = 0.01 * 0.7 + 0.02 * -0.4
    np.testing.assert_allclose(warping_error(frames, -flow), (2 * step) ** 2, rtol=1e-3)
    np.testing.assert_allclose(warping_error(frames, None), step**2, rtol=1e-3)


def test_without_flow_it_is_the_mean_square_of_the_change(clip):
    frames = clip[0]
    expected = np.mean((np.float64(frames[1:]) - frames[:-1]) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(warping_error(frames, None), expected, rtol=1e-5)
    in_bytes = np.round(255 * frames).astype(np.uint8)
    np.testing.assert_allclose(warping_error(in_bytes, None), expected, rtol=5e-3)


def test_hidden_pixels_have_no_influence(clip):
    frames, flow, weight = (a.copy() for a in clip)
    plain = warping_error(frames, flow, weight)
    flow[weight == 0] = np.nan
    np.testing.assert_array_equal(warping_error(frames, flow, weight), plain)
    frames[0][weight[0] == 0] = np.nan
    assert np.isfinite(warping_error(frames[:2], flow[:1], weight[:1])).all()
    weight[2] = 0
    assert np.isnan(warping_error(clip[0], clip[1], weight)[2])
    outside = np.full((H, W, 2), 100, np.float32)
    assert np.isnan(warping_error(clip[0], outside)).all()


def test_pairs_jit_vmap_and_eager(clip):
    frames, flow, weight = clip
    each = [_pair_error(*pair) for pair in zip(frames[:-1], frames[1:], flow, weight, strict=True)]
    np.testing.assert_allclose(warping_error(frames, flow, weight), each, rtol=1e-6)
    halves, known = flow.astype(np.float16), weight > 0
    expected = warping_error(frames, halves.astype(np.float32), known.astype(np.float32))
    np.testing.assert_array_equal(warping_error(frames, halves, known.astype(np.uint8)), expected)
    with jax.disable_jit():
        np.testing.assert_allclose(_pair_error(frames[0], frames[1], flow[0], weight[0]), each[0], rtol=1e-5)


def sliding(frames, period):
    phase = 2 * np.pi * np.arange(W) / W
    rows = [0.5 + 0.4 * np.sin(phase - 2 * np.pi * k / period) for k in range(frames)]
    return np.broadcast_to(np.array(rows)[:, None, :, None], (frames, H, W, 3)).astype(np.float32)


def test_loop_seam():
    closed = loop_seam(sliding(12, period=12))
    step = 0.4 * math.sqrt(2) * math.sin(math.pi / 12)
    np.testing.assert_allclose([closed.seam, closed.neighbours], -20 * math.log10(step), rtol=1e-3)
    open_ = loop_seam(sliding(12, period=30))
    np.testing.assert_allclose(
        open_.seam, -20 * math.log10(0.4 * math.sqrt(2) * math.sin(math.pi * 11 / 30)), rtol=1e-3
    )
    assert open_.percentile == 0
    assert open_.seam < open_.neighbours - 10
    # Steps of 0.5 and 0.25, then a seam of 0.25: smoother than one, equal to the other.
    levels = np.float32([0, 0.5, 0.25])[:, None, None, None] * np.ones((H, W, 3), np.float32)
    assert loop_seam(levels).percentile == 75


def test_loop_seam_of_a_still_clip_and_with_weights():
    still = np.broadcast_to(np.float32(0.3), (5, H, W, 3))
    assert loop_seam(still) == (math.inf, math.inf, 50)
    jump = still.copy()
    jump[4, :, 10:] = 1
    weight = np.zeros((H, W), np.float32)
    weight[:, :10] = 1
    assert loop_seam(jump).seam < 10
    assert loop_seam(jump, weight).seam == math.inf
    jump[2, :, 10:] = np.nan
    assert loop_seam(jump, weight).percentile == 50
    assert math.isnan(loop_seam(jump).percentile)


def test_flicker():
    frames = np.full((4, H, W, 3), 0.5, np.float32)
    frames[1, 3, 4, 2] = 0.75
    frames[3, 3, 4, 2] = 0.25
    frames[2, 8, 9] = 0.0
    still = np.ones((H, W), np.float32)
    assert flicker(frames, still) == 0.5
    still[8, 9] = 0
    assert flicker(frames[1:], still) == 0.5
    still[3, 4] = 0
    assert flicker(frames, still) == 0
    frames[2, 8, 9] = np.nan
    assert flicker(frames, still) == 0
    frames[2, 0, 0, 1] = np.nan
    assert math.isnan(flicker(frames, still))
    assert math.isnan(flicker(frames, 0 * still))
    steps = np.zeros((3, H, W, 3), np.uint8)
    steps[1, 5, 5] = 51
    np.testing.assert_allclose(flicker(steps, still), 0.2, rtol=1e-6)


def test_bad_clips(clip):
    frames, flow, weight = clip
    with pytest.raises(ValueError, match=r"two frames or more, not \[1, 19, 27, 3\]"):
        loop_seam(frames[:1])
    with pytest.raises(ValueError, match=r"flow is \[4, 19, 27, 2\], not \[19, 27, 2\] or \[5, 19, 27, 2\]"):
        warping_error(frames, flow[:4])
    with pytest.raises(ValueError, match=r"weight is \[6, 19, 27\], not"):
        warping_error(frames, flow, np.ones((6, H, W), np.float32))
    with pytest.raises(ValueError, match=r"still is \[18, 27\], not"):
        flicker(frames, weight[0, :-1])
