import dataclasses
import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mom3d_jax import cameras, deformation, render, training
from mom3d_jax.training.sharding import replicated
from mom3d_jax.types import Displacements, Frames, Gaussians, Hints, Views

CAMERA = cameras.input_camera(24, 16)
RATES = dict.fromkeys(("means", "log_scales", "quaternions", "opacity_logits", "sh", "planes", "heads"), (0.02, 0.01))


def scene(n: int = 40, movable: int = 10) -> Gaussians:
    rng = np.random.default_rng(0)
    return Gaussians(
        means=rng.uniform([-1.2, -0.8, 2], [1.2, 0.8, 4], (n, 3)).astype(np.float32),
        log_scales=rng.uniform(-2.5, -1.5, (n, 3)).astype(np.float32),
        quaternions=rng.normal(size=(n, 4)).astype(np.float32),
        opacity_logits=rng.normal(size=n).astype(np.float32) + 1,
        sh=rng.normal(size=(n, 1, 3)).astype(np.float32),
        alive=np.ones(n, bool),
        movable=movable,
    )


draw = jax.jit(lambda scene, camera: render.render_view(scene, camera, capacity=4096).color)


def views_of(g: Gaussians, count: int = 5) -> Views:
    poses = cameras.select(cameras.generation_cameras(CAMERA, np.full((16, 24), 3.0, np.float32)), slice(0, count))
    images = [draw(g, cameras.select(poses, v)) for v in range(count)]
    ones = np.ones((count, 16, 24), np.float32)
    nothing = Hints(np.zeros((count, 0, 2)), np.zeros((count, 0, 2)), np.zeros((count, 0), bool))
    return Views(
        cameras=poses, images=np.stack(images), valid=ones, masks=ones, depth=3 * ones,
        visible=np.ones((count, 1), bool), hints=nothing, coverage=np.ones(count), accepted=np.arange(count) != 3,
    )  # fmt: skip


OPTIMIZER = training.make_optimizer(RATES, 100)


@functools.cache
def static_step(mesh, capacity: int, **options):
    """Tests that take the same step compile it once; they share the size of their batches where they can."""
    return training.make_step(training.StaticView(), OPTIMIZER, mesh, capacity=capacity, **options)


def problem(mesh, *, batch: int = 2, capacity: int = 4096, bands: int = 1, **options):
    truth = scene()
    start = dataclasses.replace(truth, sh=np.pad(truth.sh * 0.5, ((0, 0), (0, bands - 1), (0, 0))))
    state = training.new_state(start, {}, OPTIMIZER)
    frozen = training.Frozen(
        alive=start.alive, pixel_size=np.full(40, 0.1, np.float32), dynamics=None, movable=start.movable
    )
    # Where `fit` puts them: arrays of the host would be another program.
    state, frozen = jax.device_put((state, frozen), replicated(mesh))
    pool = training.still_pool(views_of(truth))
    return state, frozen, pool, lambda room: static_step(mesh, room, **options), capacity, batch


def run(tmp_path, steps, *, name="a", mesh=None, **changes):
    mesh = mesh or training.make_mesh(1)
    state, frozen, pool, step_for, capacity, batch = problem(mesh, **changes)
    checkpoints = training.Checkpoints(tmp_path / name)
    return training.fit(
        name, state, frozen, pool, step_for, mesh, steps=steps, batch=batch, capacity=capacity, seed=0,
        checkpoints=checkpoints, key="k", checkpoint_every=10,
    )  # fmt: skip


def params_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a.params, b.params)


def test_fitting_lowers_the_loss(tmp_path):
    _, report = run(tmp_path, 40)
    assert report.losses[-1] < 0.6 * report.losses[0]
    assert report.skipped == 0


def test_a_stopped_run_resumes_to_the_same_bits(tmp_path):
    whole, _ = run(tmp_path, 30)
    run(tmp_path, 20, name="b")
    resumed, report = run(tmp_path, 30, name="b")
    assert report.resumed_at == 20
    params_equal(whole, resumed)


def test_a_corrupt_checkpoint_falls_back_to_the_one_before(tmp_path):
    run(tmp_path, 20)
    for file in (tmp_path / "a" / "20").rglob("*"):
        if file.is_file():
            os.truncate(file, 0)
    resumed, report = run(tmp_path, 30)
    assert report.resumed_at == 10
    params_equal(resumed, run(tmp_path, 30, name="b")[0])


def test_a_step_over_capacity_is_repeated_with_more_room_to_the_same_result(tmp_path):
    roomy, _ = run(tmp_path, 10)
    tight, report = run(tmp_path, 10, name="b", capacity=8)
    assert report.capacity > 8
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), roomy.params, tight.params)


