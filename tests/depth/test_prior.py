"""The landscape prior: geometry against closed forms, order against exact depth."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import spearmanr

from mom3d_jax.cameras import input_camera, pixel_grid, unproject
from mom3d_jax.depth import detect_sky, estimate_depth, landscape_prior
from mom3d_jax.depth.prior import FAR_GROUND, SKY, distance_below, fit_feet
from mom3d_jax.inputs import load_scene
from mom3d_jax.synthetic import landscape
from mom3d_jax.types import Hints, Layout, Scene

WIDTH, HEIGHT = 96, 64
CAMERA = input_camera(WIDTH, HEIGHT)


def scene(**changes):
    hints = Hints(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), np.zeros(0, bool))
    blank = Scene(
        image=np.random.default_rng(0).random((HEIGHT, WIDTH, 3)).astype(np.float32),
        mask=np.zeros((HEIGHT, WIDTH), np.float32),
        hints=hints,
        depth=None,
        flow=None,
    )
    return dataclasses.replace(blank, **changes)


def drawn(horizon=((0, 20), (96, 20)), sky_rows=14, standing=None):
    sky = np.zeros((HEIGHT, WIDTH), np.float32)
    sky[:sky_rows] = 1
    return scene(layout=Layout(horizon=np.float32(horizon), sky=sky, standing=standing))


def test_distance_below_a_tilted_horizon():
    a, b = np.array([10.0, 15.0]), np.array([80.0, 35.0])
    found = distance_below(np.stack([b, a]), pixel_grid(WIDTH, HEIGHT))
    for row, column in ((0, 0), (63, 5), (30, 95)):
        p = np.array([column + 0.5, row + 0.5])
        signed = ((b - a)[0] * (p - a)[1] - (b - a)[1] * (p - a)[0]) / np.linalg.norm(b - a)
        assert found[row, column] == pytest.approx(signed)


@pytest.mark.parametrize("horizon", [((0, 20), (96, 20)), ((0, 14), (96, 26))])
def test_ground_is_one_plane(horizon):
    z, _ = landscape_prior(drawn(horizon, sky_rows=0), CAMERA)
    points = np.asarray(unproject(CAMERA, pixel_grid(WIDTH, HEIGHT), z.astype(np.float32))).astype(np.float64)
    ground = points[distance_below(np.float64(horizon), pixel_grid(WIDTH, HEIGHT)) > 0]
    centred = ground - ground.mean(0)
    spread = np.linalg.svd(centred, compute_uv=False)
    assert spread[2] < 1e-4 * spread[1]


def test_layers_are_in_order():
    z, sky = landscape_prior(drawn(), CAMERA)
    assert (np.diff(z[20:], axis=0) < 0).all()
    assert z[14:20].min() >= FAR_GROUND
    assert (z[:14] == SKY).all()
    assert z.max() == SKY
    assert z.min() >= 1
    np.testing.assert_array_equal(sky, drawn().layout.sky)


def test_nothing_stands_between_slope_and_ground():
    z, _ = landscape_prior(drawn(sky_rows=0), CAMERA)
    q = 1 / z
    # Nearness never changes faster from row to row than on the ground: no step at the horizon.
    assert np.abs(np.diff(q, axis=0)).max() < 1.01 / (HEIGHT - 20)


@pytest.mark.parametrize("horizon", [((0, 20), (96, 20)), ((0, 12), (96, 22)), ((0, 50), (96, 50))])
def test_standing_thing_is_a_vertical_plane_on_its_feet(horizon):
    house = np.zeros((HEIGHT, WIDTH), np.float32)
    foot = 58 - 0.1 * np.arange(WIDTH)
    house[(np.arange(HEIGHT)[:, None] < foot) & (np.arange(HEIGHT)[:, None] > 8)] = 1
    house[:, :30] = house[:, 70:] = 0
    z, sky = landscape_prior(drawn(horizon, standing=house[None]), CAMERA)
    inside = house > 0
    assert sky[inside].max() == 0
    points = np.asarray(unproject(CAMERA, pixel_grid(WIDTH, HEIGHT), z.astype(np.float32)), np.float64)
    on_house = points[inside]
    _, spread, axes = np.linalg.svd(on_house - on_house.mean(0))
    assert spread[2] < 1e-4 * spread[1]
    vertical = np.cross(*np.asarray(unproject(CAMERA, np.float32(horizon), np.ones(2, np.float32)), np.float64))
    assert abs(axes[2] @ vertical) / np.linalg.norm(vertical) < 1e-4
    # It touches the ground: where the thing ends, the ground goes on at nearly its depth.
    for column in (35, 50, 65):
        last = np.flatnonzero(inside[:, column]).max()
        step = abs(1 / z[last, column] - 1 / z[last + 1, column])
        assert step < 2.5 / (HEIGHT - min(horizon[0][1], horizon[1][1]))


@pytest.mark.parametrize("overhang", [slice(0, 14), slice(26, 40), slice(10, 24)])
def test_feet_are_found_beside_overhang(overhang):
    x = np.arange(40.0)
    y = 50 + 0.3 * x
    y[overhang] -= np.linspace(20, 1, 14)
    intercept, slope = fit_feet(x, y)
    assert intercept == pytest.approx(50, abs=1)
    assert slope == pytest.approx(0.3, abs=0.03)
    assert fit_feet(np.array([3.0]), np.array([7.0])) == pytest.approx((7.0, 0.0))


def test_moving_regions_are_sky_or_not_as_a_whole():
    """A cloud whose lower half was taken for a mountain, and a river whose bright bend was taken for sky."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    image[:14] = [0.6, 0.75, 0.95]
    image[14:] = np.random.default_rng(0).random((HEIGHT - 14, WIDTH, 1)) * [0.4, 0.3, 0.2]
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[4:18, 20:60] = 1
    mask[40:, 50:80] = 1
    z, _ = landscape_prior(
        scene(image=image, mask=mask, layout=Layout(horizon=np.float32([[0, 30], [96, 30]]))), CAMERA
    )
    assert (z[4:18, 20:60] == SKY).all()
    assert (z[40:, 50:80] < FAR_GROUND).all()


