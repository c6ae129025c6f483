"""Patterns that close: exact periods, no seam, and nothing finer than their table."""

import numpy as np
import pytest

from mom3d_jax.synthetic.weave import TEXELS, Pattern, Weave, tile

T = 60


@pytest.fixture
def labels():
    turns, lane = np.meshgrid(np.linspace(-3, 3, 301), np.linspace(-2, 2, 101))
    return T * turns, lane


@pytest.mark.parametrize("ridged", [False, True])
def test_one_period_on_is_the_same_to_the_bit(labels, ridged):
    weave = Weave(Pattern(2, 0.5, octaves=4, ridged=ridged, lag=0.3), *labels, T, np.random.default_rng(0))
    np.testing.assert_array_equal(weave.at(0.0), weave.at(1.0))
    np.testing.assert_array_equal(weave.at(0.25), weave.at(3.25))
    assert np.abs(weave.at(0.0) - weave.at(0.5)).mean() > 0.1


def test_the_pattern_is_carried_along(labels):
    """50 columns are one turn: after 0.2 turns all of it is 10 columns farther on, across every seam."""
    weave = Weave(Pattern(2, 0.5, octaves=4, lag=0.3), *labels, T, np.random.default_rng(0))
    np.testing.assert_allclose(weave.at(0.2)[:, 10:], weave.at(0.0)[:, :-10], atol=1e-4)


def test_tiles_have_no_seam():
    whole = tile(np.random.default_rng(0), 3, 5)
    assert whole.shape == (5 * TEXELS + 1, 3 * TEXELS + 1)
    twice = np.tile(whole[:-1, :-1], (2, 2))
    for axis, at in ((0, 5 * TEXELS - 1), (1, 3 * TEXELS - 1)):
        steps = np.abs(np.diff(twice, axis=axis))
        assert np.take(steps, at, axis=axis).max() <= steps.max()
        assert 0.05 < np.take(steps, at, axis=axis).max() < 0.6
    np.testing.assert_allclose(whole[::TEXELS, ::TEXELS], 0, atol=1e-7)


def test_octaves_that_the_table_cannot_hold_are_left_out():
    turns, lane = np.meshgrid(np.arange(60) * 0.4, np.zeros(4))
    coarse = Weave(Pattern(2, 1.0, octaves=3), T * turns, lane, T, np.random.default_rng(0))
    np.testing.assert_array_equal(coarse.at(0.3), 0)
