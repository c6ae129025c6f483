import json

import cv2
import numpy as np
import pytest

from mom3d_jax.synthetic import labelme, landscape, write_scene

W, H = 192, 108


@pytest.fixture(scope="module", params=[0, 5])
def scene(request):
    return landscape(seed=request.param, width=W, height=H)


def test_polygons_follow_what_moves(scene):
    annotation = labelme(scene)
    polygons = {s["label"]: np.array(s["points"]) for s in annotation["shapes"] if s["label"].startswith("motion")}
    assert set(polygons) == {"motion_water", "motion_clouds"}
    drawn = np.zeros((H, W), np.uint8)
    for points in polygons.values():
        assert 10 <= len(points) <= 25
        assert (points >= 0).all()
        assert (points <= (W, H)).all()
        cv2.fillPoly(drawn, [np.round(points - 0.5).astype(np.int32)], 1)
    truth = scene.mask > 0
    assert (truth & (drawn > 0)).sum() > 0.8 * (truth | (drawn > 0)).sum()
    assert (truth & (drawn > 0)).sum() > 0.95 * drawn.sum()


def test_rocks_inside_a_polygon_are_drawn_as_still():
    scene = landscape(0, W, H, "open_sea")
    drawn = labelme(scene)["shapes"]
    moves, rests = np.zeros((H, W), np.uint8), np.zeros((H, W), np.uint8)
    for canvas, label in ((moves, "motion"), (rests, "still")):
        for shape in (s for s in drawn if s["label"].startswith(label)):
            cv2.fillPoly(canvas, [np.round(np.array(shape["points"]) - 0.5).astype(np.int32)], 1)
    truth = scene.mask > 0
    carried = (moves > 0) & ~truth
    assert carried.sum() > 100  # of rocks
    assert (carried & (rests == 0)).sum() < 0.05 * carried.sum()
    assert (truth & (rests > 0)).sum() < 0.02 * truth.sum()


def drawn_arrows(scene, **options):
    return [s for s in labelme(scene, **options)["shapes"] if s["label"].startswith("hint_")]


def test_more_arrows_begin_with_the_usual_ones(scene):
    usual, more = ({str(s["points"]) for s in drawn_arrows(scene, times=k)} for k in (1, 3))
    assert usual < more and len(more) > 2 * len(usual)


def test_arrows_are_fifty_frames_of_flow(scene):
    hints = drawn_arrows(scene)
    assert len(hints) >= 4
    assert {s["shape_type"] for s in hints} == {"line"}
    for hint in hints:
        (x0, y0), (x1, y1) = hint["points"]
        assert scene.mask[int(y0), int(x0)] == 1
        assert scene.mask[int(y1), int(x1)] == 1
        np.testing.assert_allclose([x1 - x0, y1 - y0], 50 * scene.flow[int(y0), int(x0)], atol=0.02)


def test_folder(scene, tmp_path):
    folder = write_scene(tmp_path / "a" / "scene", scene)
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    truth = [f"truth/{name}" for name in ("depth.npy", "flow.npy", "mask.png", "motion.npy", "sky.png")]
    assert names == ["image.json", "image.png", *truth]
    image = cv2.imread(str(folder / "image.png"))[..., ::-1]
    assert np.abs(image / 255.0 - scene.image).max() <= 0.5 / 255 + 1e-6
    annotation = json.loads((folder / "image.json").read_text())
    assert annotation == labelme(scene)
    assert (annotation["imageWidth"], annotation["imageHeight"]) == (W, H)
    assert annotation["imagePath"] == "image.png"
    assert annotation["imageData"] is None
    for name in ("depth", "flow", "motion"):
        np.testing.assert_array_equal(np.load(folder / "truth" / f"{name}.npy"), getattr(scene, name))
    mask = cv2.imread(str(folder / "truth/mask.png"), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(mask, 255 * scene.mask)
    write_scene(folder, scene)


def test_unwritable_folder_is_named(scene, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"cannot write the synthetic scene to .*file") as error:
        write_scene(tmp_path / "file", scene)
    assert "\n" not in str(error.value)


def test_falls_are_drawn_as_standing_too():
    shapes = labelme(landscape(0, 128, 72, "waterfall"))["shapes"]
    polygons = {s["label"]: s["points"] for s in shapes if s["shape_type"] == "polygon"}
    standing = [label for label in polygons if label.startswith("standing")]
    assert standing and all(polygons[s] == polygons[s.replace("standing", "motion")] for s in standing)
    assert not any("water" in s or "clouds" in s for s in standing)
