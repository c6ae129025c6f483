"""Every kind of landscape: two truths, exact flow and occlusion, and texture that shows the motion."""

import dataclasses

import cv2
import numpy as np
import pytest

from mom3d_jax.cameras import generation_cameras, path_cameras, pixel_grid, project, select, unproject
from mom3d_jax.synthetic import FAMILIES, landscape, render
from mom3d_jax.synthetic.correspondence import correspondence
from mom3d_jax.synthetic.film import Shot
from mom3d_jax.synthetic.paths import cameras_of, depth_scale

W, H = 256, 144
QUICK = ("river_valley", "waterfall", "volcano_plume")
"""A current of each kind, leaning and standing sheets."""


@pytest.fixture(scope="module")
def worlds():
    """Scenes by family; each is built once."""
    made = {}

    def scene(family):
        if family not in made:
            made[family] = landscape(0, W, H, family)
        return made[family]

    return scene


@pytest.fixture(params=[f if f in QUICK else pytest.param(f, marks=pytest.mark.slow) for f in FAMILIES])
def scene(request, worlds):
    return worlds(request.param)


@pytest.fixture(params=QUICK)
def quick(request, worlds):
    return worlds(request.param)


def grey(image):
    return cv2.cvtColor(np.round(255 * image).astype(np.uint8), cv2.COLOR_RGB2GRAY)


def test_a_landscape_with_depth_and_motion(scene):
    speed = np.linalg.norm(scene.flow, axis=-1)[scene.mask > 0] * 512 / W
    assert 0.2 < scene.mask.mean() < 0.97
    assert 0.3 < speed.mean() < 1.6
    assert np.percentile(speed, 99) < 4
    assert 0.5 < depth_scale(scene) < 3.5
    assert scene.depth.max() > 2.5 * depth_scale(scene)
    assert 0.1 < scene.image.std() < 0.35


def test_optical_flow_is_recovered_from_the_frames(scene):
    if scene.name.startswith("alpine_lake"):
        # Older than this rule and kept as it is: its ripples are finer than the solver sees at this size.
        scene = landscape(0, 2 * W, 2 * H, "alpine_lake")
    shot = Shot(scene.world, scene.camera)
    match = shot.flow()
    known = (scene.mask > 0) & (match.occluded == 0)
    solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    for frame in (0, 30):
        first, second = (grey(shot.picture(float(k), loop=False)) for k in (frame, frame + 1))
        error = np.linalg.norm(solver.calc(first, second, None) - match.flow, axis=-1)[known].mean()
        assert error <= 0.25 * np.linalg.norm(match.flow, axis=-1)[known].mean()


def test_both_truths_begin_alike_and_the_periodic_one_closes(scene):
    shot = Shot(scene.world, scene.camera)
    start = shot.picture(0.0, loop=True)
    np.testing.assert_array_equal(shot.picture(60.0, loop=True), start)
    middle = shot.picture(30.0, loop=True)
    moving = scene.mask > 0
    assert np.abs(middle - start)[moving].mean() > 0.02
    np.testing.assert_array_equal(shot.picture(15.5, loop=True), shot.picture(75.5, loop=True))
    # No jump anywhere: the last step is like the others.
    steps = [np.abs(shot.picture(k + 1.0, loop=True) - shot.picture(float(k), loop=True)).mean() for k in (0, 29, 59)]
    assert max(steps) < 1.3 * min(steps)
    apart = np.abs(shot.picture(0.0, loop=False) - start)
    if scene.world.shared_start:
        assert apart.max() < 1e-5
    else:
        assert 0.005 < apart.mean() < 0.08


