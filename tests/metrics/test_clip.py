import math

import numpy as np
import pytest

from mom3d_jax.metrics import load_lpips_weights, lpips, psnr, score_clip, ssim

K, H, W = 6, 20, 23


@pytest.fixture(scope="module")
def clip():
    """Six frames, so that they fill one chunk and a part of the next."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(size=(K, H, W, 3)).astype(np.float32)
    prediction = np.clip(truth + rng.normal(0, 0.1, truth.shape), 0, 1).astype(np.float32)
    weight = (rng.uniform(size=(K, H, W)) < 0.8).astype(np.float32)
    return prediction, truth, weight


def mean_square(prediction, truth, weight):
    error = ((np.float64(prediction) - truth) ** 2).mean(axis=-1)
    return (error * weight).sum() / weight.sum()


def test_frames_and_means(clip):
    prediction, truth, weight = clip
    scores = score_clip(prediction, truth, weight, variant="valid", padding="same")
    squares = [mean_square(*frame) for frame in zip(*clip, strict=True)]
    np.testing.assert_allclose(scores.psnr, -10 * np.log10(squares), rtol=1e-5)
    np.testing.assert_allclose(scores.ssim, [ssim(*frame, "same") for frame in zip(*clip, strict=True)], rtol=1e-5)
    np.testing.assert_allclose(scores.validity, weight.mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(scores.mean("psnr"), np.mean(-10 * np.log10(squares)), rtol=1e-5)
    np.testing.assert_allclose(scores.mean("ssim"), scores.ssim.mean())
    np.testing.assert_allclose(scores.psnr_pooled, -10 * math.log10(mean_square(*clip)), rtol=1e-5)


def test_without_weights_every_pixel_counts(clip):
    prediction, truth, _ = clip
    scores = score_clip(prediction, truth, variant="all")
    ones = score_clip(prediction, truth, np.ones((K, H, W), np.float32), variant="valid")
    np.testing.assert_allclose(scores.psnr, ones.psnr, rtol=1e-6)
    np.testing.assert_allclose(scores.ssim, ones.ssim, rtol=1e-6)
    np.testing.assert_allclose(scores.psnr, [psnr(*frame) for frame in zip(prediction, truth, strict=True)], rtol=1e-6)
    np.testing.assert_allclose(scores.psnr_pooled, ones.psnr_pooled, rtol=1e-6)


def test_bytes_and_crop(clip):
    prediction, truth, weight = clip
    in_bytes = [np.round(255 * a).astype(np.uint8) for a in (prediction, truth)]
    floats = [a / np.float32(255) for a in in_bytes]
    scores = score_clip(*in_bytes, weight, variant="valid", crop=3)
    inside = score_clip(*(a[:, 3:-3, 3:-3] for a in (*floats, weight)), variant="valid")
    np.testing.assert_allclose(scores.psnr, inside.psnr, rtol=1e-6)
    np.testing.assert_allclose(scores.ssim, inside.ssim, rtol=1e-6)
    assert scores.what["resolution"] == [W - 6, H - 6]
    assert scores.what["crop"] == 3


def test_frames_where_nothing_counts_are_left_out_and_said(clip):
    prediction, truth, weight = (a.copy() for a in clip)
    plain = score_clip(prediction, truth, weight, variant="valid")
    weight[1] = 0
    scores = score_clip(prediction, truth, weight, variant="valid")
    assert np.isnan(scores.psnr[1])
    others = np.delete(plain.psnr, 1)
    np.testing.assert_allclose(scores.mean("psnr"), others.mean())
    for entry in scores.records():
        assert entry["frames"] == 5
        assert entry["unscored"] == 1
        np.testing.assert_allclose(entry["validity"], weight.mean(), rtol=1e-6)
    nothing = score_clip(prediction, truth, 0 * weight, variant="masked")
    for entry in nothing.records():
        assert entry["value"] is None
        assert entry["frames"] == 0


def test_equal_frames_are_infinite_and_the_pooled_value_is_not(clip):
    prediction, truth, weight = clip
    prediction = prediction.copy()
    prediction[2] = truth[2]
    scores = score_clip(prediction, truth, variant="all")
    assert scores.psnr[2] == math.inf
    assert np.isfinite(np.delete(scores.psnr, 2)).all()
    mean, pooled, structure, distance = scores.records(scene="lake")
    assert mean["value"] is None
    assert mean["reason"] == "the value is inf"
    assert mean["equal_frames"] == 1
    np.testing.assert_allclose(
        pooled["value"], -10 * math.log10(np.mean((np.float64(prediction) - truth) ** 2)), rtol=1e-5
    )
    assert scores.ssim[2] == 1
    assert distance["reason"] == "LPIPS was not asked for"
    assert all(entry["scene"] == "lake" for entry in (mean, pooled, structure, distance))
    assert score_clip(truth, truth, weight, variant="valid").psnr_pooled == math.inf


def test_unknown_values_show_unless_they_do_not_count(clip):
    prediction, truth, weight = (a.copy() for a in clip)
    plain = score_clip(prediction, truth, weight, variant="valid")
    prediction[weight == 0] = np.nan
    hidden = score_clip(prediction, truth, weight, variant="valid")
    np.testing.assert_array_equal(hidden.psnr, plain.psnr)
    np.testing.assert_array_equal(hidden.ssim, plain.ssim)
    prediction[3, 10, 10] = np.nan
    weight[3, 10, 10] = 1
    scores = score_clip(prediction, truth, weight, variant="valid")
    assert np.isnan(
        [scores.psnr[3], scores.ssim[3], scores.mean("psnr"), scores.mean("ssim"), scores.psnr_pooled]
    ).all()


def test_lpips_of_a_clip(clip, network_folder):
    weights = load_lpips_weights(network_folder)
    prediction, truth, weight = (a[:2] for a in clip)
    scores = score_clip(prediction, truth, weight, variant="masked", lpips=weights)
    np.testing.assert_allclose(scores.lpips, lpips(weights, prediction, truth, weight), rtol=1e-6)
    entry = scores.records()[3]
    np.testing.assert_allclose(entry["value"], scores.lpips.mean())
    assert entry["masking"] == "multiplied"
    assert entry["net"] == weights.name
    assert entry["variant"] == "masked"


def test_bad_clips(clip):
    prediction, truth, weight = clip
    with pytest.raises(ValueError, match=r"prediction \[5, 20, 23, 3\] and truth \[6, 20, 23, 3\] must be"):
        score_clip(prediction[:5], truth, variant="all")
    with pytest.raises(ValueError, match=r"weight is \[20, 23\], not \[6, 20, 23\] as the clip"):
        score_clip(prediction, truth, weight[0], variant="valid")
    with pytest.raises(ValueError, match="a crop of 10 px leaves nothing of 23x20"):
        score_clip(prediction, truth, variant="all", crop=10)
    with pytest.raises(ValueError, match="weights must be finite and not negative"):
        score_clip(prediction, truth, weight - 0.5, variant="valid")
    with pytest.raises(ValueError, match="variant 'all' with weights; it is all without them"):
        score_clip(prediction, truth, weight, variant="all")
    with pytest.raises(ValueError, match="variant 'fluid' with weights"):
        score_clip(prediction, truth, weight, variant="fluid")
    with pytest.raises(ValueError, match=r"clips of \[0\] frames cannot be compared"):
        score_clip(prediction[:0], truth[:0], variant="all")
