import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import correlate2d

from mom3d_jax.metrics import display_values, end_point_error, max_abs_difference, psnr, ssim, ssim_map


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    reference = np.clip(gaussian_filter(rng.normal(0.5, 1.5, (37, 45, 3)), (2, 2, 0)) + 0.1, 0, 1)
    image = np.clip(reference + rng.normal(0, 0.07, reference.shape), 0, 1)
    weight = (rng.uniform(size=(37, 45)) < 0.6) * rng.uniform(0.2, 1, (37, 45))
    return image.astype(np.float32), reference.astype(np.float32), weight.astype(np.float32)


def ssim_oracle(x, y, mode):
    """float64, two-dimensional windows, correlated directly."""
    i, j = np.mgrid[-5:6, -5:6]
    window = np.exp(-(i**2 + j**2) / (2 * 1.5**2))
    window /= window.sum()
    maps = []
    for c in range(x.shape[-1]):
        a, b = np.float64(x[..., c]), np.float64(y[..., c])
        blur = lambda v: correlate2d(v, window, mode=mode)
        ma, mb = blur(a), blur(b)
        va, vb, cab = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
        top = (2 * ma * mb + 1e-4) * (2 * cab + 9e-4)
        maps.append(top / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    return np.mean(maps, axis=0)


def test_psnr(pair):
    image, reference, weight = pair
    mse = np.mean((np.float64(image) - reference) ** 2)
    np.testing.assert_allclose(psnr(image, reference), 10 * np.log10(1 / mse), rtol=1e-5)
    total = sum(
        weight[i, j] * (np.float64(image[i, j, c]) - reference[i, j, c]) ** 2
        for i in range(37)
        for j in range(45)
        for c in range(3)
    )
    expected = -10 * np.log10(total / (3 * np.float64(weight).sum()))
    np.testing.assert_allclose(psnr(image, reference, weight), expected, rtol=1e-5)
    # A constant error of 0.1 is 20 dB whatever the weights.
    np.testing.assert_allclose(psnr(0 * image + 0.6, 0 * image + 0.5, weight), 20.0, rtol=1e-4)


def test_equal_images():
    black = np.zeros((16, 16, 3), np.float32)
    assert psnr(black, black) == np.inf
    assert ssim(black, black) == 1
    assert max_abs_difference(black, black) == 0


@pytest.mark.parametrize("blur", ["products", "sums"])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_ssim(pair, padding, blur):
    image, reference, _ = pair
    expected = ssim_oracle(image, reference, padding)
    np.testing.assert_allclose(ssim_map(image, reference, padding, blur), expected, atol=2e-5)
    np.testing.assert_allclose(ssim(image, reference, padding=padding, blur=blur), expected.mean(), atol=2e-6)
    assert 0.3 < expected.mean() < 0.95


def test_weighted_ssim_ignores_what_is_not_covered(pair):
    image, reference, _ = pair
    weight = np.ones((37, 45), np.float32)
    weight[:, 30:] = 0
    full = ssim(image, reference, weight, "same")
    spoiled_image, spoiled_reference = image.copy(), reference.copy()
    spoiled_image[:, 30:] = np.nan
    assert ssim(spoiled_image, reference, weight, "same") == full
    spoiled_reference[:, 30:] = np.nan
    assert np.isfinite(ssim(spoiled_image, spoiled_reference, weight, "same"))
    merged = np.where(weight[..., None] > 0, image, reference)
    expected = ssim_oracle(merged, reference, "same")[:, :30].mean()
    np.testing.assert_allclose(full, expected, atol=1e-5)
    inside = ssim_oracle(merged, reference, "valid")[:, :25].mean()
    np.testing.assert_allclose(ssim(image, reference, weight, "valid"), inside, atol=1e-5)


def test_end_point_error(pair):
    weight = pair[2]
    rng = np.random.default_rng(1)
    flow, reference = rng.normal(size=(2, 37, 45, 2)).astype(np.float32)
    lengths = np.hypot(*np.moveaxis(np.float64(flow) - reference, -1, 0))
    np.testing.assert_allclose(end_point_error(flow, reference), lengths.mean(), rtol=1e-5)
    np.testing.assert_allclose(
        end_point_error(flow, reference, weight), (weight * lengths).sum() / weight.sum(), rtol=1e-5
    )
    np.testing.assert_allclose(end_point_error(reference + np.float32([3, 4]), reference), 5, rtol=1e-5)


def test_weight_zero_hides_nan_and_nothing_else_does(pair):
    image, reference, _ = pair
    weight = np.ones((37, 45), np.float32)
    weight[3, 4] = 0
    image = image.copy()
    image[3, 4] = np.nan
    assert np.isfinite(psnr(image, reference, weight))
    assert np.isfinite(max_abs_difference(image, reference, weight))
    assert np.isfinite(end_point_error(image[..., :2], reference[..., :2], weight))
    assert np.isnan(psnr(image, reference))
    assert np.isnan(max_abs_difference(image, reference))
    nothing = np.zeros_like(weight)
    for metric in (psnr, ssim, max_abs_difference):
        assert np.isnan(metric(image, reference, nothing))


def test_max_abs_difference(pair):
    image, reference, weight = pair
    difference = np.abs(image - reference)
    assert max_abs_difference(image, reference) == difference.max()
    assert max_abs_difference(image, reference, weight) == difference[weight > 0].max()


def test_batches_vmap_and_eager(pair):
    image, reference, weight = (np.stack([a, a[::-1], a[:, ::-1]]) for a in pair)
    for metric in (psnr, ssim, max_abs_difference):
        each = jnp.stack([metric(*one) for one in zip(image, reference, weight, strict=True)])
        np.testing.assert_allclose(jax.vmap(metric)(image, reference, weight), each, rtol=1e-6)
        with jax.disable_jit():
            np.testing.assert_allclose(metric(image[0], reference[0], weight[0]), each[0], rtol=1e-5)
    mse = np.mean((np.float64(image) - reference) ** 2)
    np.testing.assert_allclose(psnr(image, reference), -10 * np.log10(mse), rtol=1e-5)


def test_ssim_is_differentiable_where_images_are_equal(pair):
    image, reference, _ = pair
    assert np.isfinite(jax.grad(lambda x: ssim(x, reference))(jnp.asarray(reference))).all()
    slope = jax.grad(lambda x: ssim(x, reference))(jnp.asarray(image))
    assert ssim(image + 0.5 * np.asarray(slope) / np.abs(slope).max() * 0.01, reference) > ssim(image, reference)


def test_bad_ssim_requests(pair):
    image, reference, _ = pair
    with pytest.raises(ValueError, match="unknown SSIM padding 'wrap'"):
        ssim(image, reference, padding="wrap")
    with pytest.raises(ValueError, match="unknown SSIM blur 'box'; known: products, sums"):
        ssim(image, reference, blur="box")
    with pytest.raises(ValueError, match="at least 11x11 px, not 45x10"):
        ssim(image[:10], reference[:10])


def test_display_values():
    np.testing.assert_allclose(display_values(np.uint8([0, 51, 255])), np.float32([0, 0.2, 1]), rtol=1e-6)
    np.testing.assert_array_equal(display_values(np.float32([-0.5, 1.5])), np.float32([-0.5, 1.5]))
    rng = np.random.default_rng(0)
    image, reference = rng.integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    for metric in (psnr, ssim, max_abs_difference):
        expected = metric(image / np.float32(255), reference / np.float32(255))
        np.testing.assert_allclose(metric(image, reference), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="not int32; convert them first"):
        display_values(np.zeros(3, np.int32))


def test_equal_bytes_are_equal():
    image = np.random.default_rng(5).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    assert float(psnr(image, image)) == np.inf
    assert float(max_abs_difference(image, image)) == 0
    other = image ^ 1
    expected = 20 * np.log10(255)
    assert float(psnr(other, image)) == pytest.approx(expected, rel=1e-6)
