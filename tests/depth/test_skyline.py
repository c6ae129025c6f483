"""The dynamic program against trying every line."""

import itertools

import numpy as np
import pytest

from mom3d_jax.depth.skyline import best_line


def total(cost, line, slope, jump):
    steps = np.minimum(slope * np.abs(np.diff(line)), jump)
    return cost[line, np.arange(len(line))].sum() + steps.sum()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("slope", "jump"), [(0.3, 0.7), (0.0, 1.0), (1.0, 100.0), (0.2, 0.0)])
def test_best_of_all_lines(seed, slope, jump):
    cost = np.random.default_rng(seed).normal(size=(5, 5))
    found = total(cost, best_line(cost, slope, jump), slope, jump)
    best = min(total(cost, np.array(line), slope, jump) for line in itertools.product(range(5), repeat=5))
    assert found == pytest.approx(best, abs=1e-12)


def test_one_column():
    assert best_line(np.array([[3.0], [1.0], [2.0]]), 1.0, 1.0).tolist() == [1]
