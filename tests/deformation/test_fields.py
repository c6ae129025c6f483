import dataclasses
import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mom3d_jax import deformation, render
from mom3d_jax.cameras import input_camera, project
from mom3d_jax.deformation import FIELDS, RESIDUALS, blend, gaussian_sets
from mom3d_jax.types import Displacements, Gaussians

CAMERA = input_camera(32, 24)
PERIOD = 8


def scene(movable: int = 6, rest: int = 20) -> Gaussians:
    rng = np.random.default_rng(0)
    n = movable + rest
    return Gaussians(
        means=rng.uniform([-1, -0.7, 2], [1, 0.7, 4], (n, 3)).astype(np.float32),
        log_scales=rng.uniform(-3, -2, (n, 3)).astype(np.float32),
        quaternions=rng.normal(size=(n, 4)).astype(np.float32),
        opacity_logits=rng.normal(size=n).astype(np.float32) + 1,
        sh=rng.normal(size=(n, 1, 3)).astype(np.float32),
        alive=np.ones(n, bool),
        movable=movable,
    )


def still_table(rows: int, movable: int) -> Displacements:
    """No motion at all."""
    paths, spreads = np.zeros((rows, movable, 3), np.float32), np.ones((rows, movable), np.float32)
    return Displacements(paths, paths, spreads, spreads)


def moving(residual: str = "none", perturb: float = 0.0, **options):
    g = scene()
    steps = np.arange(PERIOD + 1, dtype=np.float32)[:, None, None]
    velocity = np.random.default_rng(1).normal(size=(1, g.movable, 3)).astype(np.float32) * 0.05
    table = Displacements(steps * velocity, -steps * velocity, *[np.ones((PERIOD + 1, g.movable), np.float32)] * 2)
    dynamics, params = deformation.initialize(
        jax.random.key(0), g, table, np.full(len(g.alive), 0.1, np.float32), residual=residual, residual_options=options
    )
    noise = lambda p: p + perturb * jax.random.normal(jax.random.key(p.size), p.shape)
    return g, dynamics, jax.tree.map(noise, params), velocity[0]


sets_at = jax.jit(gaussian_sets, static_argnames="field")
view = jax.jit(lambda g: render.render_view(g, CAMERA, capacity=2048, backend="xla"))


@partial(jax.jit, static_argnames="field")
def picture(g, dynamics, params, frame, field):
    sets, weights = gaussian_sets(g, dynamics, params, frame, field)
    return blend([render.render_view(s, CAMERA, capacity=2048, backend="xla").color for s in sets], weights)


SMALL = {"resolution": 8, "features": 4, "width": 8, "time_resolution": 5}


@pytest.fixture(params=sorted(RESIDUALS))
def residual(request) -> tuple[str, dict]:
    return request.param, SMALL if request.param == "hexplane" else {}


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_frame_zero_is_the_static_scene_to_the_bit(field, residual):
    name, options = residual
    g, dynamics, params, _ = moving(name, perturb=0.3, **options)
    still = view(g).color
    np.testing.assert_array_equal(picture(g, dynamics, params, 0, field), still)


def test_loop_closes_to_the_bit_without_a_modulo(residual):
    name, options = residual
    g, dynamics, params, _ = moving(name, perturb=0.3, **options)
    first = picture(g, dynamics, params, 0, "loop")
    np.testing.assert_array_equal(picture(g, dynamics, params, PERIOD, "loop"), first)
    assert np.abs(picture(g, dynamics, params, PERIOD - 2, "loop") - first).max() > 1e-3


def test_loop_has_no_jump_larger_than_the_motion():
    g, dynamics, params, _ = moving()
    frames = [picture(g, dynamics, params, n, "loop") for n in range(PERIOD + 1)]
    steps = [float(jnp.abs(b - a).mean()) for a, b in itertools.pairwise(frames)]
    assert max(steps) < 3 * float(np.median(steps))


def test_front_copy_follows_the_table_and_rest_stays():
    g, dynamics, params, velocity = moving()
    for field in FIELDS:
        (moved, *_), _ = sets_at(g, dynamics, params, 3, field)
        np.testing.assert_allclose(moved.means[: g.movable], g.means[: g.movable] + 3 * velocity, rtol=1e-6)
        np.testing.assert_array_equal(moved.means[g.movable : len(g.alive)], g.means[g.movable :])


