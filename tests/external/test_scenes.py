"""Static scenes that somebody else made, as files and from models: in our unit, moving where and as the photo does."""

import dataclasses
import shutil
import sys

import cv2
import jax
import numpy as np
import pytest
from scipy.spatial import cKDTree

from mom3d_jax import artifacts, pipeline
from mom3d_jax.cameras import input_camera, pixel_grid, project, unproject
from mom3d_jax.config import default_config, external_model
from mom3d_jax.export import write_ply
from mom3d_jax.export.ply import header
from mom3d_jax.gaussians import isotropic
from mom3d_jax.inputs import InputError
from mom3d_jax.synthetic import landscape, write_scene

WIDTH, HEIGHT, UNIT = 64, 36, 7.5
CAMERA = input_camera(WIDTH, HEIGHT)


def config(folder):
    """The path up to the displacements in seconds."""
    c = default_config()
    c.input = str(folder)
    c.size.width = WIDTH
    c.time.frames = c.render.frames = 6
    c.stage1.steps = 2
    return c


def artifact(workdir, name):
    return artifacts.load(pipeline.artifact_file(workdir, name))


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "lake"
    write_scene(folder, landscape(seed=0, width=96, height=54))
    return folder


@pytest.fixture(scope="module")
def plain(lake, tmp_path_factory):
    """The pipeline without a foreign scene."""
    workdir = tmp_path_factory.mktemp("plain")
    pipeline.run(config(lake), workdir, until="displacements")
    return workdir


@pytest.fixture
def scene(lake, tmp_path):
    """A copy of the scene that a test may add files to."""
    return shutil.copytree(lake, tmp_path / "lake")


@pytest.fixture
def again(plain, tmp_path):
    """Run on from what is the same without a foreign scene."""

    def run(c, until="displacements"):
        workdir = tmp_path / "out"
        shutil.copytree(plain, workdir, dirs_exist_ok=True)
        return workdir, pipeline.run(c, workdir, until=until, force=True)

    return run


