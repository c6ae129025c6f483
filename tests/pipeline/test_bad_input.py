"""What a user gets wrong: one line that names it, exit code 2, and nothing half-written."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

WIDTH, HEIGHT = 80, 48


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A folder that is all right: a photo and what moves in it."""
    folder = tmp_path / "lake"
    folder.mkdir()
    photo = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    cv2.imwrite(str(folder / "image.png"), photo)
    hint = shape("hint_0", [[20, 40], [50, 40]], "line")
    annotate(folder, shape("motion_0", [[10, 30], [70, 30], [70, 45], [10, 45]]), hint)
    return folder


def shape(label, points, shape_type="polygon"):
    return {"label": label, "points": points, "shape_type": shape_type, "group_id": None, "flags": {}}


def annotate(folder: Path, *shapes: dict) -> None:
    content = {"version": "5.5.0", "shapes": shapes, "imageWidth": WIDTH, "imageHeight": HEIGHT, "imageData": None}
    (folder / "image.json").write_text(json.dumps(content))


def small_photo(folder):
    cv2.imwrite(str(folder / "image.png"), np.zeros((31, 80, 3), np.uint8))


def cut_photo(folder):
    os.truncate(folder / "image.png", (folder / "image.png").stat().st_size // 2)


def no_photo(folder):
    (folder / "image.png").unlink()


def nan_depth(folder):
    depth = np.ones((HEIGHT, WIDTH))
    depth[3, 4] = np.nan
    np.save(folder / "depth.npy", depth)


def negative_depth(folder):
    depth = np.ones((HEIGHT, WIDTH))
    depth[5, 6] = -2
    np.save(folder / "depth.npy", depth)


def no_motion(folder):
    annotate(folder, shape("water", [[1, 1], [9, 1], [9, 9]]), shape("hint_0", [[2, 4], [5, 4]], "line"))


def unknown_shape(folder):
    annotate(folder, shape("motion_0", [[1, 1], [9, 1], [9, 9]], "cuboid"))


def far_point(folder):
    annotate(folder, shape("motion_0", [[10, 30], [83.5, 30], [70, 45]]))


def flat_polygon(folder):
    annotate(folder, shape("motion_0", [[10, 30], [70, 30], [40, 30]]))


def black_mask(folder):
    cv2.imwrite(str(folder / "mask.png"), np.zeros((HEIGHT, WIDTH), np.uint8))


def long_flow(folder):
    np.save(folder / "flow.npy", np.full((HEIGHT, WIDTH, 2), 90.0))


def long_view_flow(folder):
    (folder / "flow").mkdir()
    np.save(folder / "flow" / "view_07.npy", np.full((HEIGHT, WIDTH, 2), 90.0))


def misnamed_flow(folder):
    (folder / "flow").mkdir()
    np.save(folder / "flow" / "seven.npy", np.zeros((HEIGHT, WIDTH, 2)))


def empty_video(folder):
    (folder / "video" / "view_02").mkdir(parents=True)


def no_json(folder):
    (folder / "image.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (small_photo, "image.png: 80x31 px is too small; both sides need at least 32 px"),
        (cut_photo, "image.png: not a complete PNG or JPEG image"),
        (no_photo, "lake: no image.png, image.jpg or image.jpeg in this folder"),
        (nan_depth, "depth.npy: 1 of 3840 values are not valid metric depth (the first is nan in row 3, column 4)"),
        (negative_depth, "1 of 3840 values are not valid metric depth (the first is -2.0 in row 5, column 6)"),
        (no_motion, "image.json: no shape labelled motion*; labels found: hint_0, water"),
        (unknown_shape, "image.json: 'motion_0' is a 'cuboid'; draw it as one of polygon"),
        (far_point, "image.json: 'motion_0' has a point 3.5 px outside the 80x48 image"),
        (flat_polygon, "image.json: no pixel moves in it"),
        (black_mask, "mask.png: no pixel is marked"),
        (long_flow, "flow.npy: the longest vector has 127 px per frame on a 80x48 image"),
        (long_view_flow, "flow/view_07.npy: the longest vector has 127 px per frame on a 80x48 image"),
        (misnamed_flow, "flow/seven.npy: belongs to no view; rename it to view_07"),
        (empty_video, "video/view_02: no PNG or JPEG frames in this folder"),
        (no_json, "image.json: not valid JSON"),
    ],
)  # fmt: skip
def test_a_spoilt_scene(command, error_line, scene, spoil, said):
    spoil(scene)
    done = command(f"--input={scene}", "--workdir=out", "--config.size.width=64")
    assert said in error_line(done)
    assert not [f for f in Path("out").rglob("*") if f.is_file()]


