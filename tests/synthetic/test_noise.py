import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from mom3d_jax.synthetic import noise as noise_module
from mom3d_jax.synthetic.fan import Fan, ground_distance, ground_row
from mom3d_jax.synthetic.noise import Noise, smoothstep


@pytest.fixture
def noise():
    return Noise(np.random.default_rng(0))


def test_noise_is_zero_on_its_lattice_and_continuous(noise):
    i, j = np.meshgrid(np.arange(-5.0, 6), np.arange(-5.0, 6))
    np.testing.assert_array_equal(noise(i, j), 0)
    x = np.linspace(-3, 3, 20001)
    values = noise(x, 0.37 * x)
    assert np.abs(np.diff(values)).max() < 5e-3
    assert 0.2 < np.abs(values).max() <= 1


def test_blocks_do_not_show(noise, monkeypatch):
    x, y = np.random.default_rng(1).uniform(-50, 50, (2, 3, 1000))
    whole = noise.fractal(x, y, 5)
    monkeypatch.setattr(noise_module, "BLOCK", 77)
    np.testing.assert_array_equal(noise.fractal(x, y, 5), whole)


def test_octaves_finer_than_the_footprint_fade(noise):
    x, y = np.random.default_rng(1).uniform(-50, 50, (2, 4000))
    # Octave k has 2^k features per unit; at a footprint of 1/8 the octaves from k = 2 (half a period) on are gone.
    fine, coarse = noise.fractal(x, y, 6, footprint=0.125), noise.fractal(x, y, 2)
    full_weight = (1 - 0.5) / (1 - 0.5**2), (1 - 0.5) / (1 - 0.5**6)
    np.testing.assert_allclose(fine / full_weight[1], coarse / full_weight[0], atol=1e-6)
    np.testing.assert_array_equal(noise.fractal(x, y, 4, footprint=1.0), 0)


def test_smoothstep():
    np.testing.assert_allclose(smoothstep(1, 3, np.array([0, 1, 2, 3, 9.0])), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(smoothstep(3, 1, np.array([0, 1, 2, 3, 9.0])), [1, 1, 0.5, 0, 0])


def test_fan_coordinates_invert_and_sample_is_bilinear():
    fan = Fan(columns=41, rows=23, reach=1.5, low=0.7, high=2.2)
    np.testing.assert_allclose(fan.column_at(fan.directions()), np.arange(41), atol=1e-4)
    np.testing.assert_allclose(fan.row_at(fan.row_coordinates()), np.arange(23), atol=1e-4)
    z = np.array([0.3, 1.0, 25.0])
    np.testing.assert_allclose(ground_distance(ground_row(z)), z)
    rng = np.random.default_rng(0)
    table = rng.normal(size=(23, 41, 2))
    u, row = rng.uniform(-2, 2, 300), rng.uniform(0.5, 2.4, 300)
    at = np.stack([fan.row_at(row), fan.column_at(u)])
    expected = np.stack([map_coordinates(table[..., i], at, order=1) for i in (0, 1)], -1)
    np.testing.assert_allclose(fan.sample(table, u, row), expected, atol=1e-12)
