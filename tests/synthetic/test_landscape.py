"""The truth of a synthetic scene, checked by maths that shares no code with its renderer."""

import dataclasses

import cv2
import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from mom3d_jax.cameras import generation_cameras, input_camera, path_cameras, pixel_grid, project, select, unproject
from mom3d_jax.synthetic import landscape, render
from mom3d_jax.synthetic.alpine_lake import CLOUD_ALTITUDE, EYE, FAR, PITCH

W, H = 192, 108


@pytest.fixture(scope="module")
def scene():
    return landscape(seed=3, width=W, height=H)


@pytest.fixture(scope="module")
def turned(scene):
    """A camera of the generation views that is both moved and turned."""
    return select(generation_cameras(scene.camera, scene.depth), 5)


def level_rays(camera):
    """Height of the eye over the water, and up and forward rate of each pixel's ray per unit of depth (float64)."""
    R, t = np.float64(camera.rotation), np.float64(camera.translation)
    f, c = np.float64(camera.focal), np.float64(camera.centre)
    y, x = np.mgrid[: camera.height, : camera.width] + 0.5
    rays = np.stack([(x - c[0]) / f[0], (y - c[1]) / f[1], np.ones_like(x)], -1) @ R
    up = np.array([0, -np.cos(PITCH), np.sin(PITCH)])
    forward = np.array([0, np.sin(PITCH), np.cos(PITCH)])
    position = -R.T @ t
    return EYE + position @ up, position @ forward, rays @ up, rays @ forward


def psnr(a, b):
    return -10 * np.log10(np.mean((np.float64(a) - b) ** 2))


@pytest.mark.parametrize("which", ["input", "turned"])
def test_depth_of_water_and_sky_solves_the_plane_equations(scene, turned, which):
    camera = scene.camera if which == "input" else turned
    view = scene if which == "input" else render(scene, turned, supersample=1)
    height, ahead, rise, forward = level_rays(camera)
    water, sky = (view.mask > 0) & (view.sky == 0), view.sky > 0
    assert water.mean() > 0.1
    assert sky.mean() > 0.1
    np.testing.assert_allclose(view.depth[water], height / -rise[water], rtol=1e-6)
    layer = np.where(rise > 0, (CLOUD_ALTITUDE - height) / np.maximum(rise, 1e-9), np.inf)
    np.testing.assert_allclose(view.depth[sky], np.minimum(layer, (FAR - ahead) / forward)[sky], rtol=1e-6)


def test_ground_is_hit_on_its_surface_and_not_behind_it(scene):
    terrain = scene.world.terrain
    fan = terrain.fan
    q = np.linspace(-1, 1, fan.columns)
    table = RegularGridInterpolator((np.linspace(fan.low, fan.high, fan.rows), q), np.float64(terrain.heights))

    def height_at(x, z):
        u = np.arcsinh(x / z * np.sinh(2.0) / fan.reach) / 2.0
        return table(np.stack([np.clip(z**0.25, fan.low, fan.high), np.clip(u, -1, 1)], -1))

    height, _, rise, forward = level_rays(scene.camera)
    across = (np.arange(W) + 0.5 - W / 2) / W
    picked = np.argwhere(scene.mask == 0)[::37]
    assert len(picked) > 100
    for row, column in picked:
        depth = np.float64(scene.depth[row, column])
        t = np.append(np.linspace(0.3, 0.999 * depth, 3000), depth)
        gap = height + rise[row, column] * t - height_at(across[column] * t, forward[row, column] * t)
        assert abs(gap[-1]) < 1e-5 * depth
        # Between two rows of the table a grazing ray may dip below the surface by less than the rows' curvature.
        assert gap[:-1].min() > -2e-3


def test_flow_is_the_projected_motion(scene, turned):
    for camera, view in ((scene.camera, scene), (turned, render(scene, turned, supersample=1))):
        pixels = pixel_grid(W, H)
        after, _ = project(camera, np.asarray(unproject(camera, pixels, view.depth)) + view.motion)
        np.testing.assert_allclose(np.asarray(after) - pixels, view.flow, atol=1e-3)


def test_nothing_but_water_and_sky_moves(scene):
    speed = np.linalg.norm(scene.motion, axis=-1)
    assert (speed[scene.mask == 0] == 0).all()
    assert (speed[scene.mask > 0] > 0).all()
    # Along the surfaces: water stays at its level, clouds drift sideways.
    up = np.array([0, -np.cos(PITCH), np.sin(PITCH)])
    np.testing.assert_allclose(scene.motion @ up, 0, atol=1e-8)
    np.testing.assert_allclose(scene.motion[scene.sky > 0][:, 1:], 0, atol=1e-8)