def test_a_photo_that_is_none(command, error_line, tmp_path):
    shutil.copy(__file__, tmp_path / "photo.jpg")
    assert "photo.jpg: not a complete PNG or JPEG" in error_line(command("--input=photo.jpg", "--workdir=out"))
    assert "photo.png: no such file or folder" in error_line(command("--input=photo.png", "--workdir=out"))


def test_a_point_just_outside_is_a_warning(command, scene):
    annotate(scene, shape("motion_0", [[10, 30], [81, 30], [70, 45]]))
    done = command(f"--input={scene}", "--workdir=out", stage="scene")
    assert done.returncode == 0
    assert "warning: image.json: points just outside the image were moved to its border: motion_0" in done.stderr
    assert done.stdout.splitlines()[-1] == str(Path("out", "artifacts", "01_scene.npz"))


def in_its_own_process(repository: Path, folder: Path, first: str) -> subprocess.CompletedProcess:
    """The first stage in a process that has done something to itself before."""
    launch = f"import ctypes, os, resource, sys\n{first}\nos.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    recipe = repository / "configs" / "preview.py"
    words = ["scene", f"--config={recipe}", f"--input={folder}", "--workdir=out", "--config.size.width=64"]
    environment = {**os.environ, "PYTHONPATH": str(repository), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", launch, "-m", "mom3d_jax", *words],
        cwd=folder.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


# Root writes anywhere; prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE) gives that up for what is started next.
BOUND_BY_PERMISSIONS = "if os.geteuid() == 0: assert ctypes.CDLL(None).prctl(24, 1, 0, 0, 0) == 0"
# A write stops in the middle, as on a full disk.
SHORT_FILES = "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))"


@pytest.mark.skipif(sys.platform != "linux", reason="drops a capability of Linux")
def test_a_read_only_work_folder(repository, scene, error_line):
    out = scene.parent / "out"
    out.mkdir()
    out.chmod(0o555)
    try:
        done = in_its_own_process(repository, scene, BOUND_BY_PERMISSIONS)
    finally:
        out.chmod(0o755)
    assert error_line(done).startswith("cannot write out/artifacts/01_scene.json: Permission denied; ")
    assert not list(out.iterdir())


def test_a_full_work_folder(repository, scene, error_line, command):
    done = in_its_own_process(repository, scene, SHORT_FILES)
    assert error_line(done).startswith("cannot write out/artifacts/01_scene.npz: ")
    assert [f.name for f in Path("out").rglob("*") if f.is_file()] == ["01_scene.json"]
    assert command(f"--input={scene}", "--workdir=out", stage="scene").returncode == 0


def test_a_work_folder_that_is_a_file(command, error_line, scene):
    Path("out").write_text("mine")
    done = command(f"--input={scene}", "--workdir=out", "--config.size.width=64")
    assert error_line(done) == "out: this is a file; --workdir takes a folder"
    assert Path("out").read_text() == "mine"


def test_a_work_folder_of_another_input_or_config(command, error_line, scene):
    def attempt(*words):
        return command(f"--input={scene}", "--workdir=out", *words, stage="scene")

    assert attempt().returncode == 0
    file = Path("out", "artifacts", "01_scene.npz")
    first = file.read_bytes()
    line = error_line(attempt("--config.size.focal=70.0"))
    assert line.startswith("out holds results of other settings (size.focal was 0.0, is 70.0")
    assert "add --force" in line
    cv2.imwrite(str(scene / "image.png"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    assert "add --force" in error_line(attempt())
    assert file.read_bytes() == first
    assert attempt("--force").returncode == 0
    assert file.read_bytes() != first