def test_material_that_stays_in_sight_keeps_its_colour(quick):
    """The colour at a pixel is found again where its flow leads, ten frames later."""
    shot = Shot(quick.world, quick.camera)
    match = shot.flow(10.0)
    first, later = shot.picture(0.0, loop=False), shot.picture(10.0, loop=False)
    where = (pixel_grid(W, H) - 0.5 + match.flow).astype(np.float32)
    found = cv2.remap(later, where, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inner = cv2.erode(quick.mask * (1 - match.occluded), np.ones((7, 7)), borderValue=0) > 0
    assert inner.mean() > 0.05
    psnr = [-10 * np.log10(np.mean((image - first)[inner] ** 2)) for image in (found, later)]
    assert psnr[0] > 30
    assert psnr[0] > psnr[1] + 8


def test_flow_is_the_difference_of_projections(quick):
    points = unproject(quick.camera, pixel_grid(W, H), quick.depth)
    landed, _ = project(quick.camera, np.asarray(points) + quick.motion)
    flow = np.asarray(landed) - pixel_grid(W, H)
    np.testing.assert_allclose(correspondence(quick.world, quick.camera, quick.camera, 1.0).flow, flow, atol=2e-3)


@pytest.mark.parametrize("frames", [0.0, 20.0])
def test_occlusion_is_what_the_other_depth_map_says(quick, frames):
    """Between two cameras a point is hidden where it lies behind the depth seen at the place that it lands on."""
    other = select(cameras_of(quick, "side", 60), 0)
    match = correspondence(quick.world, quick.camera, other, frames)
    points = np.asarray(unproject(quick.camera, pixel_grid(W, H), quick.depth), np.float64)
    level = points @ quick.world.from_camera.T + [0, quick.world.eye, 0]
    shift = quick.world.motion(level.reshape(-1, 3), quick.surface.ravel(), frames).reshape(level.shape)
    landed, z = project(other, (points + shift @ quick.world.from_camera).astype(np.float32))
    landed, z = np.asarray(landed), np.asarray(z)
    np.testing.assert_allclose(match.flow, landed - pixel_grid(W, H), atol=5e-3)
    inside = ((landed > 0) & (landed < (W, H))).all(-1)
    assert (match.occluded[~inside] == 1).all()
    seen = render(quick, other, supersample=1).depth
    column, row = np.clip(landed.astype(int), 0, (W - 1, H - 1)).reshape(-1, 2).T
    window = np.ones((3, 3), np.uint8)
    nearest, farthest = (f(seen, window)[row, column].reshape(H, W) for f in (cv2.erode, cv2.dilate))
    hidden, open_ = inside & (z > 1.05 * farthest), inside & (z < 0.95 * nearest)
    # But for gaps between trees that are narrower than a pixel, and for their tips.
    assert hidden.sum() >= 3
    assert match.occluded[hidden].mean() > 0.95
    # In front of all that the other camera sees there: it has left its sheet.
    assert open_.sum() < 10 or match.occluded[open_].mean() > 0.9
    flat = inside & (np.abs(z / nearest - 1) < 0.01) & (np.abs(z / farthest - 1) < 0.01)
    assert flat.mean() > 0.1
    assert match.occluded[flat].mean() < 0.02


def test_material_leaves_a_fall_at_its_foot(worlds):
    scene = worlds("waterfall")
    fall = scene.surface == 1
    rows = np.flatnonzero(fall.any(1))
    soon = correspondence(scene.world, scene.camera, scene.camera, 12.0).occluded
    middle = fall.copy()
    middle[: rows[0] + (rows[-1] - rows[0]) // 4] = middle[rows[-1] - (rows[-1] - rows[0]) // 4 :] = False
    at_foot = fall.copy()
    at_foot[: rows[-1] - 4] = False
    assert soon[at_foot].mean() > 0.9
    assert soon[middle].mean() < 0.3


@pytest.mark.parametrize("turned", [False, True])
def test_films_show_what_rays_show(quick, turned):
    """Columns against a march for every ray: the same flow and occlusion but for a few pixels, the same pictures."""
    if turned:
        camera = select(generation_cameras(quick.camera, quick.depth), 8)
    else:
        camera = select(cameras_of(quick, "circle", 60), 7)
    shot, exact = Shot(quick.world, camera), correspondence(quick.world, camera, camera, 1.0)
    match = shot.flow(1.0)
    assert (np.abs(match.flow - exact.flow).max(-1) > 1e-3).mean() < 1e-3
    assert (match.occluded != exact.occluded).mean() < 1e-3
    for loop in (False, True):
        shown, traced = shot.picture(12.5, loop), render(quick, camera, 12.5, loop=loop).image
        assert np.abs(shown - traced).mean() < 0.006
        moving = cv2.erode((np.abs(exact.flow).max(-1) > 0).astype(np.uint8), np.ones((5, 5))) > 0
        assert np.abs(shown - traced)[moving].mean() < 0.004


def test_no_film_backwards(quick):
    backwards = dataclasses.replace(quick.camera, rotation=np.diag([-1.0, 1.0, -1.0]).astype(np.float32))
    with pytest.raises(ValueError, match="looks backwards"):
        Shot(quick.world, backwards)


def test_paths_are_those_of_the_pipeline_at_the_scale_of_the_scene(quick):
    scale = depth_scale(quick)
    assert scale == pytest.approx(np.percentile(quick.depth, 1))
    placed, unit = cameras_of(quick, "zoom-in", 60), path_cameras(quick.camera, "zoom-in", 60)
    np.testing.assert_allclose(placed.translation, scale * np.asarray(unit.translation), rtol=1e-6)
    assert not np.asarray(cameras_of(quick, "input", 60).translation).any()
