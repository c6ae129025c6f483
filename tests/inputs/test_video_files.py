"""Videos of other animators: folders of frames and mp4 files."""

import cv2
import numpy as np
import pytest

from mom3d_jax.inputs import InputError, read_video

SIZE = (64, 36)
FRAMES = np.random.default_rng(0).integers(0, 256, (5, 36, 64, 3), np.uint8)


@pytest.fixture
def video(tmp_path):
    folder = tmp_path / "view_02"
    folder.mkdir()
    for number, frame in enumerate(FRAMES):
        cv2.imwrite(str(folder / f"{number + 8}.png"), frame[..., ::-1])  # 8, 9, 10, …: not in the order of letters
    return folder


def test_frames_in_the_order_of_their_numbers(video):
    found, notes = read_video(video, 5, SIZE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, FRAMES / 255, atol=1e-6)
    assert notes == []


def test_longer_than_the_clip(video):
    found, notes = read_video(video, 3, SIZE)
    np.testing.assert_allclose(found, FRAMES[:3] / 255, atol=1e-6)
    assert notes == ["view_02: longer than a clip; its first 3 frames are used"]


def test_another_size_is_averaged(video):
    found = read_video(video, 2, (32, 18))[0]
    np.testing.assert_allclose(found, FRAMES[:2].reshape(2, 18, 2, 32, 2, 3).mean((2, 4)) / 255, atol=1e-6)


def test_the_aspect_may_be_a_pixel_off(tmp_path):
    """A photo of 1000 x 310 px works at 100 x 32: 3 % off, by rounding alone."""
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((310, 1000, 3), np.uint8))
    assert read_video(tmp_path, 1, (100, 32))[0].shape == (1, 32, 100, 3)


def test_see_through_frames_are_told_once(tmp_path):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((36, 64, 4), 128, np.uint8))
    _, notes = read_video(tmp_path, 3, SIZE)
    assert len(notes) == 1
    assert "0.png: alpha dropped" in notes[0]
    assert "2 more frames alike" in notes[0]


def test_mp4(tmp_path):
    ramp = np.linspace(0, 200, 64).astype(np.uint8)
    frames = np.stack([np.broadcast_to((ramp + 10 * n)[None, :, None], (36, 64, 3)) for n in range(5)])
    writer = cv2.VideoWriter(str(tmp_path / "view_02.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 36))
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    found, notes = read_video(tmp_path / "view_02.mp4", 4, SIZE)
    np.testing.assert_allclose(found, frames[:4] / 255, atol=0.03)
    assert notes == ["view_02.mp4: longer than a clip; its first 4 frames are used"]
    with pytest.raises(InputError, match=r"view_02\.mp4: 5 frames, but a clip has 8"):
        read_video(tmp_path / "view_02.mp4", 8, SIZE)
    (tmp_path / "view_02.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match=r"view_02\.mp4: not a video that can be read"):
        read_video(tmp_path / "view_02.mp4", 4, SIZE)


def test_too_few_frames_name_the_way_out(video):
    message = r"view_02: 5 frames, but a clip has 60; make more, or ask for .* --config\.time\.frames=5$"
    with pytest.raises(InputError, match=message):
        read_video(video, 60, SIZE)


def test_a_frame_that_cannot_be_read(video):
    (video / "10.png").write_bytes((video / "10.png").read_bytes()[:100])
    with pytest.raises(InputError, match=r"view_02/10\.png: not a complete PNG"):
        read_video(video, 5, SIZE)


def test_another_aspect(video):
    cv2.imwrite(str(video / "9.png"), np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(InputError, match=r"view_02/9\.png: 64x64 px, but the view is 64x36"):
        read_video(video, 5, SIZE)
