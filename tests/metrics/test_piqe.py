import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mom3d_jax.metrics import piqe, piqe_scores


@pytest.fixture(scope="module")
def photo():
    rng = np.random.default_rng(0)
    structure = gaussian_filter(rng.normal(size=(75, 107, 3)), (1.0, 1.0, 0)) * 120 + 120
    structure[:, 60:] = gaussian_filter(structure[:, 60:], (3, 3, 0))
    structure[40:, :50] += rng.normal(0, 25, (35, 50, 1))
    return np.clip(structure, 0, 255).astype(np.uint8)


def deviation(values):
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


def block_score(block):
    """One 16 x 16 block, step by step; None where it is not active."""
    v = deviation(list(block.ravel())) ** 2
    if v <= 0.1:
        return None
    artifact = any(
        deviation(list(edge[k : k + 6])) < 0.1
        for edge in (block[0], block[:, 15], block[15], block[:, 0])
        for k in range(11)
    )
    centre = deviation([*block[:, 7], *block[:, 8]])
    rest = deviation([block[i, j] for i in range(16) for j in range(16) if j not in (7, 9)])
    sigma, ratio = math.sqrt(v), centre / rest
    noise = sigma > 2 * abs(sigma - ratio) / max(sigma, ratio)
    return artifact, noise, artifact * (1 - v) + noise * v


def oracle(grey):
    """Per pixel and per block, in plain loops."""
    h, w = grey.shape
    g = np.rint(255 * grey / grey.max())
    mirrored = lambda k, n: k if k < n else 2 * n - 1 - k
    rows, columns = math.ceil(h / 16), math.ceil(w / 16)
    g = np.array([[g[mirrored(i, h), mirrored(j, w)] for j in range(16 * columns)] for i in range(16 * rows)])
    window = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    window = np.outer(window, window) / window.sum() ** 2
    blur = lambda a: np.einsum(
        "ijkl,kl->ij", np.lib.stride_tricks.sliding_window_view(np.pad(a, 3, mode="edge"), (7, 7)), window
    )
    mean = blur(g)
    n = (g - mean) / (np.sqrt(abs(blur(g * g) - mean**2)) + 1)
    blocks = {
        (i, j): block_score(n[16 * i : 16 * i + 16, 16 * j : 16 * j + 16]) for i in range(rows) for j in range(columns)
    }
    active = {key: found for key, found in blocks.items() if found}
    score = 100 * (sum(d for _, _, d in active.values()) + 1) / (len(active) + 1)
    masks = np.zeros((3, rows, columns), bool)
    for key, (artifact, noise, _) in active.items():
        masks[(slice(None), *key)] = True, artifact, noise
    return score, masks


def test_steps(photo):
    grey = np.rint(photo @ [0.299, 0.587, 0.114])
    found = piqe(grey.astype(np.uint8))
    score, masks = oracle(grey)
    # The weights in fixed point turn the rounding of a few pixels.
    np.testing.assert_allclose(piqe(photo).score, score, atol=0.01)
    assert abs(piqe(photo[..., ::-1].copy()).score - score) > 0.1
    np.testing.assert_allclose(found.score, score, atol=1e-9)
    np.testing.assert_array_equal([found.active, found.artifact, found.noise], masks)
    # All kinds of blocks occur, or the comparison would say little.
    assert masks[0].sum() > 10
    assert not masks[0].all()
    assert 0 < masks[1].sum() < masks[0].sum()
    assert 0 < masks[2].sum() < masks[0].sum()


def test_sizes_are_mirrored_to_whole_blocks(photo):
    mirrored = np.pad(photo, [(0, 5), (0, 5), (0, 0)], mode="symmetric")
    assert mirrored.shape[:2] == (80, 112)
    assert piqe(photo).score == piqe(mirrored).score
    assert piqe(photo).active.shape == (5, 7)


def test_a_clip(photo):
    frames = np.stack([photo, photo[::-1], photo[:, ::-1]])
    np.testing.assert_array_equal(piqe_scores(frames), [piqe(frame).score for frame in frames])
    with pytest.raises(ValueError, match="not float32"):
        piqe_scores(frames.astype(np.float32))


def test_blur_is_worse(photo):
    blurred = gaussian_filter(np.float64(photo[:40, :60]), (1.5, 1.5, 0)).astype(np.uint8)
    assert piqe(blurred).score > piqe(photo[:40, :60]).score + 5


@pytest.mark.parametrize("value", [0, 1, 255])
def test_a_uniform_image_is_100(value):
    found = piqe(np.full((33, 47, 3), value, np.uint8))
    assert found.score == 100
    assert not found.active.any()


def test_grey_is_what_equal_colours_are(photo):
    grey = np.ascontiguousarray(photo[..., 0])
    assert piqe(grey).score == piqe(np.stack([grey] * 3, axis=-1)).score


@pytest.mark.parametrize("image", [np.zeros((32, 32, 3), np.float32), np.zeros((2, 32, 32, 3), np.uint8)])
def test_only_bytes_of_one_image(image):
    with pytest.raises(ValueError, match=r"PIQE needs uint8 \[h, w, 3\] or \[h, w\], not"):
        piqe(image)