def test_two_devices_take_the_same_first_step_as_one():
    taken = []
    for devices in (1, 2):
        mesh = training.make_mesh(devices)
        state, frozen, pool, step_for, capacity, _ = problem(mesh)
        taken.append(step_for(capacity)(state, frozen, pool.batch(0, 2, 0)))
    (one, report_one), (two, report_two) = taken
    np.testing.assert_allclose(report_one.loss, report_two.loss, rtol=1e-6)
    # Adam turns gradients into signs on its first step; its first moment is the gradient itself.
    for a, b in zip(jax.tree.leaves(one.opt_state), jax.tree.leaves(two.opt_state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * max(1e-3, float(np.abs(a).max())))


def test_padding_items_have_no_influence():
    mesh = training.make_mesh(1)
    state, frozen, pool, step_for, capacity, _ = problem(mesh)
    alone = step_for(capacity)(state, frozen, pool.items(np.array([1, 2])))[1]
    state = problem(mesh)[0]
    padded = step_for(capacity)(state, frozen, pool.items(np.array([1, 2]), size=3))[1]
    np.testing.assert_allclose(alone.loss, padded.loss, rtol=1e-6)


def test_a_step_that_is_not_finite_changes_only_the_counters():
    mesh = training.make_mesh(1)
    state, frozen, pool, step_for, capacity, _ = problem(mesh)
    before = jax.tree.map(np.asarray, state.params)
    item = pool.batch(0, 2, 0)
    poisoned = dataclasses.replace(item, image=np.full_like(item.image, np.nan))
    after, _ = step_for(capacity)(state, frozen, poisoned)
    assert int(after.step) == 1
    assert int(after.skipped) == 1
    jax.tree.map(np.testing.assert_array_equal, before, after.params)


def test_invalid_pixels_are_never_ground_truth():
    rng = np.random.default_rng(0)
    image, target = rng.uniform(size=(2, 20, 20, 3)).astype(np.float32)
    valid = np.ones((20, 20), np.float32)
    valid[:, 12:] = 0
    other = target.copy()
    other[:, 12:] = 7.0
    gradient = jax.grad(lambda x: training.photometric(x, target, valid, 0.2))(jnp.asarray(image))
    np.testing.assert_array_equal(gradient[:, 12:], 0)
    l1 = [float(training.photometric(image, t, valid, 0.0)) for t in (target, other)]
    assert l1[0] == l1[1] == pytest.approx(np.abs(image - target)[:, :12].mean(), rel=1e-5)


def test_every_parameter_needs_a_rate():
    optimizer = training.make_optimizer({"means": (0.1, 0.1)}, 10)
    with pytest.raises(ValueError, match="no learning rate for log_scales, opacity_logits"):
        training.new_state(scene(), {}, optimizer)


def test_a_pool_visits_every_item_once_per_epoch_whatever_the_batch():
    pool = training.still_pool(views_of(scene()))
    assert len(pool) == 4
    for size in (1, 2, 3):
        seen = np.concatenate([pool.batch(step, size, 7).camera.translation[:, 0] for step in range(12)])[:12]
        values, counts = np.unique(np.round(seen, 5), return_counts=True)
        expected = np.round(np.asarray(pool.cameras.translation)[:, 0], 5)
        assert {float(v): int(c) for v, c in zip(values, counts, strict=True)} == {
            float(v): 3 * int((expected == v).sum()) for v in np.unique(expected)
        }


def test_stage_two_learns_a_brightness_change_and_keeps_frame_zero(tmp_path):
    g, mesh, period = scene(), training.make_mesh(2), 4
    paths, spreads = np.zeros((period + 1, g.movable, 3), np.float32), np.ones((period + 1, g.movable), np.float32)
    table = Displacements(paths, paths, spreads, spreads)
    sizes = np.full(40, 0.1, np.float32)
    options = {"resolution": 8, "features": 4, "width": 8, "time_resolution": 5, "heads": ("sh_dc",)}
    dynamics, residual = deformation.initialize(jax.random.key(0), g, table, sizes, residual_options=options)
    views = views_of(g)
    brighter = dataclasses.replace(g, sh=np.concatenate([g.sh[: g.movable] + 1.0, g.sh[g.movable :]]))
    target = np.asarray(views_of(brighter).images)[:1]
    video = np.stack([views.images[:1]] + [target] * (period - 1), axis=1)
    frames = Frames(np.array([0]), video, views.valid[:1], views.masks[:1], np.zeros((1, 16, 24, 2), np.float32))
    rates = {**RATES, **dict.fromkeys(("means", "log_scales", "quaternions", "opacity_logits", "sh"), (0.0, 0.0))}
    optimizer = training.make_optimizer({**rates, "heads": (0.05, 0.05)}, 100)
    state = training.new_state(g, residual, optimizer)
    frozen = training.Frozen(alive=g.alive, pixel_size=sizes, dynamics=dynamics, movable=g.movable)
    pool = training.video_pool(views, frames)
    assert len(pool) == 4 + period - 1

    def step_for(room):
        return training.make_step(training.DynamicView(), optimizer, mesh, capacity=room)

    state, report = training.fit(
        "stage2", state, frozen, pool, step_for, mesh, steps=60, batch=2, capacity=4096, seed=0,
        checkpoints=training.Checkpoints(tmp_path), key="k",
    )  # fmt: skip
    # The ramp lets frames 1 to 3 take only part of a change that is there at once, so some loss remains.
    assert report.losses[-1] < 0.7 * report.losses[0]
    sets_at = jax.jit(deformation.gaussian_sets, static_argnames="field")
    fitted = training.scene_gaussians(state.params, frozen)
    (first,), _ = sets_at(fitted, dynamics, state.params["residual"], 0, field="fill")
    camera = cameras.select(views.cameras, 0)
    np.testing.assert_allclose(draw(first, camera), views.images[0], atol=1e-6)


def test_more_devices_than_there_are_is_refused():
    with pytest.raises(ValueError, match="64 devices asked for"):
        training.make_mesh(64)


def test_sh_degrees_take_part_one_after_the_other():
    mesh = training.make_mesh(1)
    state, frozen, pool, step_for, capacity, batch = problem(mesh, bands=16, sh_every=2)
    reached = []
    for number in range(7):
        state, _ = step_for(capacity)(state, frozen, pool.batch(number, batch, 0))
        used = np.abs(np.asarray(state.params["gaussians"]["sh"])).max(axis=(0, 2)) > 0
        reached.append(int(used.sum()))
        assert used[: reached[-1]].all()
    # Steps 2, 4 and 6, counted from 1, bring a degree each: of 3000 steps, the last one brings the third.
    assert reached == [1, 4, 4, 9, 9, 16, 16]


def test_the_rest_of_the_harmonics_learns_at_its_share_of_the_rate():
    state, frozen, pool, step_for, capacity, batch = problem(training.make_mesh(1), bands=4, sh_rest_share=1 / 5)
    before = np.asarray(state.params["gaussians"]["sh"])
    after, _ = step_for(capacity)(state, frozen, pool.batch(0, batch, 0))
    moved = np.abs(np.asarray(after.params["gaussians"]["sh"]) - before)
    # Adam's first step is the learning rate itself wherever there is a gradient to speak of.
    np.testing.assert_allclose(moved[:, 1:].max() / moved[:, :1].max(), 1 / 5, rtol=1e-2)


def test_everywhere_counts_every_pixel_and_leaves_the_images():
    views = views_of(scene())
    views = dataclasses.replace(views, valid=np.where(np.arange(24) < 20, views.valid, 0).astype(np.float32))
    pool = training.still_pool(views).everywhere()
    np.testing.assert_array_equal(pool.valid, 1)
    np.testing.assert_array_equal(pool.images, training.still_pool(views).images)


def test_adam_takes_its_constants():
    params = {"gaussians": {"means": jnp.ones(3)}, "residual": {}}
    gradient = {"gaussians": {"means": jnp.float32([1e-9, 1e-9, 1.0])}, "residual": {}}
    for eps, expected in ((1e-15, [0.02, 0.02]), (1e-8, [0.02 / 11, 0.02])):
        optimizer = training.make_optimizer({"means": (0.02, 0.02)}, 10, adam=(0.9, 0.999, eps))
        with jax.numpy_dtype_promotion("standard"):
            updates, _ = optimizer.update(gradient, optimizer.init(params), params)
        np.testing.assert_allclose(-updates["gaussians"]["means"][1:], expected, rtol=1e-3)


def test_a_step_that_is_not_finite_is_counted_and_leaves_a_report_of_finite_losses(tmp_path):
    mesh = training.make_mesh(1)
    state, frozen, pool, step_for, capacity, batch = problem(mesh)
    images = pool.images.copy()
    images[0] = np.nan
    broken = dataclasses.replace(pool, images=images)
    _, report = training.fit(
        "a", state, frozen, broken, step_for, mesh, steps=20, batch=batch, capacity=capacity, seed=0,
        checkpoints=training.Checkpoints(tmp_path / "a"), key="k", checkpoint_every=10,
    )  # fmt: skip
    assert 0 < report.skipped < 20
    assert len(report.losses) == 2
    assert np.isfinite(report.losses).all()
