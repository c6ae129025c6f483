"""LabelMe JSON (versions 4 to 6) → regions, strokes and horizon.

What is read, by the start of the label in upper or lower case: `motion*`, `still*`, `sky*` and `standing*` regions
(polygon, rectangle, oriented_rectangle, circle, mask), `hint*` strokes and the `horizon` (line, linestrip). Other
labels are named in a note. Points count from the top left corner of the image that was annotated, pixel centres at k +
0.5. Of every shape only its label, type, points and bitmap are read, so fields that a version lacks or adds do no
harm; a shape without a type is a polygon, as in the oldest files.

Regions and strokes are kept apart from the start: the released code takes every label for motion, so that the hint
strokes, drawn 10 px wide, become moving pixels.
"""

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.inputs.errors import InputError
from mom3d_jax.inputs.images import ASPECT_TOLERANCE, as_unit_range, same_aspect

REGION_TYPES = ("polygon", "rectangle", "oriented_rectangle", "circle", "mask")
STROKE_TYPES = ("line", "linestrip")
OTHER_TYPES = ("point", "points")
KINDS = {"motion": REGION_TYPES, "still": REGION_TYPES, "sky": REGION_TYPES, "standing": REGION_TYPES,
         "hint": STROKE_TYPES, "horizon": STROKE_TYPES}  # fmt: skip
POINTS_NEEDED = {"polygon": 3, "rectangle": 2, "oriented_rectangle": 4, "circle": 2, "mask": 2, "line": 2,
                 "linestrip": 2}  # fmt: skip
