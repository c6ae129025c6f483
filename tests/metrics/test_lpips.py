import h5py
import jax
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from mom3d_jax.metrics import load_lpips_weights, lpips, lpips_map
from mom3d_jax.metrics.lpips import _distance

STAGES = (2, 2, 3, 3, 3)


@pytest.fixture(scope="module")
def weights(network_folder):
    return load_lpips_weights(network_folder)


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(1)
    reference = rng.uniform(size=(2, 21, 34, 3)).astype(np.float32)
    image = np.clip(reference + rng.normal(0, 0.2, reference.shape), 0, 1).astype(np.float32)
    return image, reference


def convolved(x, kernel, bias):
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, [(1, 1), (1, 1), (0, 0)]), (3, 3), axis=(0, 1))
    return np.einsum("hwcij,ijco->hwo", windows, kernel, optimize=True) + bias


def features(vgg, image):
    """float64, in the terms of the paper: VGG16 on [-1, 1] behind its scaling layer, normalised."""
    x = (2 * np.float64(image) - 1 - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450]
    stages = []
    for s, count in enumerate(STAGES):
        if s:
            h, w = x.shape[0] // 2, x.shape[1] // 2
            x = x[: 2 * h, : 2 * w].reshape(h, 2, w, 2, -1).max(axis=(1, 3))
        for k in range(count):
            layer = vgg[f"conv{s + 1}_{k + 1}"]
            x = np.maximum(convolved(x, np.float64(layer["weight"]), np.float64(layer["bias"])), 0)
        stages.append(x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-10))
    return stages


def stage_maps(folder, image, reference):
    with h5py.File(folder / "vgg16_weights.h5") as vgg, h5py.File(folder / "lpips_lin.h5") as linear:
        pairs = zip(features(vgg, image), features(vgg, reference), strict=True)
        return [((a - b) ** 2 @ np.float64(linear[f"lin{s}"]).reshape(-1)) for s, (a, b) in enumerate(pairs)]