def test_depth_is_scaled_and_says_so():
    depth = estimate_depth(drawn(), CAMERA)
    z, _ = landscape_prior(drawn(), CAMERA)
    assert np.percentile(depth.z, 1) == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(depth.z, z * depth.scale, rtol=1e-5)
    assert depth.source == "prior"
    assert depth.z.dtype == depth.sky.dtype == np.float32


def test_file_depth_is_kept_up_to_scale():
    z = np.random.default_rng(1).uniform(3, 50, (HEIGHT, WIDTH)).astype(np.float32)
    depth = estimate_depth(scene(depth=z), CAMERA)
    assert depth.source == "file"
    assert np.percentile(depth.z, 1) == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(depth.z / z, depth.scale, rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, 0.0, np.inf])
def test_bad_depth_and_camera(bad):
    z = np.full((HEIGHT, WIDTH), 2, np.float32)
    z[3, 3] = bad
    with pytest.raises(ValueError, match="positive and finite"):
        estimate_depth(scene(depth=z), CAMERA)
    with pytest.raises(ValueError, match="camera 64x96"):
        estimate_depth(scene(), input_camera(HEIGHT, WIDTH))


def test_noise_is_survived():
    depth = estimate_depth(scene(), CAMERA)
    assert np.isfinite(depth.z).all()
    assert depth.z.min() > 0


@pytest.mark.parametrize("seed", range(4))
def test_order_of_exact_depth(seed):
    truth = landscape(seed=seed, width=256, height=144)
    photo = scene(image=truth.image, mask=truth.mask)
    found = estimate_depth(photo, truth.camera)
    land = truth.sky < 0.5
    assert spearmanr(found.z[land], truth.depth[land]).statistic >= 0.9


@pytest.mark.parametrize("name", ["scene_0", "scene_1"])
@pytest.mark.parametrize("width", [256, 512])
def test_real_photos(real_data, name, width):
    photo = load_scene(real_data / "scenes" / name, width)
    height = photo.image.shape[0]
    depth = estimate_depth(photo, input_camera(width, height))
    sky = depth.sky > 0
    assert 0.1 < sky.mean() < 0.45
    assert depth.z[sky].min() > depth.z[~sky].max()
    assert depth.z.max() < 31
    # The far shore of the valley, and the sea, which lies 3 % lower on the left than on the right.
    low, high = {"scene_0": (0.5, 0.66), "scene_1": (0.2, 0.26)}[name]
    horizon = np.argmin(depth.z >= 20 * depth.scale, axis=0) / height
    assert low < np.median(horizon) < high
    ground = depth.z[round((high + 0.04) * height) :]
    assert (np.diff(ground, axis=0) < 0).all()
    water = (photo.mask > 0.5) & ~sky
    both = water[1:] & water[:-1]
    steps = np.abs(np.diff(1 / depth.z, axis=0))[both]
    assert steps.max() < 1.5 * np.median(steps)


def test_other_real_photos(real_data):
    for file in sorted((real_data / "flows").glob("*/*[0-9].png")):
        photo = load_scene(file, 128, detect_sky=detect_sky)
        assert "the sky was chosen" in photo.notes[0]
        depth = estimate_depth(photo, input_camera(128, 128))
        sky = depth.sky > 0
        assert 0.04 < sky.mean() < 0.5
        assert depth.z[sky].min() > depth.z[~sky].max()
        assert (photo.mask <= detect_sky(photo.image)).all()
