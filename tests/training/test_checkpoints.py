"""Checkpoints that are damaged, and places that cannot be written to."""

import os
import resource
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mom3d_jax import training
from mom3d_jax.training.sharding import replicated
from mom3d_jax.training.state import TrainState


def state(step: int) -> TrainState:
    rng = np.random.default_rng(step)
    params = {"means": rng.normal(size=(400, 3)).astype(np.float32), "sh": rng.normal(size=(50, 1)).astype(np.float32)}
    return jax.tree.map(jnp.asarray, TrainState(np.int32(step), params, {"m": params["means"] * 2}, np.int32(0)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints") / "stage1"
    for step in (10, 20):
        training.Checkpoints(folder).save(state(step), "k")
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "stage1")


def restore(folder, key="k"):
    return training.Checkpoints(folder).restore(state(0), key, replicated(training.make_mesh(1)))


def same(found, step):
    jax.tree.map(np.testing.assert_array_equal, found, state(step))


def files(checkpoint):
    return sorted(f for f in checkpoint.rglob("*") if f.is_file())


def empty(file):
    os.truncate(file, 0)


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def remove(file):
    file.unlink()


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(bytes(data))


def test_the_newest_is_read(folder, caplog):
    same(restore(folder), 20)
    assert restore(folder, "other") is None
    assert caplog.records == []


@pytest.mark.parametrize("damage", [empty, cut, remove, flip])
def test_any_file_that_is_damaged_means_the_one_before(folder, damage, caplog):
    """Whichever file it is. Orbax alone reads some of these as if nothing had happened."""
    whole = folder.with_name("whole")
    shutil.copytree(folder, whole)
    for file in files(whole / "20"):
        shutil.rmtree(folder)
        shutil.copytree(whole, folder)
        damage(folder / file.relative_to(whole))
        caplog.clear()
        same(restore(folder), 10)
        assert f"checkpoint {folder / '20'} is damaged: its " in caplog.text
        assert "trying the one before" in caplog.text
        assert len(caplog.records) == 1


def test_a_damaged_one_stands_in_nobodys_way(folder, caplog):
    flip(files(folder / "20")[0])
    same(restore(folder), 10)
    assert sorted(f.name for f in folder.iterdir()) == ["10", "damaged-20"]
    training.Checkpoints(folder).save(state(15), "k")
    caplog.clear()
    same(restore(folder), 15)
    assert caplog.records == []


def test_a_save_that_was_cut_off_before_its_last_file(folder, caplog):
    (folder / "20" / "contents.json").unlink()
    same(restore(folder), 10)
    assert "its contents.json cannot be read" in caplog.text


def test_all_damaged(folder, caplog):
    for step in ("10", "20"):
        cut(files(folder / step)[-1])
    assert restore(folder) is None
    assert f"no checkpoint in {folder} can be used; starting from the beginning" in caplog.text


def test_others_lie_there_untouched(folder):
    (folder / "notes").mkdir()
    (folder / "notes.txt").write_text("mine")
    same(restore(folder), 20)
    training.Checkpoints(folder).save(state(30), "k")
    same(restore(folder), 30)
    assert (folder / "notes.txt").read_text() == "mine"


def test_no_room(folder, capfd):
    """A limit on the size of files stops the write in the middle, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"^cannot write .*stage1/30: file size limit reached; make room") as caught:
            training.Checkpoints(folder).save(state(30), "k")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
    assert sorted(f.name for f in folder.iterdir()) == ["10", "20"]
    same(restore(folder), 20)


def test_a_place_that_is_no_folder(tmp_path):
    (tmp_path / "stage1").write_text("")
    with pytest.raises(OSError, match=r"^cannot write .*stage1/30: "):
        training.Checkpoints(tmp_path / "stage1").save(state(30), "k")
