"""LabelMe files: what is drawn is what comes out."""

import base64
import json

import cv2
import numpy as np
import pytest

from mom3d_jax.inputs import InputError
from mom3d_jax.inputs.labelme import read_labelme

SIZE = (100, 60)


def inside_polygon(points, width, height):
    """Even-odd rule at pixel centres, edge by edge."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    inside = np.zeros((height, width), bool)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, 0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crosses & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return inside


def test_polygon_is_filled_exactly(folder, shapes):
    points = np.array([[10.3, 12.2], [80.1, 5.5], [95.2, 50.7], [40.4, 30.1], [15.9, 55.3]])
    mask = read_labelme(folder.labelme(shapes("Motion_3", points.tolist())), SIZE).region("motion", SIZE)[0]
    truth = inside_polygon(points, *SIZE)
    x, y = points.T
    area = 0.5 * abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    assert abs(mask.sum() - area) < 0.02 * area
    # Only pixels that the outline passes through may differ from the test at their centres.
    fine = inside_polygon(points * 8, 800, 480).reshape(60, 8, 100, 8).mean((1, 3))
    whole = (fine == 0) | (fine == 1)
    np.testing.assert_allclose(mask[whole], truth[whole], atol=0.26)
    assert np.abs(mask - fine).max() < 0.35
    assert np.abs(mask - fine).mean() < 0.01


def test_rectangle_circle_mask(folder, shapes):
    bitmap = np.zeros((8, 12), np.uint8)
    bitmap[2:, 3:] = 1
    png = base64.b64encode(cv2.imencode(".png", bitmap)[1].tobytes()).decode()
    file = folder.labelme(
        shapes("motion_r", [[80, 30], [60, 10]], "rectangle"),
        shapes("motion_c", [[30, 30], [30, 40]], "circle"),
        shapes("motion_m", [[40, 45], [51, 52]], "mask", mask=png),
        shapes("motion_o", [[2, 2], [8, 2], [8, 6], [2, 6]], "oriented_rectangle"),
    )
    rectangle, circle, mask, oriented = read_labelme(file, SIZE).region("motion", SIZE)
    assert rectangle[10:30, 60:80].min() == 1
    assert abs(rectangle.sum() - 400) < 12
    assert abs(circle.sum() - np.pi * 100) < 8
    assert abs(np.average(np.arange(100) + 0.5, weights=circle.sum(0)) - 30) < 0.1
    np.testing.assert_array_equal(mask[45:53, 40:52], bitmap)
    assert mask.sum() == bitmap.sum()
    assert abs(oriented.sum() - 24) < 3


def test_strokes_are_ends_and_never_regions(folder, shapes):
    file = folder.labelme(
        shapes.motion,
        shapes("hint_1", [[5, 5], [30, 30], [55, 9]], "linestrip"),
        shapes("HINT", [[1, 2], [3, 4]], "line"),
        shapes("horizon", [[0, 30], [100, 28]], "line"),
    )
    annotation = read_labelme(file, SIZE)
    np.testing.assert_allclose(annotation.ends("hint", SIZE), [[[5, 5], [55, 9]], [[1, 2], [3, 4]]])
    np.testing.assert_allclose(annotation.ends("horizon", (50, 30)), [[[0, 15], [50, 14]]])
    assert len(annotation.region("motion", SIZE)) == 1
    assert annotation.region("motion", SIZE)[0][:39].sum() == 0


def test_drawn_at_another_size(folder, shapes):
    double = shapes("motion_0", [[40, 80], [160, 80], [160, 112], [40, 112]])
    file = folder.labelme(double, imageWidth=200, imageHeight=120)
    small = read_labelme(folder.labelme(double, imageWidth=200, imageHeight=120), SIZE).region("motion", SIZE)
    same = read_labelme(folder.labelme(shapes.motion), SIZE).region("motion", SIZE)
    np.testing.assert_allclose(small, same, atol=0.26)
    file = folder.labelme(double, imageWidth=120, imageHeight=200)
    with pytest.raises(InputError, match="120x200 image, the photo is 100x60"):
        read_labelme(file, SIZE)


def test_size_may_be_missing_and_labels_unknown(folder, shapes):
    file = folder.labelme(shapes.motion, shapes("tree", [[3, 3]], "point"), imageWidth=None)
    annotation = read_labelme(file, SIZE)
    assert "tree" in annotation.notes[0]
    assert annotation.labels == ("motion_0", "tree")


def test_points_outside(folder, shapes):
    near = shapes("motion_0", [[-1.5, 40], [101.9, 40], [80, 61]])
    annotation = read_labelme(folder.labelme(near), SIZE)
    assert "moved to its border: motion_0" in annotation.notes[0]
    np.testing.assert_allclose(annotation.shapes["motion"][0].points, [[0, 40], [100, 40], [80, 60]])
    # A rectangle that is turned in LabelMe 6 may reach past the image, as long as its middle does not.
    turned = shapes("motion_0", [[60, 30], [110, 10], [118, 30], [68, 50]], "oriented_rectangle")
    annotation = read_labelme(folder.labelme(turned), SIZE)
    assert annotation.notes == ()
    inside = inside_polygon(np.array([[60, 30], [110, 10], [118, 30], [68, 50]]), *SIZE)
    assert np.abs(annotation.region("motion", SIZE)[0] - inside).mean() < 0.01
    lost = shapes("motion_0", [[90, 30], [130, 30], [130, 50], [90, 50]], "oriented_rectangle")
    with pytest.raises(InputError, match=r"'motion_0' has a point 10\.0 px outside"):
        read_labelme(folder.labelme(lost), SIZE)
    far = shapes("motion_0", [[-2.5, 40], [80, 40], [80, 56]])
    with pytest.raises(InputError, match=r"'motion_0' has a point 2\.5 px outside the 100x60 image"):
        read_labelme(folder.labelme(far), SIZE)


LABELME_3 = {"version": "3.16.7", "lineColor": [0, 255, 0, 128], "fillColor": [255, 0, 0, 128], "imageData": "aGk="}
LABELME_4 = {"version": "4.6.0", "flags": {}, "imageHeight": 60, "imageWidth": 100, "imageData": "aGk="}
LABELME_5 = {"version": "5.5.0", "flags": {}, "imageHeight": 60, "imageWidth": 100, "imageData": None}
LABELME_6 = {"version": "6.3.1", "flags": {"sunny": True}, "imageHeight": 60, "imageWidth": 100, "imageData": None}
EXTRA = {
    "3": {"line_color": None, "fill_color": None},
    "4": {"group_id": None, "flags": {}},
    "5": {"group_id": 1, "flags": {}, "description": "", "mask": None},
    "6": {"group_id": None, "flags": {}, "description": "the lake", "mask": None, "confidence": 0.5},
}


@pytest.mark.parametrize("head", [LABELME_3, LABELME_4, LABELME_5, LABELME_6], ids=lambda head: head["version"])
def test_files_of_every_version_say_the_same(folder, head):
    """Versions differ in what they add: colours in 3, groups in 4, descriptions and bitmaps in 5, no photo in 6."""
    extra = EXTRA[head["version"][0]]
    polygon = {"label": "motion_0", "points": [[20, 40], [80, 40.0], [80, 56], [20, 56]], **extra}
    if head is not LABELME_3:  # there and in scripts a shape without a type, or with null, is a polygon
        polygon["shape_type"] = "polygon" if head is LABELME_6 else None
    line = {"label": "hint_0", "points": [[30, 50], [60, 45]], "shape_type": "line", **extra}
    file = folder.path / "image.json"
    file.write_text(json.dumps({**head, "imagePath": "..\\elsewhere\\image.png", "shapes": [polygon, line]}))
    annotation = read_labelme(file, SIZE)
    assert annotation.notes == ()
    np.testing.assert_allclose(annotation.ends("hint", SIZE), [[[30, 50], [60, 45]]])
    assert abs(annotation.region("motion", SIZE)[0].sum() - 60 * 16) < 20


def test_a_file_with_a_byte_order_mark(folder, shapes):
    file = folder.labelme(shapes.motion)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_labelme(file, SIZE).labels == ("motion_0",)


@pytest.mark.parametrize(
    ("label", "points", "shape_type", "message"),
    [
        ("motion_0", [[1, 1], [5, 5]], "line", "'motion_0' is a 'line'; draw it as"),
        ("motion_0", [[1, 1]], "spline", "is a 'spline'; draw it as one of polygon"),
        ("hint_0", [[1, 1], [5, 5], [9, 1]], "polygon", "one of line, linestrip"),
        ("tree", [[1, 1]], "spline", "is a 'spline'"),
        ("motion_0", [[1, 1], [5, 5]], "polygon", "without 3 proper points"),
        ("hint_0", [[1, None], [5, 5]], "line", "without 2 proper points"),
        ("motion_0", [[1, 1], [2, "x"], [5, 5]], "polygon", "without 3 proper points"),
        ("motion_0", [[1, 1], [5, 5]], "mask", "is not a PNG"),
        (None, [[1, 1], [5, 5], [9, 1]], "polygon", "shape 0 has no label"),
    ],
)
def test_bad_shapes(folder, shapes, label, points, shape_type, message):
    with pytest.raises(InputError, match=message) as caught:
        read_labelme(folder.labelme(shapes(label, points, shape_type, mask="?")), SIZE)
    assert str(folder.path / "image.json") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "no list of shapes"),
        ('{"shapes": 3}', "no list of shapes"),
        ("", "not valid JSON"),
    ],
)
def test_corrupt_json(folder, text, message):
    file = folder.path / "image.json"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_labelme(file, SIZE)
    file.write_bytes(b"\xff\xfe\x00{}")
    with pytest.raises(InputError, match="not valid JSON"):
        read_labelme(file, SIZE)
