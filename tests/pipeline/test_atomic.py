"""Files appear whole or not at all."""

import os
from pathlib import Path

import pytest

from mom3d_jax.atomic import replacing


def test_whole(tmp_path):
    with replacing(tmp_path / "new" / "a.txt") as draft:
        draft.write_text("one")
        assert draft.suffix == ".txt"
        assert not (tmp_path / "new" / "a.txt").exists()
    assert [f.name for f in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_what_fails_leaves_the_old_file(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a.txt") as draft:
        draft.write_text("half")
        raise RuntimeError
    assert [f.name for f in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device of Linux that is always full")
def test_a_full_disk(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    message = r"^cannot write .*a\.txt: no space left; make room, or choose another place$"
    with pytest.raises(OSError, match=message), replacing(tmp_path / "a.txt") as draft:
        os.symlink("/dev/full", draft)
        draft.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "a").write_text("")
    message = r"^cannot write .*a/b\.txt: .*; choose a place that can be written to$"
    with pytest.raises(OSError, match=message), replacing(tmp_path / "a" / "b.txt") as draft:
        draft.write_text("x")