def enlarged(a, height, width):
    """Bilinear between centres, the border value beyond the outermost ones."""
    rows = (np.arange(height) + 0.5) * a.shape[0] / height - 0.5
    columns = (np.arange(width) + 0.5) * a.shape[1] / width - 0.5
    return map_coordinates(a, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest")


def test_values_and_map_follow_the_formula(weights, network_folder, pair):
    image, reference = pair
    maps = stage_maps(network_folder, image[1], reference[1])
    expected = sum(m.mean() for m in maps)
    assert expected > 0.1
    np.testing.assert_allclose(lpips(weights, image, reference)[1], expected, rtol=2e-5)
    spatial = sum(enlarged(m, 21, 34) for m in maps)
    np.testing.assert_allclose(lpips_map(weights, image, reference)[1], spatial, rtol=1e-3, atol=1e-4 * spatial.mean())


def test_parity_with_lpips_j(weights, network_folder, pair, monkeypatch):
    theirs = pytest.importorskip("lpips_j.lpips")
    monkeypatch.setattr(theirs, "hf_hub_download", lambda repo_id, filename: str(network_folder / filename))
    image, reference = pair
    module = theirs.LPIPS()
    expected, _ = module.init_with_output(jax.random.key(0), 2 * image - 1, 2 * reference - 1)
    np.testing.assert_allclose(lpips(weights, image, reference), np.ravel(expected), rtol=2e-5)


def test_masked_like_dycheck(weights, network_folder, pair):
    image, reference = pair
    weight = np.zeros(image.shape[:3], np.float32)
    weight[:, 5:16, 10:30] = 1
    weight[0] = 0
    found = lpips(weights, image, reference, weight)
    assert np.isnan(found[0])
    inside = np.float64(weight[1])
    maps = stage_maps(network_folder, image[1] * weight[1, ..., None], reference[1] * weight[1, ..., None])
    expected = (sum(enlarged(m, 21, 34) for m in maps) * inside).sum() / inside.sum()
    np.testing.assert_allclose(found[1], expected, rtol=1e-4)
    np.testing.assert_array_equal(lpips(weights, image, reference, weight > 0), found)


def test_filled_from_the_reference(weights, pair):
    image, reference = pair
    weight = np.ones(image.shape[:3], np.float32)
    weight[:, :, 20:] = 0
    weight[0] = 0
    found = lpips(weights, image, reference, weight, "filled")
    merged = np.where(weight[..., None] > 0, image, reference)
    np.testing.assert_allclose(found[1], lpips(weights, merged, reference)[1], rtol=1e-6)
    assert np.isnan(found[0])


@pytest.mark.parametrize("masking", ["multiplied", "filled"])
def test_what_does_not_count_has_no_influence(weights, pair, masking):
    image, reference = (a[:1].copy() for a in pair)
    weight = np.ones(image.shape[:3], np.float32)
    weight[:, 8:14, 8:24] = 0
    plain = lpips(weights, image, reference, weight, masking)
    image[:, 8:14, 8:24] = np.nan
    np.testing.assert_array_equal(lpips(weights, image, reference, weight, masking), plain)
    reference[:, 8:14, 8:24] = np.nan
    assert np.isfinite(lpips(weights, image, reference, weight, masking)).all()
    image[:, 0, 0] = np.nan
    assert np.isnan(lpips(weights, image, reference, weight, masking)).all()


def test_a_distance(weights, pair):
    image, reference = pair
    np.testing.assert_allclose(lpips(weights, image, image), 0, atol=1e-12)
    forth, back = lpips(weights, image, reference), lpips(weights, reference, image)
    np.testing.assert_allclose(forth, back, rtol=1e-6)
    nearer = lpips(weights, (image + 3 * reference) / 4, reference)
    assert (nearer < forth).all()


def test_the_map_averages_to_the_value_at_multiples_of_16(weights, pair):
    image, reference = (a[:1, :16, :32] for a in pair)
    spatial = lpips_map(weights, image, reference)
    np.testing.assert_allclose(spatial.mean(axis=(1, 2)), lpips(weights, image, reference), rtol=1e-5)


def test_chunks_bytes_and_eager(weights, pair):
    image, reference = pair
    together = lpips(weights, image, reference)
    one_by_one = np.concatenate([lpips(weights, image[k : k + 1], reference[k : k + 1]) for k in range(2)])
    np.testing.assert_allclose(together, one_by_one, rtol=1e-5)
    image, reference = (np.round(255 * a[:1, :16, :32]).astype(np.uint8) for a in pair)
    with jax.disable_jit():
        eager = lpips(weights, image, reference)
    floats = (a / np.float32(255) for a in (image, reference))
    np.testing.assert_allclose(eager, lpips(weights, *floats), rtol=1e-5)


def test_convolutions_run_at_highest_precision(weights, pair):
    program = _distance.lower(weights.vgg, weights.linear, *pair, None, masking="multiplied").as_text()
    products = [line for line in program.splitlines() if "stablehlo.convolution" in line or "dot_general" in line]
    assert len(products) == 13 + 5
    assert all("HIGHEST" in line for line in products)


def test_bad_requests(weights, pair):
    image, reference = pair
    with pytest.raises(ValueError, match="at least 16x16 px, not 34x15"):
        lpips(weights, image[:, :15], reference[:, :15])
    with pytest.raises(ValueError, match=r"not \[2, 21, 34, 3\] and \[1, 21, 34, 3\]"):
        lpips(weights, image, reference[:1])
    with pytest.raises(ValueError, match="unknown LPIPS masking 'grey'; known: multiplied, filled"):
        lpips(weights, image, reference, masking="grey")
    with pytest.raises(ValueError, match="not int32; convert them first"):
        lpips(weights, image.astype(np.int32), reference)
