"""Skies that are known."""

import numpy as np
import pytest
from scipy import ndimage

from mom3d_jax.depth import detect_horizon, detect_sky
from mom3d_jax.synthetic import landscape


def ground_texture(shape, rng, colour):
    grain = rng.uniform(-0.15, 0.15, (*shape, 1)).astype(np.float32)
    return np.clip(np.asarray(colour, np.float32) + grain, 0, 1)


def photo(skyline, height, rng):
    """Blue sky with soft white clouds over rough brown ground."""
    width = len(skyline)
    clouds = ndimage.gaussian_filter(rng.normal(size=(height, width)), (4, 12))
    clouds = np.clip(clouds / np.abs(clouds).max(), 0, 1)[..., None]
    fade = np.linspace(0, 0.4, height)[:, None, None]
    sky = np.array([0.35, 0.55, 0.85]) * (1 - fade) + fade
    sky = sky * (1 - clouds) + 0.95 * clouds
    ground = ground_texture((height, width), rng, [0.4, 0.32, 0.2])
    return np.where((np.arange(height)[:, None] < skyline)[..., None], sky, ground).astype(np.float32)


@pytest.mark.parametrize("width", [128, 256, 512])
def test_mountains(width):
    rng = np.random.default_rng(0)
    height = width * 9 // 16
    x = np.linspace(0, 1, width)
    skyline = np.round(height * (0.4 - 0.2 * np.abs(np.sin(5 * x)) + 0.03 * np.sin(40 * x)))
    sky = detect_sky(photo(skyline, height, rng))
    found = sky.sum(axis=0)
    assert np.mean(np.abs(found - skyline)) < 0.015 * height
    assert set(np.unique(sky)) <= {0, 1}
    assert (np.diff(sky, axis=0) <= 0).all()


def test_no_sky():
    rng = np.random.default_rng(1)
    assert detect_sky(ground_texture((72, 128), rng, [0.3, 0.4, 0.2])).max() == 0


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_images_do_no_harm(value):
    sky = detect_sky(np.full((40, 64, 3), value, np.float32))
    assert np.isfinite(sky).all()


@pytest.mark.parametrize("seed", range(4))
def test_procedural_landscapes(seed):
    """Snow mountains under white clouds: a hard case, so the bar is the overlap, not the outline."""
    truth = landscape(seed=seed, width=256, height=144)
    found, sky = detect_sky(truth.image) > 0, truth.sky > 0.5
    assert (found & sky).sum() / (found | sky).sum() > 0.7


@pytest.mark.parametrize("row", [50, 70, 93])
def test_sea_horizon(row):
    rng = np.random.default_rng(2)
    image = photo(np.full(256, row), 144, rng)
    sea = np.array([0.1, 0.3, 0.4], np.float32) + rng.normal(0, 0.02, (144, 256, 1)).astype(np.float32)
    image[row:] = np.clip(sea, 0, 1)[row:]
    sky = detect_sky(image)
    horizon = detect_horizon(image, sky, np.zeros((144, 256), np.float32))
    np.testing.assert_allclose(horizon, [[0, row], [256, row]], atol=1)


def test_hidden_horizon_lies_between_skyline_and_water():
    rng = np.random.default_rng(3)
    skyline = np.round(40 - 20 * np.abs(np.sin(np.linspace(0, 9, 256))))
    image = photo(skyline, 144, rng)
    image[75:] *= np.array([0.5, 1.2, 0.6], np.float32)
    sky = (np.arange(144)[:, None] < skyline).astype(np.float32)
    water = np.zeros((144, 256), np.float32)
    assert detect_horizon(image, sky, water)[0, 1] == pytest.approx(75, abs=1)
    water[60:90, 30:90] = 1
    assert 30 <= detect_horizon(image, sky, water)[0, 1] <= 61