OUTSIDE_TOLERANCE = 2.0
"""Points this far outside the image, px, are slips of the hand; farther ones belong to another image."""
SUPERSAMPLING = 4
"""Regions are drawn this many times finer and averaged: their borders are soft by one pixel and in the right place."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """One shape of the file, in px of the annotated image."""

    label: str
    type: str
    points: Float[np.ndarray, "n 2"]
    bitmap: Float[np.ndarray, "bh bw"] | None = None
    """Of a `mask`: its content, whose top left pixel is the first point."""


@dataclasses.dataclass(frozen=True)
class Annotation:
    """The shapes of a file by kind."""

    path: Path
    size: tuple[int, int]
    """(width, height) of the annotated image."""
    shapes: dict[str, tuple[Shape, ...]]
    labels: tuple[str, ...]
    """All labels found."""
    notes: tuple[str, ...]

    def region(self, kind: str, size: tuple[int, int]) -> Float[np.ndarray, "n h w"]:
        """The regions of a kind as masks of (width, height), one each."""
        masks = [_rasterize(shape, self.size, size) for shape in self.shapes[kind]]
        return np.stack(masks) if masks else np.zeros((0, size[1], size[0]), np.float32)

    def ends(self, kind: str, size: tuple[int, int]) -> Float[np.ndarray, "n 2 2"]:
        """First and last point of each stroke of a kind, in px of an image of (width, height)."""
        ends = [shape.points[[0, -1]] for shape in self.shapes[kind]]
        scale = np.array(size) / np.array(self.size)
        return (np.array(ends).reshape(-1, 2, 2) * scale).astype(np.float32)


def read_labelme(path: Path, size: tuple[int, int]) -> Annotation:
    """Read a LabelMe file.

    Args:
      path: the JSON file.
      size: (width, height) of the photo. The file may have been drawn on the same photo at another size.

    Raises:
      InputError: corrupt JSON, a shape that cannot be what its label says, points more than 2 px outside the image,
        or a file drawn on an image of another aspect.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    except ValueError as error:
        raise InputError(
            f"{path}: not valid JSON ({str(error).splitlines()[0]}); save it again from LabelMe"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise InputError(f"{path}: no list of shapes in it; save it again from LabelMe")
    drawn_on = _size_of(content, path, size)

    shapes: dict[str, list[Shape]] = {kind: [] for kind in KINDS}
    labels, unused, moved = [], [], []
    for number, entry in enumerate(content["shapes"]):
        label = entry.get("label") if isinstance(entry, dict) else None
        if not isinstance(label, str):
            raise InputError(f"{path}: shape {number} has no label; give it one in LabelMe, or remove it")
        labels.append(label)
        kind = next((k for k in KINDS if label.lower().startswith(k)), None)
        shape = _shape(entry, label, kind, path)
        if kind is None:
            unused.append(label)
            continue
        placed = _inside(shape, drawn_on, path)
        if placed is not shape:
            moved.append(label)
        shapes[kind].append(placed)
    notes = []
    if unused:
        notes.append(f"{path.name}: labels without a meaning here were left out: {', '.join(sorted(set(unused)))}")
    if moved:
        notes.append(f"{path.name}: points just outside the image were moved to its border: {', '.join(moved)}")
    return Annotation(path, drawn_on, {k: tuple(s) for k, s in shapes.items()}, tuple(labels), tuple(notes))


def _size_of(content: dict[str, Any], path: Path, photo: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the annotated image; the photo's where the file does not say."""
    width, height = content.get("imageWidth"), content.get("imageHeight")
    if width is None or height is None:
        return photo
    if not all(isinstance(side, int) and side > 0 for side in (width, height)):
        raise InputError(f"{path}: imageWidth={width!r}, imageHeight={height!r}; both have to be positive integers")
    if not same_aspect((width, height), photo):
        raise InputError(
            f"{path}: drawn on a {width}x{height} image, the photo is {photo[0]}x{photo[1]}, whose aspect differs by "
            f"more than {ASPECT_TOLERANCE:.0%}; annotate this photo"
        )
    return width, height


def _shape(entry: dict[str, Any], label: str, kind: str | None, path: Path) -> Shape:
    """Check one entry and turn it into a shape."""
    shape_type = entry.get("shape_type") or "polygon"
    allowed = KINDS[kind] if kind else (*REGION_TYPES, *STROKE_TYPES, *OTHER_TYPES)
    if shape_type not in allowed:
        raise InputError(f"{path}: {label!r} is a {shape_type!r}; draw it as one of {', '.join(allowed)}")
    try:
        points = np.array(entry.get("points"), np.float64).reshape(-1, 2)
        finite = bool(np.isfinite(points).all())
    except (TypeError, ValueError):
        points, finite = np.zeros((0, 2)), False
    needed = POINTS_NEEDED.get(shape_type, 1)
    if not finite or len(points) < needed:
        raise InputError(f"{path}: {label!r} is a {shape_type} without {needed} proper points; draw it again")
    return Shape(label, shape_type, points, _bitmap(entry, label, path) if shape_type == "mask" else None)


def _inside(shape: Shape, image: tuple[int, int], path: Path) -> Shape:
    """The shape with points that lie just outside the image moved to its border; itself where there are none."""
    # LabelMe 6 lets a rectangle that is turned reach past the image, so only its middle has to lie inside.
    turned = shape.type == "oriented_rectangle"
    points = shape.points.mean(0, keepdims=True) if turned else shape.points
    inside = np.clip(points, 0, image)
    distance = np.abs(points - inside).max()
    if distance > OUTSIDE_TOLERANCE:
        raise InputError(
            f"{path}: {shape.label!r} has a point {distance:.1f} px outside the {image[0]}x{image[1]} image; "
            "drag it back in, or annotate the right image"
        )
    return shape if turned or distance == 0 else dataclasses.replace(shape, points=inside)


def _bitmap(entry: dict[str, Any], label: str, path: Path) -> Float[np.ndarray, "bh bw"]:
    """The embedded PNG of a `mask` shape, in [0, 1]."""
    try:
        data = np.frombuffer(base64.b64decode(entry["mask"], validate=True), np.uint8)
        bitmap = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    except (KeyError, TypeError, ValueError, cv2.error):
        bitmap = None
    if bitmap is None:
        raise InputError(f"{path}: the mask of {label!r} is not a PNG; draw it again")
    # LabelMe writes 1-bit images, which some readers give back as 0 and 1.
    return (as_unit_range(bitmap, path) > 0).astype(np.float32)


def _rasterize(shape: Shape, drawn_on: tuple[int, int], size: tuple[int, int]) -> Float[np.ndarray, "h w"]:
    """The share of each pixel of a (width, height) image that a region covers."""
    fine = np.array(size) * SUPERSAMPLING
    scale = fine / np.array(drawn_on)
    canvas = np.zeros((fine[1], fine[0]), np.float32)
    if shape.bitmap is not None:
        # The points of a mask are its first and last pixel.
        low = np.round(shape.points.min(0) * scale).astype(int)
        high = np.minimum(np.round((shape.points.max(0) + 1) * scale).astype(int), fine)
        width, height = (int(n) for n in np.maximum(high - low, 1))
        bitmap = cv2.resize(shape.bitmap, (width, height), interpolation=cv2.INTER_NEAREST)
        canvas[low[1] : low[1] + height, low[0] : low[0] + width] = bitmap
    else:
        # OpenCV counts pixel centres as whole numbers.
        cv2.fillPoly(canvas, [np.round(_outline(shape) * scale - 0.5).astype(np.int32)], 1)
    return cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)


def _outline(shape: Shape) -> Float[np.ndarray, "n 2"]:
    """A region as a polygon."""
    if shape.type == "rectangle":
        (x0, y0), (x1, y1) = shape.points[:2]
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    if shape.type == "circle":
        # The centre and a point of the circle.
        angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
        radius = np.linalg.norm(shape.points[1] - shape.points[0])
        return shape.points[0] + radius * np.stack([np.cos(angle), np.sin(angle)], -1)
    return shape.points
