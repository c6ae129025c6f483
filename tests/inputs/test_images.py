"""Photos of all kinds come out as float32 RGB at the working size."""

import cv2
import numpy as np
import pytest

from mom3d_jax.inputs import InputError, load_scene
from mom3d_jax.inputs.images import decode, read_mask, read_photo, resize, working_size


def insert_exif_orientation(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF block that holds nothing but the orientation tag (0x0112)."""
    ifd = b"\x01\x00" + b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation, 0, 0, 0]) + b"\x00" * 4
    body = b"Exif\x00\x00" + b"II*\x00\x08\x00\x00\x00" + ifd
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def test_exif_rotation_is_applied(tmp_path):
    grey = np.linspace(0, 255, 64 * 40).reshape(40, 64).astype(np.uint8)
    jpeg = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(insert_exif_orientation(jpeg, 6))  # 6: turn by 90° clockwise
    image, _ = read_photo(tmp_path / "a.jpg")
    assert image.shape == (64, 40, 3)
    np.testing.assert_allclose(image[..., 0], np.rot90(grey, -1) / 255, atol=0.02)


@pytest.mark.parametrize("kind", ["grey", "grey16", "rgba", "rgb16"])
def test_kinds_of_png(tmp_path, kind):
    rng = np.random.default_rng(1)
    bits = 16 if kind.endswith("16") else 8
    channels = {"grey": 1, "rgba": 4, "rgb": 3}[kind.removesuffix("16")]
    values = rng.integers(0, 2**bits, (40, 50, channels), np.uint16).astype(f"uint{bits}")
    cv2.imwrite(str(tmp_path / "a.png"), values)
    image, notes = read_photo(tmp_path / "a.png")
    assert image.dtype == np.float32
    bgr = np.repeat(values, 3, -1) if channels == 1 else values[..., :3]
    np.testing.assert_allclose(image, bgr[..., ::-1] / (2.0**bits - 1), atol=1e-6)
    assert ("alpha dropped" in "".join(notes)) == (kind == "rgba")


def test_opaque_alpha_needs_no_note(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 40, 4), 255, np.uint8))
    assert read_photo(tmp_path / "a.png")[1] == []


@pytest.mark.parametrize(
    ("size", "wanted", "expected"),
    [
        ((1280, 720), 256, (256, 144)),
        ((1920, 1080), 512, (512, 288)),
        ((101, 67), 512, (100, 66)),  # never enlarged, even
        ((100, 61), 512, (100, 60)),
        ((640, 481), 255, (254, 190)),
        ((300, 900), 64, (64, 192)),
    ],
)
def test_working_size(size, wanted, expected):
    assert working_size(*size, wanted) == expected


def test_too_small(tmp_path, folder):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((31, 200, 3), np.uint8))
    with pytest.raises(InputError, match=r"a\.png: 200x31 px is too small"):
        load_scene(tmp_path / "a.png", 64)
    with pytest.raises(InputError, match="choose a width"):
        load_scene(folder.path, 40)


@pytest.mark.parametrize("cut", [0, 10, 0.5])
def test_broken_images(tmp_path, folder, cut):
    data = (folder.path / "image.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: cut if cut != 0.5 else len(data) // 2])
    with pytest.raises(InputError, match=r"a\.png: not a complete"):
        load_scene(tmp_path / "a.png", 64)


def test_missing_image(tmp_path):
    with pytest.raises(InputError, match=r"none\.png: cannot be read"):
        decode(tmp_path / "none.png", cv2.IMREAD_COLOR)


def test_downscaling_averages_areas():
    image = np.random.default_rng(2).random((12, 20, 3)).astype(np.float32)
    expected = image.reshape(6, 2, 10, 2, 3).mean((1, 3))
    np.testing.assert_allclose(resize(image, (10, 6)), expected, atol=1e-6)
    assert resize(image, (20, 12)) is image


def test_masks(folder):
    soft = np.zeros((60, 100), np.uint8)
    soft[30:, 50:] = 128
    mask, notes = read_mask(folder.png("mask.png", soft), (100, 60))
    np.testing.assert_allclose(mask, soft / 255.0, atol=1e-6)
    assert not notes
    mask, notes = read_mask(folder.png("mask.png", (soft > 0).astype(np.uint8)), (100, 60))
    assert set(np.unique(mask)) == {0, 1}
    assert "stretched" in notes[0]
    half = soft[::2, ::2]
    assert read_mask(folder.png("mask.png", half), (100, 60))[0].shape == (60, 100)
    with pytest.raises(InputError, match="no pixel is marked"):
        read_mask(folder.png("mask.png", soft * 0), (100, 60))
    with pytest.raises(InputError, match="60x60 px, but the photo is 100x60"):
        read_mask(folder.png("mask.png", soft[:, :60]), (100, 60))
