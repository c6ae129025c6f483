import jax
import numpy as np
import pytest

from mom3d_jax import cameras
from mom3d_jax.cameras.generation import INPUT_VIEW

OFFICIAL = cameras.Rig(yaw=20, pitch=22.5, orbit=5, radius=4.3, cap=0)
"""The constants of the released code."""


def test_official_views_have_the_published_centres_and_extent():
    camera = cameras.input_camera(512, 512, focal=582.69)
    views = cameras.generation_cameras(camera, np.ones((512, 512), np.float32), OFFICIAL)
    centres = np.asarray(cameras.positions(views))
    expected = [[-0.3748, 0, 0.0164], [0, 0.3748, 0.0164], [0, 0, 0], [0, -0.3748, 0.0164], [0.3748, 0, 0.0164]]
    np.testing.assert_allclose(centres[:5], expected, atol=1e-4)
    # The camera extent that the released code derives from its fixed poses.
    extent = 1.1 * np.linalg.norm(centres - centres.mean(0), axis=1).max()
    assert extent == pytest.approx(0.41749, abs=2e-5)


@pytest.mark.parametrize("rig", [cameras.Rig(), OFFICIAL])
def test_input_view_is_the_input_camera_and_inner_views_orbit_one_point(rig):
    camera = cameras.input_camera(64, 36)
    depth = np.linspace(1, 9, 64 * 36, dtype=np.float32).reshape(36, 64)
    views = cameras.generation_cameras(camera, depth, rig)
    np.testing.assert_allclose(views.rotation[INPUT_VIEW], np.eye(3), atol=1e-7)
    np.testing.assert_allclose(views.translation[INPUT_VIEW], 0, atol=1e-7)
    radius = rig.radius or np.median(depth)
    for inner in range(5):
        pixel, z = cameras.project(cameras.select(views, inner), np.array([[0, 0, radius]], np.float32))
        np.testing.assert_allclose(pixel[0], [32, 18], atol=1e-3)
        assert z[0] == pytest.approx(radius, rel=1e-5)


def test_outer_views_turn_by_shares_of_the_field_of_view():
    camera = cameras.input_camera(128, 72)
    views = cameras.generation_cameras(camera, np.full((72, 128), 5.0, np.float32))
    look = np.asarray(views.rotation)[[5 * o + 2 for o in range(5)]][:, 2]
    yaw = np.degrees(np.arctan2(look[:, 0], look[:, 2]))
    pitch = np.degrees(np.arctan2(look[:, 1], look[:, 2]))
    horizontal, vertical = 2 * np.degrees(np.arctan([64 / 128, 36 / 128]))
    np.testing.assert_allclose(yaw, 0.42 * horizontal * np.array([0, 1, -1, 0, 0]), atol=1e-3)
    np.testing.assert_allclose(pitch, 0.47 * vertical * np.array([0, 0, 0, -1, 1]), atol=1e-3)


def test_baseline_is_capped_by_the_near_content():
    camera = cameras.input_camera(100, 100)
    depth = np.full((100, 100), 10.0, np.float32)
    depth[-20:] = 1.0
    views = cameras.generation_cameras(camera, depth)
    near = np.array([[0, 0.4, 1.0]], np.float32)
    reference, _ = cameras.project(cameras.select(views, INPUT_VIEW), near)
    for inner in (0, 1, 3, 4):
        moved, _ = cameras.project(cameras.select(views, inner), near)
        assert np.linalg.norm(np.asarray(moved - reference)) <= 0.085 * 100


def test_paths_have_their_closed_forms():
    camera = cameras.input_camera(64, 36)
    ends = {name: np.asarray(cameras.path_cameras(camera, name).translation)[[0, -1]] for name in cameras.PATHS}
    np.testing.assert_allclose(ends["up-down"], [[0, 0.08, 0], [0, -0.08, 0]], atol=1e-7)
    np.testing.assert_allclose(ends["side"], [[0.09, 0, 0], [-0.09, 0, 0]], atol=1e-7)
    np.testing.assert_allclose(ends["zoom-in"], [[0, 0, 0], [0, 0, -0.24]], atol=1e-7)
    np.testing.assert_allclose(ends["circle"][0], [-0.04, 0, 0.09], atol=1e-7)
    closing = np.asarray(cameras.path_cameras(camera, "circle", 60).translation)
    step = np.linalg.norm(np.diff(closing, axis=0), axis=1).max()
    assert np.linalg.norm(closing[0] - closing[-1]) < 1.5 * step


