"""One PLY file per frame: they render as the scene does, their size is known before, old ones go."""

import dataclasses
import logging
import shutil

import jax
import numpy as np
import pytest

from mom3d_jax import render
from mom3d_jax.export import frame_sizes, read_ply, read_vertices, write_frames, write_ply


@jax.jit
def drawn(gaussians, camera):
    return render.render_view(gaussians, camera, capacity=4096, backend="xla").color


def rendered(gaussians, camera, rows=96):
    """With free slots at the end, so that one compiled program draws any number of rows."""
    pad = lambda a: np.pad(np.asarray(a), ((0, rows - len(a)), *((0, 0),) * (a.ndim - 1)))
    return drawn(dataclasses.replace(jax.tree.map(pad, gaussians), movable=0), camera)


def psnr(a, b):
    return -10 * np.log10(max(float(np.mean((np.asarray(a) - np.asarray(b)) ** 2)), 1e-20))


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("field", ["fill", "one_sided", "loop"])
def test_files_render_as_the_scene_does(make_scene, tmp_path, field):
    scene = make_scene(field)
    report = write_frames(tmp_path, scene)
    assert names(tmp_path) == [f"frame_{i:04d}.ply" for i in range(8)]
    still, left_out = None, 0
    for frame in range(8):
        sets, _ = scene.at(frame)
        assert len(sets) == (2 if field == "loop" else 1)
        loaded = read_ply(tmp_path / f"frame_{frame:04d}.ply")
        # Copies without opacity and free slots are no rows of the file.
        front, behind = 11, 0 if field == "one_sided" or frame == 0 else 2 * 11
        assert len(loaded.means) == 60 - 12 - 1 + front + behind
        left_out += 0 if field == "one_sided" else 2 * 11 - behind
        image = rendered(loaded, scene.camera)
        # Only the normalisation of the quaternions is rounded.
        assert psnr(image, rendered(sets[0], scene.camera)) > 100
        still = image if still is None else still
        assert frame == 0 or psnr(image, still) < 40
    assert (report.files, report.invalid, report.removed) == (8, 0, 0)
    assert report.invisible == left_out
    assert (left_out == 0) == (field == "one_sided")


@pytest.mark.parametrize("field", ["fill", "one_sided", "loop"])
def test_the_header_says_what_the_file_is(make_scene, tmp_path, field):
    write_frames(tmp_path, make_scene(field, inclusive=True))
    header, _, _ = (tmp_path / "frame_0003.ply").read_bytes().partition(b"end_header\n")
    comments = [line for line in header.decode("ascii").splitlines() if line.startswith("comment ")]
    assert f"comment frame 3 of 8, t = 0.428571, field {field}" in comments
    assert comments[0].startswith("comment made by mom3d_jax ")
    one_of_two = [line for line in comments if "forward set only" in line]
    assert len(one_of_two) == (field == "loop")
    assert any("scene.4dgs.npz" in line for line in comments) == (field == "loop")


def test_comments_do_not_disturb_the_reader(make_scene, tmp_path):
    g = make_scene().gaussians
    write_ply(tmp_path / "plain.ply", g)
    nasty = ["end_header", "element vertex 3", "property float x", "format ascii 1.0", "", "ply"]
    write_ply(tmp_path / "nasty.ply", g, comments=nasty)
    plain, commented = read_vertices(tmp_path / "plain.ply"), read_vertices(tmp_path / "nasty.ply")
    assert list(plain) == list(commented)
    for name, column in plain.items():
        np.testing.assert_array_equal(commented[name], column)


def test_the_size_is_exact_and_said_before_the_first_file(make_scene, tmp_path, caplog, monkeypatch):
    scene, folder = make_scene(), tmp_path / "frames"
    there = []
    monkeypatch.setattr(
        "mom3d_jax.export.ply_frames.log.info",
        lambda text, *values: there.append((folder.exists(), text % values)),
    )
    with caplog.at_level(logging.INFO):
        report = write_frames(folder, scene)
    sizes = [path.stat().st_size for path in sorted(folder.iterdir())]
    assert frame_sizes(scene) == sizes
    assert report.bytes == sum(sizes)
    assert there == [
        (False, f"8 files of up to {max(sizes) / 1e6:.1f} MB each, {sum(sizes) / 1e6:.1f} MB in all, into {folder}")
    ]


def test_too_little_room_is_one_line_and_changes_nothing(make_scene, tmp_path, monkeypatch):
    scene, folder = make_scene(), tmp_path / "not yet" / "frames"
    needed = sum(frame_sizes(scene))
    free = needed - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10**9, 10**9 - free, free))
    with pytest.raises(ValueError, match=r"frames: PLY frames need 0\.1 MB, the disk has 0\.1 MB free: ") as error:
        write_frames(folder, scene)
    assert str(error.value).startswith(str(folder))
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
    # What is replaced makes room.
    folder.mkdir(parents=True)
    (folder / "frame_0000.ply").write_bytes(b"x")
    write_frames(folder, scene)
    assert len(names(folder)) == 8


def test_frames_of_a_longer_clip_go_and_nothing_else(make_scene, tmp_path):
    kept = ["frame_0001.png", "frame_12.ply", "frames.txt", "my_frame_0001.ply"]
    for name in [*kept, "frame_0003.ply", "frame_0008.ply", "frame_0059.ply", "frame_10000.ply"]:
        (tmp_path / name).write_bytes(b"old")
    report = write_frames(tmp_path, make_scene())
    assert report.removed == 4
    assert names(tmp_path) == sorted([*kept, *(f"frame_{i:04d}.ply" for i in range(8))])
    assert all(len(read_ply(tmp_path / f"frame_{i:04d}.ply").means) for i in range(8))


def test_values_that_are_not_finite_are_left_out_and_counted(make_scene, tmp_path):
    scene = make_scene()
    scene.gaussians.means[50] = np.nan
    scene.dynamics.displacements.backward[:7, 3] = np.nan
    report = write_frames(tmp_path, scene)
    # Row 8 - n of the table is that of the rear copy at frame n, which there is none of at frame 0.
    assert report.invalid == 8 + 6
    assert report.bytes < sum(frame_sizes(scene))
    means = read_ply(tmp_path / "frame_0002.ply").means
    assert np.isfinite(means).all()
    assert 11 < len(means) < len(read_ply(tmp_path / "frame_0001.ply").means)