def test_rear_copy_covers_the_same_pixels_one_percent_farther():
    g, dynamics, params, velocity = moving()
    (filled,), _ = sets_at(g, dynamics, params, 5, "fill")
    rear = filled.means[len(g.alive) : len(g.alive) + g.movable]
    backward = g.means[: g.movable] - (PERIOD - 5) * velocity
    np.testing.assert_allclose(project(CAMERA, rear)[0], project(CAMERA, backward)[0], rtol=1e-4)
    np.testing.assert_allclose(rear[:, 2], 1.01 * backward[:, 2], rtol=1e-5)


@pytest.mark.parametrize("field", ["fill", "loop"])
def test_the_backdrop_stands_still_ten_percent_farther(field):
    g, dynamics, params, _ = moving("hexplane", perturb=0.3, **SMALL)
    for filled in sets_at(g, dynamics, params, 5, field)[0]:
        behind = jax.tree.map(lambda a: np.asarray(a)[-g.movable :], filled)
        own = jax.tree.map(lambda a: np.asarray(a)[: g.movable], g)
        np.testing.assert_allclose(behind.means, 1.1 * own.means, rtol=1e-6)
        np.testing.assert_allclose(behind.log_scales, own.log_scales + np.log(1.1), rtol=1e-5)
        np.testing.assert_array_equal(behind.sh, own.sh)
    # Everything flies away: what is left is the still, in its place.
    gone = np.full_like(dynamics.displacements.forward, 1e3)
    table = dataclasses.replace(dynamics.displacements, forward=gone, backward=gone)
    (only, *_), _ = sets_at(g, dataclasses.replace(dynamics, displacements=table), params, 5, field)
    assert float(view(only).alpha.sum()) > 0.97 * float(view(g).alpha.sum())


def test_one_sided_tears_open_where_fill_does_not():
    g, dynamics, params, _ = moving()
    shown = {}
    for field in ("fill", "one_sided"):
        (only,), _ = sets_at(g, dynamics, params, PERIOD - 1, field)
        shown[field] = float(view(only).alpha.sum())
    assert shown["fill"] > shown["one_sided"] * 1.02


def test_blend_is_exact_where_sets_agree_and_at_both_ends():
    a, b = np.float32([[0.1, 0.7]]), np.float32([[0.1, 0.2]])
    for w in (0.0, 0.3, 0.77, 1.0):
        mixed = blend([a, b], [jnp.float32(w), jnp.float32(1 - w)])
        assert mixed[0, 0] == a[0, 0]
    np.testing.assert_array_equal(blend([a, b], [jnp.float32(1), jnp.float32(0)]), a)
    np.testing.assert_array_equal(blend([a, b], [jnp.float32(0), jnp.float32(1)]), b)


def test_unknown_names_and_mismatched_tables_are_refused():
    g, dynamics, params, _ = moving()
    with pytest.raises(ValueError, match="unknown field 'wave'"):
        gaussian_sets(g, dynamics, params, 0, "wave")
    key, sizes = jax.random.key(0), np.ones(26, np.float32)
    with pytest.raises(ValueError, match="unknown residual"):
        deformation.initialize(key, g, dynamics.displacements, sizes, residual="tensor")
    short = still_table(3, 2)
    with pytest.raises(ValueError, match="2 rows for 6 movable"):
        deformation.initialize(key, g, short, sizes)


def test_without_a_ramp_the_residual_acts_at_once():
    g, dynamics, params, _ = moving("hexplane", perturb=0.3, **SMALL)
    at_once = dataclasses.replace(dynamics, ramp=0.0)
    (gated,), _ = sets_at(g, dynamics, params, 0, field="one_sided")
    (released,), _ = sets_at(g, at_once, params, 0, field="one_sided")
    np.testing.assert_array_equal(gated.means, g.means)
    assert np.abs(released.means - g.means)[: g.movable].max() > 1e-4
    np.testing.assert_array_equal(released.means[g.movable :], g.means[g.movable :])
    # From the end of the ramp on there is no difference.
    (gated,), _ = sets_at(g, dynamics, params, 5, field="one_sided")
    (released,), _ = sets_at(g, at_once, params, 5, field="one_sided")
    np.testing.assert_array_equal(gated.means, released.means)


