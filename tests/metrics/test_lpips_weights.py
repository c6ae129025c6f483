import hashlib
import shutil
import socket

import h5py
import numpy as np
import pytest

from mom3d_jax.metrics import Unavailable, load_lpips_weights, record

FILES = ("vgg16_weights.h5", "lpips_lin.h5")


@pytest.fixture
def folder(network_folder, tmp_path):
    """A copy whose small file may be spoiled."""
    (tmp_path / FILES[0]).symlink_to(network_folder / FILES[0])
    shutil.copy(network_folder / FILES[1], tmp_path)
    return tmp_path


def cache(root, network_folder, name=lambda digest: digest):
    """The layout of Hugging Face's cache: snapshots link to blobs that are named by their hash."""
    repository = root / "models--pcuenq--lpips-jax"
    snapshot = repository / "snapshots" / "c0ffee"
    for made in (snapshot, repository / "blobs", repository / "refs"):
        made.mkdir(parents=True)
    (repository / "refs" / "main").write_text("c0ffee")
    for file in FILES:
        blob = repository / "blobs" / name(hashlib.sha256((network_folder / file).read_bytes()).hexdigest())
        blob.hardlink_to(network_folder / file)
        (snapshot / file).symlink_to(blob)


def test_found_by_folder_then_variable_then_cache(network_folder, folder, tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    nothing = load_lpips_weights()
    assert isinstance(nothing, Unavailable)
    assert "hf download pcuenq/lpips-jax vgg16_weights.h5 lpips_lin.h5" in nothing.reason

    with h5py.File(folder / FILES[1], "r+") as file:
        file["lin0"][...] = 0.25
    cache(tmp_path / "hub", network_folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    cached = load_lpips_weights()
    assert float(cached.linear[0][0]) != 0.25
    monkeypatch.setenv("MOM3D_LPIPS_WEIGHTS", str(folder))
    assert float(load_lpips_weights().linear[0][0]) == 0.25
    assert load_lpips_weights(network_folder).sha256 == cached.sha256
    assert cached.vgg["conv5_3"]["kernel"].shape == (3, 3, 512, 512)
    assert cached.name == "vgg16, " + ", ".join(f"{f} {cached.sha256[f][:12]}" for f in FILES)


def test_what_was_asked_for_must_be_there(folder, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"elsewhere/vgg16_weights.h5: no such file, but the folder .* says so"):
        load_lpips_weights(tmp_path / "elsewhere")
    (folder / FILES[1]).unlink()
    monkeypatch.setenv("MOM3D_LPIPS_WEIGHTS", str(folder))
    with pytest.raises(ValueError, match=r"lpips_lin.h5: no such file, but MOM3D_LPIPS_WEIGHTS says so; .*hf download"):
        load_lpips_weights()


def test_hashes(folder, network_folder, tmp_path, monkeypatch):
    digest = hashlib.sha256((folder / FILES[1]).read_bytes()).hexdigest()
    assert load_lpips_weights(folder, {FILES[1]: digest.upper()}).sha256[FILES[1]] == digest
    with pytest.raises(ValueError, match=f"lpips_lin.h5: sha256 is {digest}, not {64 * '0'}; delete it"):
        load_lpips_weights(folder, {FILES[1]: 64 * "0"})
    with pytest.raises(ValueError, match=r"no hash is expected of \['lin.h5'\]; the files of LPIPS are"):
        load_lpips_weights(folder, {"lin.h5": digest})
    # What the cache keeps under the hash it was published with has to have that hash.
    cache(tmp_path / "hub", network_folder, lambda digest: digest[::-1])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ValueError, match=r"vgg16_weights.h5: sha256 is \w+, not \w+; delete it"):
        load_lpips_weights()


@pytest.mark.parametrize(
    ("lin2", "message"),
    [
        (None, "has no 'lin2', so it is not the file of lpips-j"),
        (np.zeros((1, 1, 128, 1), np.float32), r"lin2 is float32 \(1, 1, 128, 1\), not float \(1, 1, 256, 1\)"),
        (np.zeros((1, 1, 256, 1), np.int32), r"lin2 is int32 \(1, 1, 256, 1\), not float"),
        (np.full((1, 1, 256, 1), np.nan, np.float32), "lin2 holds values that are not finite"),
    ],
)
def test_files_that_are_not_the_network(folder, lin2, message):
    with h5py.File(folder / FILES[1], "r+") as file:
        del file["lin2"]
        if lin2 is not None:
            file["lin2"] = lin2
    with pytest.raises(ValueError, match=rf"^[^\n]*lpips_lin.h5: {message}[^\n]*hf download[^\n]*$"):
        load_lpips_weights(folder)


def test_a_file_that_is_not_hdf5(folder):
    (folder / FILES[1]).write_bytes(b"<html>404</html>")
    with pytest.raises(ValueError, match=r"lpips_lin.h5: not a readable HDF5 file"):
        load_lpips_weights(folder)


def test_a_record_without_weights_says_why():
    what = {"variant": "all", "resolution": [64, 32], "crop": 0, "validity": 1.0, "frames": 3}
    entry = record("lpips_vgg", load_lpips_weights(), **what, net="none", masking="none")
    assert entry["value"] is None
    assert entry["reason"].startswith("no LPIPS weights: give a folder, set MOM3D_LPIPS_WEIGHTS, or fetch them once")
