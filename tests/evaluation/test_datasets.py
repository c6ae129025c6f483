import json
import shutil

import cv2
import numpy as np
import pytest

from mom3d_jax.evaluation.datasets import choose, read_dataset
from mom3d_jax.evaluation.scene_truth import read_truth
from mom3d_jax.inputs import InputError

SIZE = (64, 36)


@pytest.fixture
def copied(dataset, tmp_path):
    """The data set, to be spoilt, and the truth of its first scene."""
    folder = tmp_path / "set"
    shutil.copytree(dataset, folder)
    return folder, folder / "alpine_lake_0" / "truth"


def test_synthetic_scenes_have_their_truth(dataset):
    samples = read_dataset("synthetic", dataset)
    assert [s.name for s in samples] == ["alpine_lake_0", "alpine_lake_4"]
    truth = samples[0].truth
    assert (truth.size, truth.frames, truth.period, truth.focal) == (SIZE, 4, 4, 64)
    assert set(truth.paths) == {"input", "up-down", "side", "zoom-in", "circle"}
    assert truth.unit == pytest.approx(np.percentile(np.load(dataset / "alpine_lake_0" / "truth" / "depth.npy"), 1))
    # Half way in, the camera has come 0.24 units of the paths nearer.
    assert truth.poses("zoom-in").translation[-1, 2] == pytest.approx(-0.24 * truth.unit, rel=1e-5)


def test_a_clip_is_what_lies_on_disk_and_its_flow_follows_the_pixels(dataset):
    truth = read_dataset("synthetic", dataset)[0].truth
    clip = truth.clip("advected", "side", SIZE)
    first = cv2.imread(str(truth.folder / "advected" / "side" / "000000.png"))[..., ::-1]
    np.testing.assert_array_equal(clip.frames[0], first)
    # Read along the flow, the next frame looks like this one where it is not hidden.
    row, column = np.indices(SIZE[::-1]).astype(np.float32)
    x, y = column + clip.flow[0, ..., 0], row + clip.flow[0, ..., 1]
    followed = cv2.remap(clip.frames[1], x, y, cv2.INTER_LINEAR).astype(float)
    seen = clip.hidden[0] == 0
    moved, still = (np.abs(a - clip.frames[0])[seen].mean() for a in (followed, clip.frames[1].astype(float)))
    assert moved < 0.5 * still


def test_larger_truth_is_averaged_and_its_flow_counts_new_pixels(dataset):
    truth = read_dataset("synthetic", dataset)[0].truth
    full, half = truth.clip("advected", "side", SIZE), truth.clip("advected", "side", (32, 18))
    blocks = full.frames[0].reshape(18, 2, 32, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(half.frames[0], blocks, atol=0.51)
    np.testing.assert_allclose(
        half.flow[0], full.flow[0].reshape(18, 2, 32, 2, 2).mean(axis=(1, 3)) / 2, rtol=1e-4, atol=1e-5
    )
    # Where any part of a pixel is hidden, the pixel is.
    np.testing.assert_array_equal(half.hidden[0], full.hidden[0].reshape(18, 2, 32, 2).max(axis=(1, 3)))
    assert set(np.unique(half.moving)) <= {0, 1}
    geometry = truth.geometry((32, 18))
    assert geometry.flow.shape == (18, 32, 2)
    np.testing.assert_allclose(
        geometry.flow[-1, 0], truth.geometry(SIZE).flow[-2:, :2].mean(axis=(0, 1)) / 2, rtol=1e-4
    )


def test_a_periodic_truth_of_another_photo_says_so(copied):
    truth = read_truth(copied[0] / "alpine_lake_0")
    assert truth.photo("periodic") is None
    first = copied[1] / "periodic" / "input" / "000000.png"
    cv2.imwrite(str(first), 255 - cv2.imread(str(first)))
    assert truth.photo("periodic") == first


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda t: (t / "advected" / "side" / "000002.png").unlink(), "000002.png: cannot be read"),
        (lambda t: (t / "advected" / "side" / "000002.png").write_bytes(b"\x89PNG"), "000002.png: not a complete PNG"),
        (
            lambda t: cv2.imwrite(str(t / "advected" / "side" / "000002.png"), np.zeros((18, 32, 3), np.uint8)),
            "000002.png: 32x18 px, not 64x36",
        ),
        (lambda t: (t / "advected" / "side" / "motion.npz").unlink(), "motion.npz: not readable"),
        (
            lambda t: np.savez(t / "advected" / "side" / "motion.npz", moving=np.zeros((4, 9, 9)), flow=1, hidden=2),
            "motion.npz: moving is [4, 9, 9], not of 64x36",
        ),
    ],
)
def test_spoilt_frames_are_named(copied, spoil, said):
    spoil(copied[1])
    with pytest.raises(InputError) as error:
        read_truth(copied[0] / "alpine_lake_0").clip("advected", "side", SIZE)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"format": 1}', "says nothing of width, height"),
        ('{"format": 9}', "format 9, this program reads 1"),
        ("[]", "not a JSON object"),
        ('{"format"', "not valid JSON"),
    ],
)
def test_a_damaged_description_is_named(copied, content, said):
    (copied[1] / "scene.json").write_text(content)
    with pytest.raises(InputError, match=r"scene.json") as error:
        read_dataset("synthetic", copied[0])
    assert said in str(error.value)