def strip_right_of_the_photo(z):
    """A wall of points that begins beyond the right border of the photo, in our unit, and their colour."""
    pixels = pixel_grid(12, HEIGHT) + np.array([WIDTH + 2.0, 0.0])
    points = np.asarray(unproject(CAMERA, pixels.astype(np.float32), np.full(pixels.shape[:2], z, np.float32)))
    return points.reshape(-1, 3), np.full((points.size // 3, 3), [0.25, 0.5, 0.75])


def foreign(plain, extra=True):
    """The photo's points and a strip beyond it, in another unit, without order."""
    cloud = artifact(plain, "pointcloud")
    points, colors = np.asarray(cloud.points), np.asarray(cloud.colors)
    if extra:
        more = strip_right_of_the_photo(float(np.median(points[:, 2])))
        points, colors = np.concatenate([points, more[0]]), np.concatenate([colors, more[1]])
    order = np.random.default_rng(3).permutation(len(points))
    return points[order] / UNIT, colors[order], order


def write_gsplat(path, points, colors):
    deviation = 0.5 * np.linalg.norm(points, axis=-1) / WIDTH
    write_ply(path, isotropic(points, colors, deviation, sh_degree=1, opacity=0.9))


def test_a_ready_scene_is_taken_as_it_is_in_our_unit(scene, plain, again):
    points, colors, _ = foreign(plain)
    write_gsplat(scene / "gsplat.ply", points, colors)
    workdir, figures = again(config(scene))
    static, wider = artifact(workdir, "stage1"), figures["stage1"]["wider"]
    own = artifact(plain, "stage1")["gaussians"]
    g = static["gaussians"]
    assert figures["stage1"]["steps"] == 0
    assert wider["scale"] == pytest.approx(UNIT, rel=1e-4)
    assert wider["source"] == "gsplat.ply"
    assert wider["beyond_the_photo"] == 12 * HEIGHT
    # All of it, where it belongs, half a pixel wide; colours in the file's degree.
    alive = np.asarray(g.alive)
    assert alive.sum() == len(points)
    nearest, _ = cKDTree(g.means[alive]).query(UNIT * points)
    assert nearest.max() < 1e-3
    distance = np.linalg.norm(g.means[alive], axis=-1)
    np.testing.assert_allclose(np.exp(g.log_scales[alive]), 0.5 * distance[:, None] / WIDTH * [1, 1, 1], rtol=1e-4)
    assert g.sh.shape[1] == 4
    # What moves in the photo moves, and nothing of the strip.
    assert g.alive[: g.movable].sum() == pytest.approx(own.alive[: own.movable].sum(), rel=0.15)
    inside = np.asarray(project(CAMERA, g.means[: g.movable])[0])[:, 0] < WIDTH
    assert inside.all()


def test_it_moves_as_the_photo_does(scene, plain, again):
    points, colors, _ = foreign(plain)
    write_gsplat(scene / "gsplat.ply", points, colors)
    workdir, _ = again(config(scene))
    theirs, table = artifact(workdir, "stage1")["gaussians"], artifact(workdir, "displacements")
    cloud, flow = artifact(plain, "pointcloud"), artifact(plain, "motion3d")
    rows = np.flatnonzero(theirs.alive[: theirs.movable])
    nearest = np.array([np.argmin(((cloud.points - m) ** 2).sum(-1)) for m in theirs.means[rows]])
    np.testing.assert_allclose(cloud.points[nearest], theirs.means[rows], rtol=1e-3, atol=1e-3)
    motion = np.asarray(flow.motion)[nearest]
    assert np.abs(motion).max() > 0
    np.testing.assert_allclose(table.forward[1][rows], motion, atol=1e-3 * np.abs(motion).max())
    np.testing.assert_array_equal(table.forward[0][rows], 0)
    assert table.forward_spread.shape == table.forward.shape[:2]


def test_masks_of_views_say_what_moves_beyond_the_photo(scene, plain, again):
    points, colors, order = foreign(plain)
    write_gsplat(scene / "gsplat.ply", points, colors)
    strip = UNIT * points[order >= WIDTH * HEIGHT]
    views = artifact(plain, "views")
    # The view that shows most of the strip; its upper half is marked, and the same in the photo's part.
    shown = []
    for v in range(len(views.accepted)):
        pixels, z = map(np.asarray, project(jax.tree.map(lambda a, v=v: a[v], views.cameras), strip))
        shown.append(int(((z > 0) & (pixels > 0).all(-1) & (pixels < [WIDTH, HEIGHT]).all(-1)).sum()))
    best = int(np.argmax(shown))
    assert shown[best] > 50
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[: HEIGHT // 2] = 255
    (scene / "mask").mkdir()
    cv2.imwrite(str(scene / "mask" / f"view_{best:02d}.png"), mask)
    workdir, _ = again(config(scene))
    g = artifact(workdir, "stage1")["gaussians"]
    camera = jax.tree.map(lambda a: a[best], views.cameras)
    movable = np.asarray(g.means[: g.movable])[np.asarray(g.alive[: g.movable])]
    beyond = movable[np.asarray(project(CAMERA, movable)[0])[:, 0] > WIDTH]
    assert 10 < len(beyond) < shown[best]
    assert np.asarray(project(camera, beyond)[0])[:, 1].max() < HEIGHT / 2 + 1
    # What has no moving point of its own travels with the nearest.
    table = artifact(workdir, "displacements")
    rows = np.flatnonzero(np.asarray(project(CAMERA, g.means[: g.movable])[0])[:, 0] > WIDTH)
    assert (np.linalg.norm(table.forward[1][rows], axis=-1) > 0).all()
    bad = scene / "mask" / "view_99.png"
    cv2.imwrite(str(bad), mask)
    with pytest.raises(InputError, match=r"view_99\.png: there is no view 99, only 0 to 24; rename it"):
        again(config(scene), "stage1")


@pytest.mark.parametrize("form", ["ply", "npz"])
def test_a_cloud_adds_what_the_photo_does_not_show(scene, plain, again, form):
    points, colors, order = foreign(plain)
    mask = (order % 2 == 0).astype(np.float32)
    if form == "npz":
        np.savez(scene / "cloud.npz", points=points, colors=colors, mask=mask)
    else:
        kinds = [(n, "<f4") for n in "xyz"] + [(n, "u1") for n in ("red", "green", "blue")] + [("mask", "<f4")]
        rows = np.rec.fromarrays([*points.T, *np.round(255 * colors).astype(np.uint8).T, mask], dtype=kinds)
        head = header(len(rows), [n for n, _ in kinds]).decode()
        for name in ("red", "green", "blue"):
            head = head.replace(f"float {name}", f"uchar {name}")
        (scene / "cloud.ply").write_bytes(head.encode() + rows.tobytes())
    workdir, figures = again(config(scene))
    g, own = artifact(workdir, "stage1")["gaussians"], artifact(plain, "stage1")["gaussians"]
    wider = figures["stage1"]["wider"]
    assert wider["gaussians"] == 12 * HEIGHT
    assert wider["moving"] == 6 * HEIGHT
    assert g.alive.sum() == own.alive.sum() + 12 * HEIGHT
    assert g.alive[: g.movable].sum() == own.alive[: own.movable].sum() + 6 * HEIGHT
    assert figures["stage1"]["steps"] == 2
    x = np.asarray(project(CAMERA, g.means)[0])[:, 0]
    strip = np.asarray(g.alive) & (x > WIDTH + 1)
    assert strip.sum() == 12 * HEIGHT
    np.testing.assert_allclose(
        0.5 + 0.28209479 * g.sh[strip, 0], np.tile([0.25, 0.5, 0.75], (12 * HEIGHT, 1)), atol=0.1
    )
    # The photo's own Gaussians keep the motion that they have without the cloud.
    table, before = artifact(workdir, "displacements"), artifact(plain, "displacements")
    theirs = np.flatnonzero(strip[: g.movable])
    rest = np.flatnonzero(np.asarray(g.alive[: g.movable]) & ~strip[: g.movable])
    assert len(rest) == own.alive[: own.movable].sum()
    np.testing.assert_allclose(
        table.forward[3][rest], before.forward[3][np.flatnonzero(own.alive[: own.movable])], rtol=0.05, atol=2e-3
    )
    assert (np.linalg.norm(table.forward[1][theirs], axis=-1) > 0).all()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: (f / "gsplat.ply").write_text("no"), r"gsplat\.ply is not a PLY file"),
        (lambda f: (f / "cloud.npz").write_text("no"), r"cloud\.npz: not a point cloud"),
        (lambda f: np.savez(f / "cloud.npz", points=np.ones((3, 3))), r"cloud\.npz: not a point cloud .*colors"),
        (lambda f: np.savez(f / "cloud.npz", points=np.ones((3, 2)), colors=np.ones((3, 3))), r"points \[3, 2\] with"),
        (lambda f: np.savez(f / "cloud.npz", points=np.ones((3, 3)), colors=np.full((3, 3), 9.0)), "outside"),
        (
            lambda f: np.savez(f / "cloud.npz", points=-np.ones((9, 3)), colors=np.ones((9, 3))),
            r"cloud\.npz: its points cover 0\.0% of the photo: the world has to be the photo's camera",
        ),
        (
            lambda f: [np.savez(f / "cloud.npz", points=np.ones((9, 3))), (f / "gsplat.ply").write_text("no")],
            r"gsplat\.ply and cloud\.npz are both there; keep one",
        ),
    ],
)
def test_files_that_cannot_be_used(scene, again, make, said):
    make(scene)
    with pytest.raises(InputError, match=said):
        again(config(scene), "stage1")


