"""Which files of a folder count, and under which names."""

import numpy as np
import pytest

from mom3d_jax.inputs import InputError, find_files


@pytest.fixture
def full(annotated):
    """A folder with files of single views."""
    (annotated.path / "flow").mkdir()
    for name in ("view_07.npy", "view_002.flo", "VIEW.txt", ".view_03.npy"):
        (annotated.path / "flow" / name).write_bytes(b"x")
    for folder in ("view_12", "view_01"):
        (annotated.path / "video" / folder).mkdir(parents=True)
        for frame in ("10.png", "9.PNG", "100.jpg", "notes.txt"):
            (annotated.path / "video" / folder / frame).write_bytes(folder.encode())
    (annotated.path / "video" / "view_00.mp4").write_bytes(b"x")
    return annotated.path


def test_files_of_single_views(full):
    files = find_files(full)
    assert {v: f.name for v, f in files.view_flows.items()} == {2: "view_002.flo", 7: "view_07.npy"}
    assert {v: f.name for v, f in files.videos.items()} == {0: "view_00.mp4", 1: "view_01", 12: "view_12"}


def test_every_file_that_counts_is_present(full):
    files = find_files(full)
    names = [str(f.relative_to(full)) for f in files.present()]
    assert names == ["image.png", "image.json", "flow/view_002.flo", "flow/view_07.npy"]
    frames = {view: [f.name for f in found] for view, found in files.frames().items()}
    assert frames == {0: ["view_00.mp4"], 1: ["9.PNG", "10.png", "100.jpg"], 12: ["9.PNG", "10.png", "100.jpg"]}


def test_a_folder_without_them(annotated):
    files = find_files(annotated.path)
    assert files.view_flows == files.videos == {}
    assert [f.name for f in files.present()] == ["image.png", "image.json"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("flow/7.npy", r"flow/7\.npy: belongs to no view; rename it to view_07"),
        ("flow/view_7.npy", r"flow/view_7\.npy: belongs to no view"),
        ("flow/view_07.flo", r"flow: view_07\.flo and view_07\.npy are both there; keep one"),
        ("flow/view_007.npy", r"flow: view_007\.npy and view_07\.npy are both there"),
        ("video/view_1.mp4", r"video/view_1\.mp4: belongs to no view"),
        ("video/view_12.mp4", r"video: view_12 and view_12\.mp4 are both there"),
        ("video/frames/0.png", r"video/frames: belongs to no view"),
        ("video/view_03/notes.txt", r"video/view_03: no PNG or JPEG frames in this folder"),
    ],
)
def test_names_that_are_slips(full, name, message):
    (full / name).parent.mkdir(exist_ok=True)
    (full / name).write_bytes(b"x")
    with pytest.raises(InputError, match=message) as caught:
        find_files(full)
    assert "\n" not in str(caught.value)


def test_a_lone_image_has_none(annotated, tmp_path):
    np.save(tmp_path / "flow.npy", np.zeros((2, 2, 2)))
    files = find_files(annotated.path / "image.png")
    assert files.flow is None
    assert files.view_flows == {}