def test_inclusive_time_puts_the_last_frame_at_one():
    g = scene()
    table = still_table(PERIOD + 1, g.movable)
    size = np.ones(len(g.alive), np.float32)
    durations = [
        deformation.initialize(jax.random.key(0), g, table, size, residual="none", inclusive=i)[0].duration
        for i in (False, True)
    ]
    assert durations == [PERIOD, PERIOD - 1]


@pytest.mark.parametrize("coordinates", sorted(deformation.COORDINATES))
def test_look_up_coordinates_fill_their_box_in_order(coordinates):
    g = scene(movable=26, rest=0)
    table = still_table(2, 26)
    dynamics, _ = deformation.initialize(
        jax.random.key(0), g, table, np.ones(26, np.float32), residual="none", coordinates=coordinates
    )
    source = g.means if coordinates == "box" else np.c_[g.means[:, :2] / g.means[:, 2:], g.means[:, 2]]
    np.testing.assert_allclose([dynamics.where.min(0), dynamics.where.max(0)], [[-1] * 3, [1] * 3], atol=1e-6)
    for axis in range(3):
        ranks = np.argsort(np.argsort(source[:, axis]))
        assert (np.diff(dynamics.where[np.argsort(ranks), axis]) >= 0).all()


@pytest.mark.parametrize("wrong", [{"coordinates": "spherical"}, {"ramp": -1.0}])
def test_unknown_coordinates_and_negative_ramps_are_refused(wrong):
    g = scene()
    table = still_table(2, g.movable)
    with pytest.raises(ValueError, match=r"spherical|ramp=-1"):
        deformation.initialize(jax.random.key(0), g, table, np.ones(26, np.float32), residual="none", **wrong)


@pytest.mark.parametrize("field", ["fill", "loop", "one_sided"])
def test_a_torn_front_copy_sinks_behind_the_rear_one_and_grows(field):
    g, dynamics, params, _ = moving()
    # Gaussian 0 is whole, 1 half torn, 2 torn; the copies that move the other way are whole.
    forward = np.ones((PERIOD + 1, g.movable), np.float32)
    forward[1:, :3] = [1.25, 1.625, 4.0]
    table = dataclasses.replace(dynamics.displacements, forward_spread=forward)
    torn = dataclasses.replace(dynamics, displacements=table)
    before, _ = sets_at(g, dynamics, params, 5, field=field)
    after, _ = sets_at(g, torn, params, 5, field=field)
    front = before[0].means[:3, 2:], after[0].means[:3, 2:]
    growth = np.exp(after[0].log_scales - before[0].log_scales)[:3]
    away = np.ones(3) if field == "one_sided" else np.array([1, 1.01, 1.02])
    size = np.ones(3) if field == "one_sided" else np.array([1, 1.625**0.25, 2.0])
    np.testing.assert_allclose(front[1] / front[0], away[:, None], rtol=1e-5)
    np.testing.assert_allclose(growth, np.repeat((away * size)[:, None], 3, 1), rtol=1e-4)
    # Seen from the input camera nothing moves.
    for a, b in zip(project(CAMERA, after[0].means)[0], project(CAMERA, before[0].means)[0], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)
    if field == "loop":  # in the mirrored set the torn copy lies behind already, and only grows
        rear = slice(len(g.alive), len(g.alive) + 3)
        np.testing.assert_array_equal(after[1].means, before[1].means)
        grown = np.exp(after[1].log_scales - before[1].log_scales)[rear]
        np.testing.assert_allclose(grown, np.repeat(np.sqrt([[1.25], [1.625], [4.0]]), 3, 1), rtol=1e-4)


def test_wholeness_is_refused_where_it_rises():
    g = scene()
    with pytest.raises(ValueError, match="two rising multiples"):
        deformation.initialize(
            jax.random.key(0), g, still_table(2, g.movable), np.ones(26, np.float32), torn=(2.0, 1.5)
        )