def test_an_incomplete_scene_is_refused(copied):
    (copied[1] / "scene.json").unlink()
    with pytest.raises(InputError, match=r"alpine_lake_0: no truth/scene.json"):
        read_dataset("synthetic", copied[0])


def test_any_folder_of_scenes_and_pictures(copied):
    folder = copied[0]
    shutil.copy(folder / "alpine_lake_4" / "image.png", folder / "beach.png")
    samples = read_dataset("folder", folder)
    assert [(s.name, s.truth is None) for s in samples] == [
        ("alpine_lake_0", False), ("alpine_lake_4", False), ("beach", True)
    ]  # fmt: skip
    (folder / "alpine_lake_4.png").write_bytes((folder / "beach.png").read_bytes())
    with pytest.raises(InputError, match="have one name"):
        read_dataset("folder", folder)
    with pytest.raises(InputError, match="no such folder"):
        read_dataset("folder", folder / "nowhere")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (["alpine_lake_0", "alpine_lake_0"], "are the same"),
        (["alpine_lake_0", "./alpine_lake_0"], "are the same"),
        (["../set/../outside"], "leads out of"),
        (["/"], "leads out of"),
        (["alpine_lake_1"], "'alpine_lake_1' is not there"),
        ([], "not a list of paths"),
        (["alpine_lake_0", 3], "not a list of paths"),
        ({"scenes": "alpine_lake_0"}, "not a list of paths"),
    ],
)
def test_manifests_that_are_refused(copied, entries, said):
    file = copied[0] / "some.json"
    file.write_text(json.dumps(entries))
    (copied[0].parent / "outside").mkdir()
    with pytest.raises(InputError, match=r"some.json") as error:
        read_dataset("manifest", file)
    assert said in str(error.value)


def test_a_link_out_of_the_folder_is_out_of_the_folder(copied, tmp_path):
    (copied[0] / "link").symlink_to(tmp_path)
    file = copied[0] / "some.json"
    file.write_text('["link"]')
    with pytest.raises(InputError, match="leads out of"):
        read_dataset("manifest", file)


def test_a_manifest_names_inputs_beside_it(copied):
    file = copied[0] / "some.json"
    file.write_text('["alpine_lake_4", "alpine_lake_0/image.png"]')
    assert [(s.name, s.truth is None) for s in read_dataset("manifest", file)] == [
        ("alpine_lake_4", False), ("image", True)
    ]  # fmt: skip


def test_unknown_names_come_with_the_nearest(dataset):
    samples = read_dataset("synthetic", dataset)
    assert [s.name for s in choose(samples, "alpine_lake_4")] == ["alpine_lake_4"]
    with pytest.raises(InputError, match="did you mean alpine_lake_0"):
        choose(samples, "alpine_lake_00")
    with pytest.raises(InputError, match="did you mean synthetic"):
        read_dataset("syntetic", dataset)
