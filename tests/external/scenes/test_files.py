"""Static scenes that somebody else made, as files: in our unit, moving where and as the photo does."""

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from mom3d_jax.cameras import input_camera, pixel_grid, project, select, unproject
from mom3d_jax.export import write_ply
from mom3d_jax.export.ply import header
from mom3d_jax.gaussians import isotropic
from mom3d_jax.inputs import InputError, find_files
from mom3d_jax.stages.given import read_given

WIDTH, HEIGHT, UNIT = 64, 36, 7.5
CAMERA = input_camera(WIDTH, HEIGHT)
STRIP = 12 * HEIGHT


def strip_right_of_the_photo(z):
    """A wall of points that begins beyond the right border of the photo, in our unit, and their colour."""
    pixels = pixel_grid(12, HEIGHT) + np.array([WIDTH + 2.0, 0.0])
    points = np.asarray(unproject(CAMERA, pixels.astype(np.float32), np.full(pixels.shape[:2], z, np.float32)))
    return points.reshape(-1, 3), np.full((points.size // 3, 3), [0.25, 0.5, 0.75])


def foreign(plain, extra=True):
    """The photo's points and a strip beyond it, in another unit, without order."""
    cloud = plain("pointcloud")
    points, colors = np.asarray(cloud.points), np.asarray(cloud.colors)
    if extra:
        more = strip_right_of_the_photo(float(np.median(points[:, 2])))
        points, colors = np.concatenate([points, more[0]]), np.concatenate([colors, more[1]])
    order = np.random.default_rng(3).permutation(len(points))
    return points[order] / UNIT, colors[order], order


def write_gsplat(path, points, colors):
    deviation = 0.5 * np.linalg.norm(points, axis=-1) / WIDTH
    write_ply(path, isotropic(points, colors, deviation, sh_degree=1, opacity=0.9))


def write_mask(scene, view, rows):
    """A mask of a view that marks its first rows."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:rows] = 255
    (scene / "mask").mkdir(exist_ok=True)
    cv2.imwrite(str(scene / "mask" / f"view_{view:02d}.png"), mask)


def seen_in(camera, points):
    """Pixels, and which of the points the camera shows."""
    pixels, z = (np.asarray(a) for a in project(camera, points))
    return pixels, (z > 0) & (pixels > 0).all(-1) & (pixels < [WIDTH, HEIGHT]).all(-1)


def test_a_ready_scene_is_taken_as_it_is_in_our_unit(scene, plain, wider):
    points, colors, order = foreign(plain)
    write_gsplat(scene / "gsplat.ply", points, colors)
    theirs, figures = wider()
    assert theirs.ready
    assert figures["scale"] == pytest.approx(UNIT, rel=1e-4)
    assert figures["source"] == "gsplat.ply"
    assert figures["beyond_the_photo"] == STRIP
    # All of it, where it belongs, half a pixel wide; colours in the file's degree.
    g = theirs.gaussians
    np.testing.assert_allclose(g.means, UNIT * points, rtol=1e-4)
    half_a_pixel = 0.5 * UNIT * np.linalg.norm(points, axis=-1, keepdims=True) / WIDTH
    np.testing.assert_allclose(np.exp(g.log_scales), half_a_pixel * [1, 1, 1], rtol=1e-4)
    assert g.sh.shape[1] == 4
    # What moves in the photo moves, and nothing of the strip.
    moving = np.append(np.asarray(plain("pointcloud").mask) > 0.5, np.zeros(STRIP, bool))[order]
    assert theirs.moves[moving].all()
    assert not theirs.moves[order >= WIDTH * HEIGHT].any()
    assert theirs.moves.sum() == pytest.approx(moving.sum(), rel=0.15)


def test_it_moves_as_the_photo_does_and_where_masks_of_views_say(scene, config, plain, again):
    config.stage1.steps = 2
    points, colors, order = foreign(plain)
    write_gsplat(scene / "gsplat.ply", points, colors)
    # The view that shows most of the strip; its upper half is marked, and the same in the photo's part.
    views, strip = plain("views"), UNIT * points[order >= WIDTH * HEIGHT]
    shown = [int(seen_in(select(views.cameras, v), strip)[1].sum()) for v in range(len(views.accepted))]
    best = int(np.argmax(shown))
    assert shown[best] > 50
    write_mask(scene, best, HEIGHT // 2)
    result, figures = again()
    g, table = result("stage1")["gaussians"], result("displacements")
    cloud, flow = plain("pointcloud"), plain("motion3d")
    assert figures["stage1"]["steps"] == 0  # it is fitted already
    alive = np.asarray(g.alive)
    assert alive.sum() == len(points)
    assert cKDTree(g.means[alive]).query(UNIT * points)[0].max() < 1e-3
    rows = np.flatnonzero(alive[: g.movable])
    beyond = np.asarray(project(CAMERA, g.means[rows])[0])[:, 0] > WIDTH
    # Beyond the photo the mask speaks, and what moves there travels with the nearest that moves.
    assert 10 < beyond.sum() < shown[best]
    assert np.asarray(project(select(views.cameras, best), g.means[rows[beyond]])[0])[:, 1].max() < HEIGHT / 2 + 1
    assert (np.linalg.norm(table.forward[1][rows[beyond]], axis=-1) > 0).all()
    # In the photo it does not, and each moves as its own point of the photo.
    rows = rows[~beyond]
    own = plain("stage1")["gaussians"]
    assert len(rows) == pytest.approx(own.alive[: own.movable].sum(), rel=0.15)
    nearest = np.array([np.argmin(((cloud.points - m) ** 2).sum(-1)) for m in g.means[rows]])
    np.testing.assert_allclose(cloud.points[nearest], g.means[rows], rtol=1e-3, atol=1e-3)
    motion = np.asarray(flow.motion)[nearest]
    assert np.abs(motion).max() > 0
    np.testing.assert_allclose(table.forward[1][rows], motion, atol=1e-3 * np.abs(motion).max())
    np.testing.assert_array_equal(table.forward[0][rows], 0)
    assert table.forward_spread.shape == table.forward.shape[:2]


def test_a_mask_of_a_view_that_there_is_not(scene, plain, wider):
    write_gsplat(scene / "gsplat.ply", *foreign(plain)[:2])
    write_mask(scene, 99, 1)
    with pytest.raises(InputError, match=r"view_99\.png: there is no view 99, only 0 to 24; rename it"):
        wider()


def test_a_cloud_adds_what_the_photo_does_not_show(scene, config, plain, again):
    config.stage1.steps = 2
    points, colors, order = foreign(plain)
    np.savez(scene / "cloud.npz", points=points, colors=colors, mask=(order % 2 == 0).astype(np.float32))
    result, figures = again()
    g, own = result("stage1")["gaussians"], plain("stage1")["gaussians"]
    wider = figures["stage1"]["wider"]
    assert wider["gaussians"] == STRIP
    assert wider["moving"] == STRIP // 2
    assert g.alive.sum() == own.alive.sum() + STRIP
    assert g.alive[: g.movable].sum() == own.alive[: own.movable].sum() + STRIP // 2
    assert figures["stage1"]["steps"] == 2
    x = np.asarray(project(CAMERA, g.means)[0])[:, 0]
    strip = np.asarray(g.alive) & (x > WIDTH + 1)
    assert strip.sum() == STRIP
    np.testing.assert_allclose(0.5 + 0.28209479 * g.sh[strip, 0], np.tile([0.25, 0.5, 0.75], (STRIP, 1)), atol=0.1)
    # The photo's own Gaussians keep the motion that they have without the cloud.
    table, before = result("displacements"), plain("displacements")
    theirs = np.flatnonzero(strip[: g.movable])
    rest = np.flatnonzero(np.asarray(g.alive[: g.movable]) & ~strip[: g.movable])
    assert len(rest) == own.alive[: own.movable].sum()
    np.testing.assert_allclose(
        table.forward[3][rest], before.forward[3][np.flatnonzero(own.alive[: own.movable])], rtol=0.05, atol=2e-3
    )
    assert (np.linalg.norm(table.forward[1][theirs], axis=-1) > 0).all()


def test_a_cloud_may_be_a_ply(scene):
    rng = np.random.default_rng(5)
    points, colors, mask = rng.random((9, 3), np.float32), rng.integers(0, 256, (9, 3), np.uint8), np.arange(9) % 2
    kinds = [(n, "<f4") for n in "xyz"] + [(n, "u1") for n in ("red", "green", "blue")] + [("mask", "<f4")]
    head = header(9, [n for n, _ in kinds]).decode()
    for name in ("red", "green", "blue"):
        head = head.replace(f"float {name}", f"uchar {name}")
    rows = np.rec.fromarrays([*points.T, *colors.T, mask], dtype=kinds)
    (scene / "cloud.ply").write_bytes(head.encode() + rows.tobytes())
    given = read_given(find_files(scene))
    np.testing.assert_array_equal(given.points, points)
    np.testing.assert_allclose(given.colors, colors / 255, rtol=1e-6)
    np.testing.assert_array_equal(given.mask, mask)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: (f / "gsplat.ply").write_text("no"), r"gsplat\.ply is not a PLY file"),
        (lambda f: (f / "cloud.npz").write_text("no"), r"cloud\.npz: not a point cloud"),
        (lambda f: np.savez(f / "cloud.npz", points=np.ones((3, 3))), r"cloud\.npz: not a point cloud .*colors"),
        (lambda f: np.savez(f / "cloud.npz", points=np.ones((3, 2)), colors=np.ones((3, 3))), r"points \[3, 2\] with"),
        (lambda f: np.savez(f / "cloud.npz", points=np.ones((3, 3)), colors=np.full((3, 3), 9.0)), "outside"),
        (
            lambda f: [np.savez(f / "cloud.npz", points=np.ones((9, 3))), (f / "gsplat.ply").write_text("no")],
            r"gsplat\.ply and cloud\.npz are both there; keep one",
        ),
    ],
)
def test_files_that_cannot_be_used(scene, make, said):
    make(scene)
    with pytest.raises(InputError, match=said):
        read_given(find_files(scene))


def test_a_cloud_that_is_somewhere_else(scene, wider):
    np.savez(scene / "cloud.npz", points=-np.ones((9, 3)), colors=np.ones((9, 3)))
    said = r"cloud\.npz: its points cover 0\.0% of the photo: the world has to be the photo's camera"
    with pytest.raises(InputError, match=said):
        wider()


def test_another_depth_is_told(scene, plain, wider, caplog):
    points, colors, _ = foreign(plain, extra=False)
    points = points * (1 + 3 * (points[:, :1] > 0))  # the right half four times as far away
    np.savez(scene / "cloud.npz", points=points, colors=colors)
    wider()
    assert "cloud.npz: its depth and ours agree within" in caplog.text


def test_files_come_before_a_model(scene, config, plain, wider, caplog):
    write_gsplat(scene / "gsplat.ply", *foreign(plain)[:2])
    config.scene.model = "luciddreamer"
    assert wider()[1]["source"] == "gsplat.ply"
    assert "the static scene among the files is used instead of luciddreamer" in caplog.text
