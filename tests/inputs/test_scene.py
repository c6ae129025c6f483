"""Whole scenes: what is taken from where, and that everything keeps in step with the working size."""

import dataclasses
import shutil

import cv2
import jax
import numpy as np
import pytest

from mom3d_jax.inputs import InputError, load_scene


def test_annotated_folder(annotated):
    scene = load_scene(annotated.path, 1000)
    assert scene.name == "lake"
    assert scene.notes == ()
    np.testing.assert_allclose(scene.image, annotated.photo / 255.0, atol=1e-6)
    assert abs(scene.mask.sum() - 60 * 16) < 20
    assert scene.mask[41:55, 21:79].min() == 1
    np.testing.assert_allclose(scene.hints.start, [[30, 50]])
    np.testing.assert_allclose(scene.hints.motion, [[30 / 50, -5 / 50]])
    assert scene.depth is None
    assert scene.flow is None
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(scene))
    assert all(leaf.dtype in (np.float32, bool) for leaf in jax.tree.leaves(scene))


def test_everything_follows_the_working_size(annotated, shapes):
    annotated.npy("depth.npy", np.full((60, 100), 3.0))
    annotated.npy("flow.npy", np.full((60, 100, 2), 0.5))
    annotated.labelme(shapes.motion, shapes.hint, shapes("horizon", [[0, 30], [100, 20]], "line"),
                      shapes("Sky_0", [[0, 0], [100, 20]], "rectangle"),
                      shapes("standing_tree", [[60, 10], [80, 50]], "rectangle"))  # fmt: skip
    full, small = load_scene(annotated.path, 100), load_scene(annotated.path, 60)
    assert small.image.shape == (36, 60, 3)
    assert small.mask.shape == small.depth.shape == (36, 60)
    assert small.flow.shape == (36, 60, 2)
    assert small.mask.mean() == pytest.approx(full.mask.mean(), rel=0.03)
    np.testing.assert_allclose(small.hints.start, 0.6 * full.hints.start, rtol=1e-5)
    np.testing.assert_allclose(small.hints.motion, 0.6 * full.hints.motion, rtol=1e-5)
    np.testing.assert_allclose(small.flow, 0.3, rtol=1e-5)
    np.testing.assert_allclose(small.depth, 3)
    np.testing.assert_allclose(small.layout.horizon, [[0, 18], [60, 12]])
    assert small.layout.sky[:11].min() == 1
    assert small.layout.sky[13:].max() == 0
    assert small.layout.standing.shape == (1, 36, 60)


def test_hint_strokes_do_not_leak_into_the_mask(annotated, shapes):
    before = load_scene(annotated.path, 100).mask
    annotated.labelme(shapes.motion, shapes.hint, shapes("hint_1", [[5, 5], [95, 10]], "line"))
    scene = load_scene(annotated.path, 100)
    np.testing.assert_array_equal(scene.mask, before)
    assert "hint_1" in scene.notes[0]
    assert scene.hints.start.shape == (2, 2)


@pytest.mark.parametrize("decides", ["motion shapes", "mask.png", "flow.npy"])
def test_still_shapes_are_cut_out_of_whatever_says_what_moves(annotated, shapes, decides):
    rock = shapes("still_rock", [[40, 45], [60, 50]], "rectangle")
    if decides == "flow.npy":
        annotated.npy("flow.npy", np.full((60, 100, 2), 0.5))
        annotated.labelme(rock)
    else:
        annotated.labelme(shapes.motion, shapes.hint, rock)
    if decides == "mask.png":
        annotated.png("mask.png", np.full((60, 100), 255, np.uint8))
    mask = load_scene(annotated.path, 100).mask
    assert mask[45:50, 40:60].max() == 0
    assert mask[42:44, 30:70].min() == mask[52:54, 30:70].min() == mask[42:54, 36:39].min() == 1


def test_lone_image_takes_the_json_beside_it(annotated, tmp_path):
    shutil.copy(annotated.path / "image.png", tmp_path / "photo.png")
    shutil.copy(annotated.path / "image.json", tmp_path / "photo.json")
    scene, same = load_scene(tmp_path / "photo.png", 100), load_scene(annotated.path, 100)
    assert scene.name == "photo"
    np.testing.assert_array_equal(scene.mask, same.mask)


def test_automatic_choice_without_a_sky(folder):
    scene = load_scene(folder.path, 100)
    assert scene.mask[:39].max() == 0
    assert scene.mask[41:].min() == 1
    assert "the lower third was chosen" in scene.notes[0]
    assert "no hint lines" in scene.notes[1]
    assert scene.hints.motion[0, 0] > 0


def test_automatic_choice_of_the_sky_stays_off_the_skyline(folder):
    def detect_sky(image):
        assert image.shape == (60, 100, 3)
        return (np.arange(60)[:, None] < np.full(100, 30)[None]).astype(np.float32)

    scene = load_scene(folder.path, 100, detect_sky=detect_sky)
    assert scene.mask[:29].min() == 1
    assert scene.mask[29:].max() == 0
    assert "the sky was chosen (48%" in scene.notes[0]
    assert scene.hints.motion[0, 1] == 0


def test_motion_shapes_without_hints(folder, shapes):
    folder.labelme(shapes.motion)
    scene = load_scene(folder.path, 100)
    assert "no hint lines" in scene.notes[0]
    np.testing.assert_allclose(scene.hints.motion, [[0.1, 0]], atol=1e-6)


def test_mask_file_wins_and_is_told(annotated):
    mask = np.zeros((60, 100), np.uint8)
    mask[:10] = 255
    annotated.png("mask.png", mask)
    scene = load_scene(annotated.path, 100)
    np.testing.assert_array_equal(scene.mask, mask / np.float32(255))
    assert "mask.png is used instead" in scene.notes[0]