def test_another_depth_is_told(scene, plain, again, caplog):
    points, colors, _ = foreign(plain, extra=False)
    points = points * (1 + 3 * (points[:, :1] > 0))  # the right half four times as far away
    np.savez(scene / "cloud.npz", points=points, colors=colors)
    again(config(scene), "stage1")
    assert "cloud.npz: its depth and ours agree within" in caplog.text


MODEL = """
for number, item in enumerate(request["items"]):
    given = arrays(number)
    h, w = given["depth"].shape
    (fx, fy), (cx, cy) = item["values"]["focal"], item["values"]["centre"]
    v, u = np.mgrid[:h, :w] + 0.5
    z = given["depth"]
    points = np.stack([(u - cx) / fx * z, (v - cy) / fy * z, z], -1).reshape(-1, 3)
    far = float(np.median(z))
    camera = np.eye(4)
    camera[0, 3] = -far / 4
    note(given["cameras"].shape)
    draft(number, points=points, colors=given["image"].reshape(-1, 3), cameras=camera[None],
          intrinsics=np.array([[2 * fx, 2 * fy, 2 * cx, 2 * cy]]),
          images=np.full((1, 2 * h, 2 * w, 3), 200, np.uint8))
finish({})
"""


@pytest.fixture
def asked(scene, prelude, tmp_path):
    """The config of a scene model that is the text given."""

    def make(body=MODEL):
        worker = tmp_path / "worker.py"
        worker.write_text(prelude + body)
        c = config(scene)
        c.external.mine = external_model()
        settings = {"worker": str(worker), "python": sys.executable, "device": "cpu", "timeout": 120.0, "task": "scene"}
        c.external.mine.update(settings)
        c.external.mine.environment.NOTES = str(tmp_path / "notes.txt")
        c.scene.model = "mine"
        return c

    return make


