"""Hints that nobody drew."""

import numpy as np
import pytest

from mom3d_jax.inputs.hints import AUTOMATIC_SPEED, automatic_hints, hints_from_flow, hints_from_strokes

SHAPE = (80, 120)


def box(rows, columns):
    mask = np.zeros(SHAPE, np.float32)
    mask[slice(*rows), slice(*columns)] = 1
    return mask


def test_strokes_take_fifty_frames():
    hints = hints_from_strokes(np.array([[[10, 20], [60, 10]]], np.float32))
    np.testing.assert_allclose(hints.start, [[10, 20]])
    np.testing.assert_allclose(hints.motion, [[1.0, -0.2]])
    assert hints.valid.all()


@pytest.mark.parametrize(
    ("mask", "start", "direction"),
    [
        (box((50, 60), (20, 90)), (None, 55), (1, 0)),  # a lake
        (box((20, 80), (50, 60)), (55, None), (0, 1)),  # a waterfall
        (box((30, 60), (40, 72)), (None, None), (1, 0)),  # about square
        (box((0, 60), (40, 50)), (45, None), (1, 0)),  # narrow, but sky
    ],
)
def test_one_region(mask, start, direction):
    hints = automatic_hints(mask)
    assert hints.start.shape == (1, 2)
    np.testing.assert_allclose(hints.motion[0], AUTOMATIC_SPEED * SHAPE[1] * np.array(direction), atol=1e-6)
    for found, expected in zip(hints.start[0], start, strict=True):
        assert expected is None or abs(found - expected) < 1
    assert mask[int(hints.start[0, 1]), int(hints.start[0, 0])] == 1


def test_diagonal_river_keeps_its_axis():
    y, x = np.mgrid[:80, :120]
    river = (np.abs((x - 60) * np.sin(0.5) - (y - 40) * np.cos(0.5)) < 4) & (y > 10)
    motion = automatic_hints(river.astype(np.float32)).motion[0]
    assert np.arctan2(motion[1], motion[0]) == pytest.approx(0.5, abs=0.05)


def test_regions_are_separate_and_specks_are_ignored():
    mask = box((10, 30), (10, 50)) + box((50, 70), (60, 110)) + box((75, 77), (5, 7))
    hints = automatic_hints(mask)
    assert hints.start.shape == (2, 2)
    inside = sorted((int(x) >= 60) for x, _ in hints.start)
    assert inside == [False, True]


def test_flow_is_read_where_the_hint_is():
    mask = box((50, 61), (20, 91))
    flow = np.random.default_rng(0).normal(size=(*SHAPE, 2)).astype(np.float32)
    hints = hints_from_flow(mask, flow)
    x, y = hints.start[0]
    np.testing.assert_array_equal(hints.motion[0], flow[int(y), int(x)])
