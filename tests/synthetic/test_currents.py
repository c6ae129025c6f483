"""Paths of material against the differential equations that they solve."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mom3d_jax.synthetic.currents import Bend, Spread, Straight, steady

RNG = np.random.default_rng(0)
A, B = RNG.uniform(0.4, 3, (2, 40))
TURNED = np.array([0.6, -0.8])


def straight_velocity(p):
    speed = 0.02 + 0.01 * np.sin(p[0] * 0.8 + p[1] * 0.6)
    return speed * TURNED


def bend_velocity(p):
    # Counterclockwise from a to b around (-1, 0.5), 0.03 per frame at radius 1 and faster outside.
    x, y = p[0] + 1, p[1] - 0.5
    radius = np.hypot(x, y)
    return 0.03 * radius**0.5 * np.array([-y, x]) / radius


def spread_velocity(p):
    x, y = p[0] - 0.2, p[1] + 1
    radius = np.hypot(x, y)
    return (0.02 + 0.005 * np.arctan2(x, y)) * np.array([x, y]) / radius


CASES = {
    "straight": (Straight(TURNED, lambda lane: 0.02 + 0.01 * np.sin(lane)), straight_velocity),
    "bend": (Bend((-1.0, 0.5), lambda lane: 0.03 * lane**0.5), bend_velocity),
    "spread": (Spread((0.2, -1.0), lambda lane: 0.02 + 0.005 * lane / 1.5, 1.5), spread_velocity),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.mark.parametrize("frames", [1.0, 37.5, -12.25])
def test_paths_solve_the_equation_of_motion(case, frames):
    current, velocity = case
    da, db = current.shift(A, B, frames)
    for i in range(0, len(A), 5):
        path = solve_ivp(lambda _, p: velocity(p), (0, frames), [A[i], B[i]], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose([A[i] + da[i], B[i] + db[i]], path.y[:, -1], atol=1e-8)


def test_phase_counts_frames_and_lane_stays(case):
    current, _ = case
    da, db = current.shift(A, B, 7.5)
    np.testing.assert_allclose(current.phase(A + da, B + db) - current.phase(A, B), 7.5, atol=1e-9)
    np.testing.assert_allclose(current.lane(A + da, B + db), current.lane(A, B), atol=1e-12)


def test_steps_add_up(case):
    current, _ = case
    first = current.shift(A, B, 3.0)
    second = current.shift(A + first[0], B + first[1], 4.0)
    np.testing.assert_allclose(np.add(first, second), current.shift(A, B, 7.0), atol=1e-12)


def test_nothing_comes_from_beyond_its_source():
    current = Spread((0.0, 0.0), steady(0.1), 1.0)
    a, b = np.array([0.3]), np.array([0.4])
    np.testing.assert_allclose(np.ravel(current.shift(a, b, -1000.0)), [-0.3, -0.4])