def test_part_of_a_path_is_its_beginning():
    # The released code shows 59 of 60 poses, and 60 of the 90 of its circle.
    camera = cameras.input_camera(64, 36)
    side = np.asarray(cameras.path_cameras(camera, "side", 59, poses=60).translation)
    np.testing.assert_allclose(side[58], [0.09 - 0.18 * 58 / 59, 0, 0], atol=1e-7)
    circle = np.asarray(cameras.path_cameras(camera, "circle", 60, poses=90).translation)
    b = -2 + 4 * 59 / 90
    np.testing.assert_allclose(
        circle[59], [-0.04 * np.cos(np.pi * b), -0.04 * np.sin(np.pi * b), -0.09 * np.cos(np.pi * b / 2)], atol=1e-6
    )
    with pytest.raises(ValueError, match="30 poses"):
        cameras.path_cameras(camera, "side", 60, poses=30)


@pytest.mark.parametrize(("name", "frames"), [("spiral", 60), ("side", 0)])
def test_bad_paths_are_refused(name, frames):
    with pytest.raises(ValueError, match=r"spiral|at least one frame"):
        cameras.path_cameras(cameras.input_camera(8, 8), name, frames)


def test_thirty_views_are_the_twenty_five_and_the_same_orbit_seen_from_a_step_ahead():
    camera = cameras.input_camera(64, 36)
    depth = np.linspace(1, 9, 64 * 36, dtype=np.float32).reshape(36, 64)
    less, more = (cameras.generation_cameras(camera, depth, cameras.Rig(count=n)) for n in (25, 30))
    np.testing.assert_array_equal(more.rotation[:25], less.rotation)
    np.testing.assert_array_equal(more.translation[:25], less.translation)
    zoom = np.asarray(cameras.positions(cameras.path_cameras(camera, "zoom-in")))[-1]
    np.testing.assert_allclose(np.asarray(cameras.positions(more))[27], zoom / 2, atol=1e-6)
    # A point where the input camera's orbit point was, a step ahead, keeps its place in all five inner views.
    for inner in range(25, 30):
        pixel, _ = cameras.project(
            cameras.select(more, inner), np.array([[0, 0, np.median(depth) + cameras.generation.AHEAD]], np.float32)
        )
        np.testing.assert_allclose(pixel[0], [32, 18], atol=1e-3)


def test_heldout_views_are_six_poses_on_the_same_orbit():
    camera = cameras.input_camera(64, 36)
    depth = np.full((36, 64), 4.0, np.float32)
    heldout = cameras.heldout_cameras(camera, depth, cameras.Rig(cap=0))
    look = np.asarray(heldout.rotation)[:, 2]
    yaw, pitch = np.degrees(np.arctan2(look[:, 0], look[:, 2])), np.degrees(np.arcsin(look[:, 1]))
    asked = {(3, 2), (3, -2), (-3, 2), (-3, -2), (0, 4), (0, -4)}
    assert {(round(float(y), 2) + 0.0, round(float(p), 1) + 0.0) for y, p in zip(yaw, pitch, strict=True)} == asked
    pixel, _ = jax.vmap(cameras.project, in_axes=(0, None))(heldout, np.array([0, 0, 4], np.float32))
    np.testing.assert_allclose(pixel, np.broadcast_to([32, 18], (6, 2)), atol=0.1)


def test_the_cap_shrinks_heldout_and_generation_orbits_alike():
    camera = cameras.input_camera(64, 36)
    depth = np.linspace(1, 9, 64 * 36, dtype=np.float32).reshape(36, 64)
    reach = [
        [np.linalg.norm(np.asarray(cameras.positions(make(camera, depth, rig))), axis=1).max() for rig in rigs]
        for make in (cameras.generation_cameras, cameras.heldout_cameras)
        for rigs in [(cameras.Rig(), cameras.Rig(cap=0))]
    ]
    assert reach[0][0] < 0.9 * reach[0][1]
    assert reach[1][0] / reach[1][1] == pytest.approx(reach[0][0] / reach[0][1], rel=0.01)


@pytest.mark.parametrize("wrong", [{"count": 24}, {"yaw": -1.0}, {"radius": float("nan")}])
def test_impossible_rigs_are_refused(wrong):
    with pytest.raises(ValueError, match=f"views.{next(iter(wrong))}="):
        cameras.Rig(**wrong)
