"""Depth files of every format and kind."""

import json

import numpy as np
import pytest

from mom3d_jax.inputs import InputError
from mom3d_jax.inputs.depth_files import read_depth, resize_depth

PHOTO = (100, 60)


@pytest.fixture
def z():
    return np.random.default_rng(0).uniform(1, 9, (60, 100)).astype(np.float32)


def write_pfm(path, z, order):
    scale = {"<": "-1.0", ">": "1.0"}[order]
    path.write_bytes(f"Pf\n{z.shape[1]} {z.shape[0]}\n{scale}\n".encode() + z[::-1].astype(f"{order}f4").tobytes())
    return path


def test_formats_agree(folder, z):
    for file in (
        folder.npy("depth.npy", z.astype(np.float64)[None]),
        write_pfm(folder.path / "depth.pfm", z, "<"),
        write_pfm(folder.path / "big.pfm", z, ">"),
    ):
        found, notes = read_depth(file, PHOTO, PHOTO)
        np.testing.assert_allclose(found, z, rtol=1e-6)
        assert not notes


def test_png_in_millimetres(folder, z):
    (folder.path / "depth.json").write_text('{"kind": "metric", "unit": "mm"}')
    file = folder.png("depth.png", np.round(1000 * z).astype(np.uint16))
    np.testing.assert_allclose(read_depth(file, PHOTO, PHOTO)[0], z, atol=6e-4)


def test_inverse(folder, z):
    (folder.path / "depth.json").write_text('{"kind": "inverse"}')
    np.testing.assert_allclose(read_depth(folder.npy("depth.npy", 1 / z), PHOTO, PHOTO)[0], z, rtol=1e-5)
    inverse = 1 / z
    inverse[:6] = 0
    found, notes = read_depth(folder.npy("depth.npy", inverse), PHOTO, PHOTO)
    np.testing.assert_allclose(found[:6], 100 * z[6:].min(), rtol=1e-4)
    assert "10.0%" in notes[0]


def test_relative_is_affine_invariant(folder, z):
    (folder.path / "depth.json").write_text('{"kind": "relative"}')
    first = read_depth(folder.npy("depth.npy", 1 / z), PHOTO, PHOTO)[0]
    second = read_depth(folder.npy("depth.npy", 700 / z - 300), PHOTO, PHOTO)[0]
    np.testing.assert_allclose(first, second, rtol=1e-3)
    assert first.min() == pytest.approx(1)
    assert first.max() == pytest.approx(30, rel=1e-4)
    assert (np.argsort(first.ravel()) == np.argsort(z.ravel())).mean() > 0.99


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_bad_values(folder, z, bad):
    z[7, 3] = bad
    with pytest.raises(InputError, match=r"depth\.npy: 1 of 6000 values .* in row 7, column 3\)"):
        read_depth(folder.npy("depth.npy", z), PHOTO, PHOTO)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "not an object"),
        (json.dumps({"kind": "disparity"}), "unknown kind 'disparity'; one of metric"),
        (json.dumps({"unit": "league"}), "unknown unit 'league'; one of m,"),
        (json.dumps({"kind": ["inverse"]}), "unknown kind"),
    ],
)
def test_bad_description(folder, z, description, message):
    (folder.path / "depth.json").write_text(description)
    with pytest.raises(InputError, match=message):
        read_depth(folder.npy("depth.npy", z), PHOTO, PHOTO)


def test_bad_files(folder, z):
    with pytest.raises(InputError, match="8 bits"):
        read_depth(folder.png("depth.png", z.astype(np.uint8)), PHOTO, PHOTO)
    with pytest.raises(InputError, match=r"shape \(60, 100, 3\)"):
        read_depth(folder.npy("depth.npy", np.ones((60, 100, 3))), PHOTO, PHOTO)
    with pytest.raises(InputError, match="60x60, but the photo is 100x60"):
        read_depth(folder.npy("depth.npy", z[:, :60]), PHOTO, PHOTO)
    with pytest.raises(InputError, match="real numbers"):
        read_depth(folder.npy("depth.npy", z.astype(complex)), PHOTO, PHOTO)
    (folder.path / "depth.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError, match="not a readable NumPy file"):
        read_depth(folder.path / "depth.npy", PHOTO, PHOTO)
    pfm = write_pfm(folder.path / "depth.pfm", z, "<")
    pfm.write_bytes(pfm.read_bytes()[:-4])
    with pytest.raises(InputError, match="not a complete grey PFM"):
        read_depth(pfm, PHOTO, PHOTO)
    (folder.path / "depth.json").write_text('{"kind": "relative"}')
    with pytest.raises(InputError, match="no depth in it"):
        read_depth(folder.npy("depth.npy", np.ones((60, 100))), PHOTO, PHOTO)


@pytest.mark.parametrize("size", [(50, 30), (33, 20), (200, 120), (100, 60)])
def test_resizing_makes_no_depth_in_mid_air(size):
    z = np.ones((60, 100), np.float32)
    z[:23] = 5
    z[40:, 37:] = 2
    found = resize_depth(z, size)
    assert found.shape == size[::-1]
    # Averages of equal numbers differ from them by rounding.
    np.testing.assert_allclose(found, np.array([1, 2, 5])[np.abs(found[..., None] - [1, 2, 5]).argmin(-1)], rtol=1e-6)
    assert len(np.unique(np.round(found, 3))) == 3


def test_resizing_is_smooth_on_a_surface():
    x = np.linspace(1, 2, 100, dtype=np.float32)
    z = np.broadcast_to(x, (60, 100)).copy()
    expected = x.reshape(50, 2).mean(1)
    np.testing.assert_allclose(resize_depth(z, (50, 30))[0], expected, rtol=1e-5)
