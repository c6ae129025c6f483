"""The protocol against values that can be had by hand."""

import numpy as np
import pytest

from mom3d_jax.evaluation.columns import COLUMNS
from mom3d_jax.evaluation.samples import Poses, TruthClip
from mom3d_jax.evaluation.scores import over_paths, score_path, value_of
from mom3d_jax.metrics import Unavailable

NO_NET = Unavailable("not asked for")
K, H, W = 12, 24, 32
PATHS = ("side", "circle")


def column(name):
    return next(c for c in COLUMNS if c.name == name)


@pytest.fixture(scope="module")
def truth():
    """A picture that moves to the right by one px per frame in its lower half."""
    rng = np.random.default_rng(0)
    wide = rng.integers(40, 200, (H, W + K, 3), np.uint8)
    frames = np.stack([wide[:, K - k : K - k + W] for k in range(K)])
    moving = np.zeros((K, H, W), np.float32)
    moving[:, H // 2 :] = 1
    frames[:, : H // 2] = frames[0, : H // 2]
    flow = np.zeros((K - 1, H, W, 2), np.float32)
    flow[:, H // 2 :, :, 0] = 1
    valid = np.ones((K, H, W), np.float32)
    return TruthClip(frames, valid, moving, flow, np.zeros((K - 1, H, W), np.float32))


def score(frames, truth, path="side", looping=False, crop=0):
    return score_path(frames, truth, path=path, looping=looping, crop=crop, lpips=NO_NET)


def find(records, metric, **what):
    (found,) = [r for r in records if r["metric"] == metric and all(r.get(k) == v for k, v in what.items())]
    return found


def test_the_truth_itself_is_perfect(truth):
    records = score(truth.frames, truth, path="input")
    for variant in ("valid", "masked"):
        record = find(records, "psnr", variant=variant, frame=None)
        assert value_of(record) == np.inf
        assert record["equal_frames"] == K
        assert value_of(find(records, "ssim", variant=variant)) == pytest.approx(1)
    # Whole steps are read without blur.
    assert value_of(find(records, "warping_error", of="prediction")) == 0
    assert value_of(find(records, "flicker")) == 0


def test_an_error_in_the_still_half_is_none_in_the_mask(truth):
    frames = truth.frames.copy()
    frames[:, : H // 2] += 10
    records = score(frames, truth)
    whole = find(records, "psnr", variant="valid")
    assert value_of(whole) == pytest.approx(-10 * np.log10(0.5 * (10 / 255) ** 2), abs=1e-3)
    assert value_of(find(records, "psnr", variant="masked")) == np.inf
    assert find(records, "psnr", variant="masked")["validity"] == 0.5


def test_single_frames_are_those_of_the_standing_camera(truth):
    frames = truth.frames.copy()
    frames[10] += 10
    records = score(frames, truth, path="input")
    assert value_of(find(records, "psnr", frame=10)) == pytest.approx(-20 * np.log10(10 / 255), abs=1e-3)
    assert not [r for r in score(frames, truth) if "frame" in r]
    assert column("m_psnr_10").value(records) == value_of(find(records, "psnr", frame=10))
    assert np.isnan(column("m_psnr_45").value(records))


def test_flicker_is_the_largest_change_where_nothing_moves(truth):
    frames = truth.frames.copy()
    frames[3, 2, 5, 1] += 51
    assert value_of(find(score(frames, truth, path="input"), "flicker")) == pytest.approx(0.2)
    moving = truth.frames.copy()
    moving[3, H - 2, 5, 1] += 51
    assert value_of(find(score(moving, truth, path="input"), "flicker")) == 0


def test_a_crop_leaves_out_the_border(truth):
    frames = truth.frames.copy()
    frames[:, 0] = 0
    records = score(frames, truth, crop=1)
    assert value_of(find(records, "psnr", variant="valid")) == np.inf
    assert find(records, "piqe")["resolution"] == [W - 2, H - 2]


def test_a_clip_that_jumps_at_its_end_shows_it_in_the_seam(truth):
    brighter = np.stack([truth.frames[0] + np.uint8(2 * k) for k in range(K)])
    records = score(brighter, truth, path="input", looping=True)
    assert value_of(find(records, "loop_seam_percentile")) == 0
    assert not [r for r in score(truth.frames, truth, path="input") if r["metric"] == "loop_seam"]


def test_every_path_counts_once_and_pooled_squares_are_pooled(truth):
    off = {"side": 10, "circle": 20}
    records = []
    for path in PATHS:
        records += score(truth.frames + np.uint8(off[path]), truth, path=path)
    means = over_paths(records, PATHS)
    each = [-20 * np.log10(e / 255) for e in off.values()]
    assert column("psnr").value(means) == pytest.approx(np.mean(each), abs=1e-3)
    pooled = find(means, "psnr_pooled", variant="valid")
    assert value_of(pooled) == pytest.approx(-10 * np.log10((10**2 + 20**2) / 2 / 255**2), abs=1e-3)
    assert pooled["frames"] == 2 * K
    assert find(means, "warping_error", of="truth")["value"] == 0
    assert find(means, "lpips_vgg", variant="valid")["reason"] == "not asked for"


def test_a_path_without_a_figure_leaves_it_out(truth):
    records = score(truth.frames, truth) + score(truth.frames, None, path="circle")
    assert [r["metric"] for r in over_paths(records, PATHS)] == ["piqe"]
    assert over_paths([], ()) == []


def test_the_photo_itself_is_not_compared(truth):
    frames = truth.frames + np.uint8(10)
    frames[0] = truth.frames[0]
    whole = score_path(frames, truth, path="zoom-in", looping=False, crop=0, lpips=NO_NET)
    assert value_of(find(whole, "psnr", variant="valid")) == np.inf
    rest = score_path(frames, truth, path="zoom-in", looping=False, crop=0, lpips=NO_NET, given=(0,))
    record = find(rest, "psnr", variant="valid")
    assert value_of(record) == pytest.approx(-20 * np.log10(10 / 255), abs=1e-3)
    assert (record["frames"], record["unscored"], record["equal_frames"]) == (K - 1, 1, 0)
    still = Poses(np.broadcast_to(np.eye(3), (3, 3, 3)), np.zeros((3, 3)))
    assert still.photo() == (0,)
    assert Poses(still.rotation, still.translation + 0.01).photo() == ()


def test_other_shapes_are_refused(truth):
    with pytest.raises(ValueError, match="one shape"):
        score(truth.frames[:5], truth)
