"""The validation set of Holynski et al. in its published layout, made small."""

import pickle
import sys

import cv2
import lz4.frame
import numpy as np
import pytest

from mom3d_jax.cameras import input_camera, path_cameras
from mom3d_jax.evaluation import holynski, recordings
from mom3d_jax.evaluation.samples import INPUT_PATH
from mom3d_jax.evaluation.truth_views import truth_clip
from mom3d_jax.export.video import write_video
from mom3d_jax.inputs import InputError, load_scene

WIDTH, HEIGHT, FRAMES = 64, 36, 6
NAMES = ("00980_00000", "01010_00120")
TORCH = ("torch_pickled.pth", "torch_saved.pth", "torch_saved_legacy.pth")
"""Written by torch 2.13 and py-lz4framed 0.14: pickle.dumps(tensor), and torch.save in its two formats."""


def recording(seed):
    """Frames whose lower half drifts to the right by 2 px per frame, and its motion [1, 2, h, w]."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    down = y >= HEIGHT // 2
    frames = np.stack([0.5 + 0.3 * np.sin(0.2 * (x - 2 * k * down) + 0.15 * y + seed) for k in range(FRAMES)])
    motion = np.stack([2 * down, 0.01 * down])[None].astype(np.float32)
    return np.repeat(frames[..., None], 3, -1).astype(np.float32), motion


def put_motion(path, data):
    path.write_bytes(lz4.frame.compress(data if isinstance(data, bytes) else pickle.dumps(data)))


def put_video(path, frames):
    write_video(path, frames, fps=30)


@pytest.fixture
def validation(tmp_path):
    folder = tmp_path / "validation"
    folder.mkdir()
    for seed, name in enumerate(NAMES):
        frames, motion = recording(seed)
        cv2.imwrite(str(folder / f"{name}_input.jpg"), np.round(255 * frames[0]), [cv2.IMWRITE_JPEG_QUALITY, 98])
        put_video(folder / f"{name}_gt.mp4", frames)
        put_motion(folder / f"{name}_motion.pth", motion)
    (folder / "00980_00000_sparse_motion.flo").write_bytes(b"")
    (folder / "readme.txt").write_text("by its authors")
    return folder


def test_end_to_end(validation, tmp_path):
    """Read, made into an input of the pipeline, and its true views rendered."""
    entries = holynski.read(validation)
    assert [entry.name for entry in entries] == list(NAMES)
    assert entries[0].hints == validation / "00980_00000_sparse_motion.flo"
    assert entries[1].hints is None
    truth, motion = recording(1)
    size = holynski.write_input(entries[1], tmp_path / "in", 0)
    assert size == (WIDTH, HEIGHT)
    scene = load_scene(tmp_path / "in", 0)
    np.testing.assert_array_equal(scene.flow, np.moveaxis(motion[0], 0, -1))
    np.testing.assert_array_equal(scene.mask, motion[0, 0] > 0)
    assert np.abs(scene.image - truth[0]).max() < 0.03

    frames, notes = holynski.frames_at(entries[1], FRAMES, size)
    assert frames.shape == (FRAMES, HEIGHT, WIDTH, 3)
    assert np.sqrt(np.mean((frames - truth) ** 2)) < 0.02
    assert notes == ()
    camera = input_camera(*size)
    flat = np.ones((HEIGHT, WIDTH), np.float32)
    clip = truth_clip(frames, flat, scene.mask > 0.5, camera, path_cameras(camera, "side", FRAMES))
    assert clip.frames.shape == (FRAMES, HEIGHT, WIDTH, 3)
    # At t = (0.09, 0, 0) the plane z = 1 lies 5.76 px farther to the right.
    np.testing.assert_allclose(clip.frames[0][:, 7:] / 255, truth_at(0, 0.09)[:, 7:], atol=0.05)
    np.testing.assert_allclose(clip.frames[-1][:, :-7] / 255, truth_at(FRAMES - 1, -0.09)[:, :-7], atol=0.05)
    assert clip.valid[0][:, 7:].all()
    assert not clip.valid[0][:, :6].any()
    np.testing.assert_array_equal(clip.moving, clip.valid * (np.arange(HEIGHT) >= HEIGHT // 2)[:, None])


def truth_at(k, shift):
    x, y = np.meshgrid(np.arange(WIDTH) - shift * WIDTH, np.arange(HEIGHT))
    down = y >= HEIGHT // 2
    return np.repeat((0.5 + 0.3 * np.sin(0.2 * (x - 2 * k * down) + 0.15 * y + 1))[..., None], 3, -1)


def test_smaller(validation, tmp_path):
    """Motion counts px of the size that is written."""
    entry = holynski.Entry(NAMES[0], *(validation / f"{NAMES[0]}{holynski.PARTS[p]}" for p in holynski.NEEDED))
    frames, motion = recording(0)
    big = np.repeat(np.repeat(frames[0], 2, 0), 2, 1)
    cv2.imwrite(str(entry.image), np.round(255 * big))
    assert holynski.write_input(entry, tmp_path / "in", WIDTH) == (WIDTH, HEIGHT)
    put_motion(entry.motion, 2 * np.repeat(np.repeat(motion, 2, 2), 2, 3))
    np.testing.assert_allclose(holynski.motion_at(entry, (WIDTH, HEIGHT)), np.moveaxis(motion[0], 0, -1), atol=1e-6)
    assert holynski.motion_at(entry, (WIDTH, HEIGHT)).dtype == np.float32


@pytest.mark.parametrize("name", TORCH)
def test_written_by_torch(repository, name):
    motion = holynski.load_motion(repository / "tests" / "evaluation" / name)
    want = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 8 - 1
    np.testing.assert_array_equal(motion, np.moveaxis(want, 0, -1))


def test_a_video_of_another_moment_is_told(validation):
    entry = holynski.read(validation)[0]
    put_video(entry.video, recording(0)[0][::-1])
    _, notes = holynski.frames_at(entry, FRAMES, (WIDTH, HEIGHT))
    assert len(notes) == 1
    assert "00980_00000_gt.mp4: its first frame is only" in notes[0]


@pytest.mark.parametrize(
    ("break_it", "line"),
    [
        (lambda d: (d / "00980_00000_gt.mp4").unlink(), "00980_00000_gt.mp4 missing"),
        (
            lambda d: [(d / f"00980_00000{e}").unlink() for e in ("_input.jpg", "_motion.pth")],
            "00980_00000_input.jpg and 00980_00000_motion.pth missing; fetch what is missing, or remove 00980_00000_",
        ),
        (lambda d: (d / "lake_gt.mp4").write_bytes(b""), "lake_gt.mp4: not called SSSSS_FFFFF_gt.mp4"),
        (lambda d: [f.unlink() for f in d.iterdir()], "no SSSSS_FFFFF_gt.mp4 in it"),
        (lambda d: [*(f.unlink() for f in d.iterdir()), d.rmdir()], "no such folder"),
    ],
)
def test_incomplete_folders(validation, break_it, line):
    break_it(validation)
    with pytest.raises(InputError, match=line) as error:
        holynski.read(validation)
    assert str(validation) in str(error.value)
    assert "\n" not in str(error.value)


NAN = np.where(np.arange(WIDTH) == 3, np.nan, np.ones((1, 2, HEIGHT, WIDTH), np.float32)).astype(np.float32)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (np.ones((2, HEIGHT, WIDTH), np.float32), r"shape \[2, 36, 64\], not \[1, 2, height, width\]"),
        (np.ones((1, 2, 0, WIDTH), np.float32), r"shape \[1, 2, 0, 64\]"),
        (NAN, "72 values are not finite"),
        (np.zeros((1, 2, HEIGHT, WIDTH), np.float32), "nothing moves in it"),
        (np.ones((1, 2, HEIGHT, HEIGHT), np.float32), "36x36, which does not cover 00980_00000_input.jpg"),
        (np.ones((1, 2, 4, 4), np.int32), "type 'i4'"),
        (b"no pickle", "damaged or cut short"),
    ],
)
def test_bad_motion(validation, data, line):
    entry = holynski.read(validation)[0]
    put_motion(entry.motion, data)
    with pytest.raises(InputError, match=line) as error:
        holynski.motion_at(entry, (WIDTH, HEIGHT))
    assert str(entry.motion) in str(error.value)
    assert "\n" not in str(error.value)


def test_bad_lz4(validation, monkeypatch):
    path = holynski.read(validation)[0].motion
    whole = path.read_bytes()
    for bad, line in {
        whole[:-20]: f"cut short after {len(whole) - 20} bytes",
        whole[:200] + bytes(50) + whole[250:]: "not an LZ4 frame, or a damaged one|damaged or cut short",
        b"": "cut short|not an LZ4",
        pickle.dumps(recording(0)[1]): "not an LZ4 frame",
    }.items():
        path.write_bytes(bad)
        with pytest.raises(InputError, match=line):
            holynski.load_motion(path)
    path.write_bytes(whole)
    monkeypatch.setattr(holynski, "LARGEST", 1 << 12)
    with pytest.raises(InputError, match="unpacks to more than"):
        holynski.load_motion(path)
    path.unlink()
    with pytest.raises(InputError, match="No such file"):
        holynski.load_motion(path)


def test_without_lz4(validation, monkeypatch):
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    with pytest.raises(InputError, match=r"install the extra: pip install 'mom3d_jax\[datasets\]'"):
        holynski.load_motion(validation / f"{NAMES[0]}_motion.pth")


def test_bad_videos(validation):
    entry = holynski.read(validation)[0]
    with pytest.raises(InputError, match=r"_gt.mp4: 6 frames, but a clip has 60"):
        holynski.frames_at(entry, 60, (WIDTH, HEIGHT))
    with pytest.raises(InputError, match="the view is 36x64"):
        holynski.frames_at(entry, FRAMES, (HEIGHT, WIDTH))
    entry.video.write_bytes(entry.video.read_bytes()[:300])
    with pytest.raises(InputError, match=r"_gt.mp4"):
        holynski.frames_at(entry, FRAMES, (WIDTH, HEIGHT))
    entry.image.write_bytes(b"")
    with pytest.raises(InputError, match=r"_input.jpg: not a complete PNG or JPEG"):
        holynski.write_input(entry, entry.image.parent / "in", 0)


@pytest.fixture
def recorded(validation, tmp_path):
    return recordings.samples(validation, tmp_path / "inputs", frames=4)[0]


def test_the_standing_camera_sees_the_recording(recorded):
    clip = recorded.truth.clip("advected", INPUT_PATH, (WIDTH, HEIGHT))
    np.testing.assert_allclose(clip.frames / 255, recording(0)[0][:4], atol=0.05)  # H.264 lies in between
    assert clip.valid.all()
    assert clip.moving[:, 20:].all()
    assert not clip.moving[:, :16].any()


def test_a_path_leaves_holes(recorded):
    clip = recorded.truth.clip("advected", "side", (WIDTH, HEIGHT))
    assert 0.2 < clip.valid.mean() < 1
    assert (clip.moving <= clip.valid).all()


def test_a_second_reading_finds_the_inputs(recorded, validation):
    before = (recorded.source / "image.png").stat().st_mtime_ns
    again = recordings.samples(validation, recorded.source.parent, frames=4)[0]
    assert again.truth.key == recorded.truth.key
    assert (again.source / "image.png").stat().st_mtime_ns == before


def test_what_a_recording_does_not_say(recorded, tmp_path):
    with pytest.raises(InputError, match="says nothing of depth"):
        recorded.truth.geometry((WIDTH, HEIGHT))
    with pytest.raises(InputError, match="no true depth"):
        recorded.truth.write_given(tmp_path, ("depth", "flow"))
    recorded.truth.write_given(tmp_path, ("flow", "mask"))
