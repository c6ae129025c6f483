import re
import subprocess

import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from mom3d_jax.export import (
    Cell,
    change_picture,
    compose,
    contact_sheet,
    depth_picture,
    flow_picture,
    hint_arrows,
    mask_overlay,
    unknown_checkered,
    write_png,
    write_video,
)
from mom3d_jax.types import Hints


def clip(frames=9, height=48, width=64):
    """A bright disc that crosses a gradient."""
    y, x = np.mgrid[:height, :width]
    for k in range(frames):
        disc = np.hypot(x - 10 - 4 * k, y - 20) < 8
        yield np.stack([x / width, y / height, np.where(disc, 0.9, 0.1)], -1).astype(np.float32)


def probe(path):
    """What ffmpeg says about the stream, and its frames decoded to RGB."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    stream = next(line for line in done.stderr.decode().splitlines() if "Video:" in line)
    width, height = map(int, re.search(r", (\d+)x(\d+)", stream).groups())
    return stream, np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)


def test_video_holds_the_frames(tmp_path):
    report = write_video(tmp_path / "new" / "a.mp4", clip(), fps=25)
    assert (report.frames, report.width, report.height, report.padded, report.saturated) == (9, 64, 48, False, 0)
    stream, frames = probe(tmp_path / "new" / "a.mp4")
    assert "Video: h264" in stream
    assert "yuv420p" in stream
    assert "bt709" in stream
    assert "25 fps" in stream
    assert frames.shape == (9, 48, 64, 3)
    truth = np.stack(list(clip()))
    assert np.abs(frames / 255.0 - truth).mean() < 0.03
    data = (tmp_path / "new" / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.mp4"]


def test_bytes_and_floats_give_the_same_video(tmp_path):
    write_video(tmp_path / "a.mp4", clip())
    write_video(tmp_path / "b.mp4", [np.round(255 * f).astype(np.uint8) for f in clip()])
    np.testing.assert_array_equal(probe(tmp_path / "a.mp4")[1], probe(tmp_path / "b.mp4")[1])


def test_odd_sizes_are_padded_not_scaled(tmp_path):
    report = write_video(tmp_path / "a.mp4", clip(3, 47, 63))
    assert (report.width, report.height, report.padded) == (64, 48, True)
    frames = probe(tmp_path / "a.mp4")[1] / 255.0
    assert frames.shape == (3, 48, 64, 3)
    assert np.abs(frames[:, :47, :63] - np.stack(list(clip(3, 47, 63)))).mean() < 0.03
    assert np.abs(frames[:, -1] - frames[:, -2]).mean() < 0.02


@pytest.mark.parametrize(("height", "width"), [(1, 1), (17, 2), (33, 47)])
def test_a_single_frame_of_any_size_is_a_video(tmp_path, height, width):
    image = np.full((height, width, 3), 0.5, np.float32)
    report = write_video(tmp_path / "a.mp4", [image])
    frames = probe(tmp_path / "a.mp4")[1]
    assert (report.frames, *frames.shape[:3]) == (1, 1, height + height % 2, width + width % 2)
    assert np.abs(frames / 255.0 - 0.5).max() < 0.03


def test_what_lies_outside_is_counted(tmp_path):
    frames = [f + np.float32(0.2) for f in clip(2)]
    report = write_video(tmp_path / "a.mp4", frames)
    assert report.saturated == sum(int((np.round(255 * f) > 255).sum()) for f in frames) > 0


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "no frames for"),
        ([np.zeros((8, 8), np.float32)], r"shape \(8, 8\) is not a picture"),
        ([np.zeros((8, 8, 3), np.int32)], "int32 is neither"),
        ([np.full((8, 8, 3), np.nan, np.float32)], "192 values that are NaN"),
        ([np.zeros((48, 64, 3), np.uint8), np.zeros((48, 62, 3), np.uint8)], "frame 1 of .* has shape"),
    ],
)
def test_bad_frames_leave_nothing(tmp_path, frames, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / "a.mp4", frames)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_encoder_and_an_unwritable_place_are_said_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*file/a\.mp4: ") as error:
        write_video(tmp_path / "file" / "a.mp4", clip(2))
    assert "\n" not in str(error.value)

    def absent():
        raise RuntimeError("No ffmpeg exe could be found.\nInstall ffmpeg on your system.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", absent)
    with pytest.raises(ValueError, match="no video encoder: install imageio-ffmpeg") as error:
        write_video(tmp_path / "a.mp4", clip(2))
    assert "\n" not in str(error.value)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: "/bin/false")
    with pytest.raises(OSError, match=r"cannot write .*a\.mp4: ffmpeg: exit code 1"):
        write_video(tmp_path / "a.mp4", clip(2))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_contact_sheet_has_the_stated_size_and_shows_the_images(tmp_path):
    red, tall = np.zeros((20, 40, 3), np.float32), np.zeros((30, 15, 3), np.float32)
    red[..., 0], tall[..., 1] = 1, 1
    rows = [("photo, mask, depth", [Cell(red)] * 7), ("one", [Cell(tall, "a caption")]), ("none", [])]
    size = contact_sheet(rows, tmp_path / "sheet.png", cell_width=50, columns=3)
    # Three lines of 25 px for the first row, one of 100 px and a caption of 16 for the second, a label of 24 px each.
    assert size == (4 + 3 * 54, 3 * 24 + 3 * (25 + 4) + 100 + 16 + 4)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))[..., ::-1]
    assert sheet.shape == (size[1], size[0], 3)
    paper = sheet[0, 0]
    assert (sheet[24:49, 4:54] == (255, 0, 0)).all()
    seventh = 24 + 2 * 29
    assert (sheet[seventh : seventh + 25, 4:54] == (255, 0, 0)).all()
    assert (sheet[seventh : seventh + 25, 54:] == paper).all()
    foot = 2 * 24 + 87 + 100
    assert (sheet[foot - 100 : foot, 4:54] == (0, 255, 0)).all()
    assert (sheet[:24] != paper).any()
    assert (sheet[foot : foot + 16, 4:54] != paper).any()
    assert (sheet[foot : foot + 16, 54:] == paper).all()


def test_long_text_is_written_smaller_not_cut():
    grey, paper = np.full((10, 200, 3), 0.5, np.float32), np.float32(28 / 255)
    for length in (3, 30, 60):
        label, caption = "m" * length, "w" * length
        sheet = compose([(label, [Cell(grey, caption)])], cell_width=200)
        for strip in (sheet[:24], sheet[24 + 10 : 24 + 26]):
            written = np.flatnonzero((np.abs(strip - paper) > 0.02).any(axis=(0, 2)))
            assert 0 < written.max() < 4 + 200
            assert (written.max() > 100) == (length > 10)


def test_contact_sheet_shows_nan_and_refuses_what_is_no_image(tmp_path):
    broken = np.zeros((4, 4, 3), np.float32)
    broken[:, :2] = np.nan
    sheet = compose([("a", [Cell(broken)])], cell_width=4)
    np.testing.assert_allclose(sheet[24:28, 4:6], np.broadcast_to([1, 0, 1], (4, 2, 3)), atol=1e-6)
    with pytest.raises(ValueError, match="at least one row"):
        compose([])
    with pytest.raises(ValueError, match=r"shape \(4, 4\)"):
        compose([("a", [Cell(broken[..., 0])])])


def test_unknown_pixels_look_like_no_content():
    image, valid = np.zeros((40, 80, 3), np.float32), np.zeros((40, 80), np.float32)
    image[:], image[:, 40:] = (0.2, 0.4, 0.6), np.nan
    valid[:, :40], valid[:, 39] = 1, 0.5
    picture = unknown_checkered(image, valid)
    np.testing.assert_array_equal(picture[:, :39], image[:, :39])
    unknown = picture[:, 40:]
    assert np.ptp(unknown, axis=-1).max() == 0
    # Squares of two greys, neither of them black or white, alternate along both axes.
    levels = np.unique(unknown)
    assert len(levels) == 2
    assert 0.2 < levels[0] < levels[1] < 0.8
    assert (unknown[0, 0] != unknown[0, 2]).all()
    assert (unknown[0, 0] != unknown[2, 0]).all()
    assert (unknown[0, 0] == unknown[2, 2]).all()
    # Half known is half-way.
    np.testing.assert_allclose(
        2 * picture[:, 39] - image[:, 39], np.broadcast_to(picture[:, 43, :1], (40, 3)), atol=1e-6
    )


def test_change_picture():
    first, other = np.zeros((1, 5, 3), np.float32), np.zeros((1, 5, 3), np.float32)
    other[0, :, 1] = [0, 0.05, -0.1, 0.25, 7]
    picture = change_picture(first, other)
    assert picture[0, 0].max() < 0.02
    assert (np.diff(picture[0].sum(axis=-1)) >= 0).all()
    assert (np.diff(picture[0, :4].sum(axis=-1)) > 0.1).all()
    np.testing.assert_array_equal(picture[0, 3], picture[0, 4])
    np.testing.assert_array_equal(change_picture(2 * first, 2 * other, full=0.5), picture)


def test_depth_picture():
    z = np.linspace(1, 30, 200, dtype=np.float32).reshape(10, 20)
    z[0, 0], z[0, 1] = 0, np.nan
    picture = depth_picture(z)
    assert (picture[0, :2] == 0).all()
    assert picture[0, 2, 0] > 3 * picture[0, 2, 2]
    assert picture[-1, -1, 2] > 0.1
    assert picture[-1, -1, 0] < 0.3
    assert (depth_picture(np.zeros((3, 3), np.float32)) == 0).all()
    assert np.isfinite(depth_picture(np.ones((3, 3), np.float32))).all()
    np.testing.assert_array_equal(depth_picture(2 * z, near=2, far=60), depth_picture(z, near=1, far=30))


def test_mask_and_flow_pictures():
    image = np.full((2, 2, 3), 0.5, np.float32)
    mask = np.array([[0, 1], [0.5, 0]], np.float32)
    picture = mask_overlay(image, mask)
    np.testing.assert_allclose(picture[0], [[0.5, 0.5, 0.5], [0.75, 0.375, 0.35]])
    np.testing.assert_allclose(picture[1, 0], [0.625, 0.4375, 0.425])
    flow = np.array([[[2, 0], [0, 0]], [[np.nan, 1], [-1, 0]]], np.float32)
    half = np.sqrt(0.5)  # half as long
    np.testing.assert_allclose(
        flow_picture(flow, longest=2), [[[1, 0, 0], [0, 0, 0]], [[half / 2, half, 0], [0, half, half]]], atol=1e-6
    )
    assert (flow_picture(np.zeros((2, 2, 2), np.float32)) == 0).all()


def test_hints_are_drawn_where_they_are(tmp_path):
    hints = Hints(
        start=np.array([[10.5, 20.5], [40.5, 5.5]], np.float32),
        motion=np.array([[0.5, 0.0], [0.5, 0.0]], np.float32),
        valid=np.array([True, False]),
    )
    image = np.zeros((40, 80, 3), np.float32)
    drawn = hint_arrows(image, hints)
    ys, xs = np.nonzero(drawn.sum(-1) > 0.5)
    assert (image == 0).all()
    np.testing.assert_array_equal(mask_overlay(image, np.zeros((40, 80), np.float32), hints), drawn)
    assert abs(xs.min() - 10) <= 1
    assert abs(xs.max() - 35) <= 1
    assert 15 < ys.min() <= 20 <= ys.max() < 26
    assert write_png(tmp_path / "a.png", drawn) == 0
    back = cv2.imread(str(tmp_path / "a.png"))[..., ::-1]
    np.testing.assert_array_equal(back, np.round(255 * drawn))