def test_flow_alone_says_what_moves_and_how(folder):
    flow = np.zeros((60, 100, 2), np.float32)
    flow[40:, 10:60] = [0.7, -0.2]
    folder.npy("flow.npy", flow)
    scene = load_scene(folder.path, 100)
    np.testing.assert_array_equal(scene.mask, flow[..., 0] > 0)
    np.testing.assert_allclose(scene.hints.motion, [[0.7, -0.2]], rtol=1e-6)
    assert "flow file" in scene.notes[0]


def test_flow_of_single_views(annotated):
    (annotated.path / "flow").mkdir()
    annotated.npy("flow/view_07.npy", np.full((30, 50, 2), 0.5))
    annotated.npy("flow/view_002.npy", np.full((60, 100, 2), 0.25))
    scene = load_scene(annotated.path, 60)
    assert sorted(scene.view_flows) == ["2", "7"]
    np.testing.assert_allclose(scene.view_flows["7"], np.full((36, 60, 2), 0.6), rtol=1e-6)
    np.testing.assert_allclose(scene.view_flows["2"], np.full((36, 60, 2), 0.15), rtol=1e-6)
    assert scene.flow is None
    assert scene.hints.start.shape == (1, 2)
    assert scene.notes == ()


def test_nothing_is_guessed_beside_flow_of_single_views(folder):
    (folder.path / "flow").mkdir()
    flow = np.zeros((60, 100, 2), np.float32)
    flow[40:, 10:60] = [0.7, -0.2]
    folder.npy("flow/view_02.npy", flow)
    scene = load_scene(folder.path, 100)
    np.testing.assert_array_equal(scene.mask, flow[..., 0] > 0)
    assert scene.hints.start.shape == (0, 2)
    assert "only views 2, which have a file in flow/, say how it moves" in scene.notes[-1]
    flow[:] = 0
    folder.npy("flow/view_02.npy", flow)
    with pytest.raises(InputError, match=r"flow/view_02\.npy: no pixel moves in it"):
        load_scene(folder.path, 100)


def test_width_0_is_the_photos_own(annotated):
    assert load_scene(annotated.path, 0).image.shape == (60, 100, 3)


def test_labelme_without_motion_lists_its_labels(folder, shapes):
    file = folder.labelme(shapes.hint, shapes("water", [[1, 1], [9, 1], [9, 9]]))
    with pytest.raises(InputError, match=r"no shape labelled motion\*; labels found: hint_0, water") as caught:
        load_scene(folder.path, 100)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("flat polygon", "no pixel moves in it"),
        ("no motion in the flow", "no pixel moves in it"),
        ("two horizons", "2 horizon lines; keep one"),
        ("steep horizon", "rises by 45° or more"),
        ("hint without length", "no hint line has a length"),
        ("two images", "image.jpg and image.png are both there"),
        ("no image", "no image.png"),
        ("nothing there", "no such file or folder"),
    ],
)
def test_bad_scenes(annotated, shapes, case, message):
    line = lambda label, *points: shapes(label, [list(p) for p in points], "line")
    if case == "flat polygon":
        annotated.labelme(shapes("motion_0", [[20, 30], [80, 30], [50, 30]]))
    elif case == "no motion in the flow":
        (annotated.path / "image.json").unlink()
        annotated.npy("flow.npy", np.zeros((60, 100, 2)))
    elif case == "two horizons":
        annotated.labelme(shapes.motion, line("horizon", (0, 30), (9, 30)), line("horizon2", (0, 30), (9, 30)))
    elif case == "steep horizon":
        annotated.labelme(shapes.motion, line("horizon", (0, 30), (9, 50)))
    elif case == "hint without length":
        annotated.labelme(shapes.motion, line("hint", (40, 50), (40, 50)))
    elif case == "two images":
        cv2.imwrite(str(annotated.path / "image.jpg"), annotated.photo)
    elif case == "no image":
        (annotated.path / "image.png").unlink()
    path = annotated.path / "nowhere" if case == "nothing there" else annotated.path
    with pytest.raises(InputError, match=message) as caught:
        load_scene(path, 100)
    assert "\n" not in str(caught.value)


def test_real_photos_have_the_published_masks(real_data):
    for name, share in (("scene_0", 0.1413), ("scene_1", 0.2798)):
        scene = load_scene(real_data / "scenes" / name, 256)
        assert scene.image.shape == (144, 256, 3)
        assert scene.mask.mean() == pytest.approx(share, abs=0.001)
        assert scene.notes == ()


def test_real_flow_files(real_data, tmp_path):
    name = "0000008"
    source = real_data / "flows" / name
    for kind, target in ((".png", "image.png"), ("_mask.png", "mask.png"), ("_motion.npy", "flow.npy")):
        shutil.copy(source / f"{name}{kind}", tmp_path / target)
    scene = load_scene(tmp_path, 256)
    original = np.moveaxis(np.load(source / f"{name}_motion.npy")[0], 0, -1)
    np.testing.assert_allclose(scene.flow, original.reshape(256, 2, 256, 2, 2).mean((1, 3)) / 2, atol=1e-6)
    moves = scene.mask >= 0.5
    assert np.linalg.norm(scene.flow, axis=-1)[moves].mean() > 10 * np.linalg.norm(scene.flow, axis=-1)[~moves].mean()


def test_scene_survives_a_tree_round_trip(annotated):
    scene = load_scene(annotated.path, 64)
    leaves, structure = jax.tree.flatten(scene)
    again = jax.tree.unflatten(structure, leaves)
    assert dataclasses.asdict(again).keys() == dataclasses.asdict(scene).keys()
    assert again.layout == scene.layout