def test_speeds_are_those_of_a_landscape(scene):
    per_256 = np.linalg.norm(scene.flow, axis=-1) * 256 / W
    water = (scene.mask > 0) & (scene.sky == 0)
    assert 0.5 < np.percentile(per_256[water], 98) < 1.3
    assert np.percentile(per_256[scene.sky > 0], 98) < 0.5
    assert 0.6 < scene.depth.min() < 1.1
    assert 20 < scene.depth.max() < 32


@pytest.mark.parametrize("frame", [1, 8])
def test_later_frames_are_frame_0_moved(scene, frame):
    """Follow each pixel's point back along its motion, look it up in frame 0: that is its colour now."""
    later = render(scene, scene.camera, frame)
    np.testing.assert_array_equal(later.depth, scene.depth)
    np.testing.assert_array_equal(later.flow, scene.flow)
    pixels = pixel_grid(W, H)
    before, _ = project(scene.camera, np.asarray(unproject(scene.camera, pixels, scene.depth)) - frame * scene.motion)
    x, y = np.moveaxis(np.asarray(before) - 0.5, -1, 0)
    moved = cv2.remap(scene.image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    border = 2 * frame + 5
    inner = cv2.erode(scene.mask, np.ones((border, border)), borderValue=0) > 0
    assert inner.mean() > 0.05
    assert psnr(later.image[inner], moved[inner]) > 36
    assert psnr(later.image[inner], moved[inner]) > psnr(later.image[inner], scene.image[inner]) + 6
    # The rays of the image are the pixel centres of an image of twice the size.
    doubled = input_camera(2 * W, 2 * H)
    moving = render(scene, doubled, supersample=1).mask.reshape(H, 2, W, 2).max(axis=(1, 3))
    still = moving == 0
    assert still.mean() > 0.3
    np.testing.assert_array_equal(later.image[still], scene.image[still])


def test_paint_travels_with_its_material(scene):
    """Colour of a surface point n frames later, where its motion has carried it, is what it was."""
    rng = np.random.default_rng(0)
    x, z = rng.uniform(-1, 1, 500), rng.uniform(1.5, 8, 500)
    on_water = np.stack([x, 0 * x, z], -1)
    on_cloud = np.stack([x, 0 * x + CLOUD_ALTITUDE, 3 * z], -1)
    on_wall = np.stack([8 * x, 0.6 * z + 1, 0 * x + FAR], -1)
    water, sky = 1, 2
    for kind, points in ((water, on_water), (sky, on_cloud), (sky, on_wall)):
        surface = scene.world.surfaces[kind - 1]
        step = surface.shift(points, 1.0)
        np.testing.assert_allclose(surface.shift(points + 40 * step, 1.0), step, atol=1e-12)
        there = scene.world.surface_colour(kind, points + 40 * step, 40.0, loop=False)
        np.testing.assert_allclose(there, scene.world.surface_colour(kind, points, 0.0, loop=False), atol=1e-5)
        assert there.std() > 0.02


def test_one_point_looks_the_same_from_everywhere(scene):
    moved = select(path_cameras(scene.camera, "side", 60), 0)
    view = render(scene, moved, supersample=1)
    flat = render(scene, scene.camera, supersample=1)
    pixels, z = project(moved, unproject(scene.camera, pixel_grid(W, H), scene.depth))
    x, y = np.moveaxis(np.asarray(pixels) - 0.5, -1, 0)
    colour = cv2.remap(view.image, x, y, cv2.INTER_LINEAR)
    depth = cv2.remap(view.depth, x, y, cv2.INTER_NEAREST)
    seen = (np.abs(depth / np.asarray(z) - 1) < 0.02) & (x > 1) & (x < W - 2) & (y > 1) & (y < H - 2)
    assert seen.mean() > 0.7
    assert np.median(np.abs(colour - flat.image)[seen]) < 0.02


def test_a_seed_is_a_landscape(scene):
    again, other = landscape(3, W, H), landscape(4, W, H)
    for field in dataclasses.fields(type(scene)):
        if isinstance(value := getattr(scene, field.name), np.ndarray):
            np.testing.assert_array_equal(value, getattr(again, field.name))
            assert value.dtype == np.float32
            assert np.isfinite(value).all()
    assert np.abs(other.image - scene.image).mean() > 0.03
    assert 0 <= scene.image.min() < 0.2
    assert 0.8 < scene.image.max() <= 1


def test_odd_and_upright_sizes():
    scene = landscape(0, 65, 97)
    assert scene.image.shape == (97, 65, 3)
    assert scene.flow.shape == (97, 65, 2)


def test_bad_requests(scene):
    with pytest.raises(ValueError, match=r"'moon'; known: .*alpine_lake"):
        landscape(family="moon")
    with pytest.raises(ValueError, match="at least 32 px"):
        landscape(0, 64, 20)
    backwards = dataclasses.replace(scene.camera, rotation=np.diag([-1.0, 1.0, -1.0]).astype(np.float32))
    with pytest.raises(ValueError, match="looks past"):
        render(scene, backwards)