def test_what_the_images_of_a_model_show_is_added(asked, again, plain, tmp_path):
    workdir, figures = again(asked(), "stage1")
    wider = figures["stage1"]["wider"]
    assert wider["source"] == wider["external"]["name"] == "mine"
    assert wider["scale"] == pytest.approx(1, rel=1e-4)
    assert (tmp_path / "notes.txt").read_text() == "(25, 4, 4)\n"
    g, own = artifact(workdir, "stage1")["gaussians"], artifact(plain, "stage1")["gaussians"]
    assert wider["gaussians"] > 50
    assert g.alive.sum() == own.alive.sum() + wider["gaussians"]
    # New points lie where the second camera looks and the photo does not, a part of them to its right.
    x = np.asarray(project(CAMERA, g.means)[0])[:, 0]
    new = np.asarray(g.alive) & (x > WIDTH)
    assert new.sum() > 30
    np.testing.assert_allclose(0.5 + 0.28209479 * g.sh[new, 0], 200 / 255, atol=0.1)
    assert not (np.asarray(g.alive) & (x > 2 * WIDTH)).any()


def test_a_model_may_say_what_is_new_in_its_images(asked, again):
    body = MODEL.replace("note(", "new = np.zeros((1, 2 * h, 2 * w))\n    new[:, :h] = 1\n    note(")
    body = body.replace("draft(number,", "draft(number, new=new,")
    workdir, _ = again(asked(body), "stage1")
    g = artifact(workdir, "stage1")["gaussians"]
    pixels = np.asarray(project(CAMERA, g.means)[0])
    beyond = np.asarray(g.alive) & (pixels[:, 0] > WIDTH)
    assert beyond.sum() > 10
    assert (pixels[beyond, 1] < HEIGHT / 2).all()


def test_a_scene_model_that_fails_may_fall_back(asked, again, plain):
    c = asked("raise RuntimeError('no stars')")
    with pytest.raises(ValueError, match="mine: exit code 1: RuntimeError: no stars"):
        again(c, "stage1")
    c.external.mine.fallback = "builtin"
    workdir, figures = again(c, "stage1")
    assert "no stars" in figures["stage1"]["wider"]["fallback"]
    same = dataclasses.astuple(artifact(workdir, "stage1")["gaussians"])
    for mine, theirs in zip(same, dataclasses.astuple(artifact(plain, "stage1")["gaussians"]), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_files_come_before_the_model(asked, scene, again, plain, caplog):
    points, colors, _ = foreign(plain)
    write_gsplat(scene / "gsplat.ply", points, colors)
    _, figures = again(asked("raise RuntimeError"), "stage1")
    assert figures["stage1"]["wider"]["source"] == "gsplat.ply"
    assert "the static scene among the files is used instead of mine" in caplog.text
