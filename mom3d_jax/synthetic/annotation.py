"""The LabelMe file that a person would have drawn for a synthetic scene: loose polygons and a few arrows."""

from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float

from mom3d_jax.synthetic.scene import SyntheticScene

# A LabelMe arrow is the displacement over this many frames.
ARROW_FRAMES = 50
POINTS = (10, 24)
ARROWS = {"water": 4, "clouds": 2}
FEW_ARROWS = 3
"""For everything else that moves."""
STANDS = ("fall", "plume")
"""Surfaces that stand upright on the ground, which no one can tell from a photo's outlines: they are drawn as such."""
SMALLEST = 0.25
"""Connected parts under this share of the largest one of a surface are not worth a polygon of their own."""
SLIVER = 0.003
"""The same as a share of the image: nobody would draw around a gap between trees."""
ROCK = 0.001
"""What stands still inside a polygon is drawn from this share of the image on."""


def outline(
    region: Bool[np.ndarray, "h w"], rng: np.random.Generator, *, outside: bool = False
) -> Float[np.ndarray, "k 2"]:
    """A hand-drawn polygon around the largest connected part of a region: 10 to 24 points.

    Args:
      region: what to draw around; not empty.
      rng: tremor of the hand, about a pixel in 500.
      outside: whether the hand keeps a little outside of it, instead of inside.
    """
    h, w = region.shape
    margin = max(1, round(w / 250))
    change = cv2.dilate if outside else cv2.erode
    inner = change(region.astype(np.uint8), np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
    contours, _ = cv2.findContours(
        inner if inner.any() else region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    contour = max(contours, key=cv2.contourArea)
    tolerances = w * np.geomspace(0.2, 0.001, 60)
    polygons = [cv2.approxPolyDP(contour, tolerance, True)[:, 0] for tolerance in tolerances]
    fitting = [p for p in polygons if len(p) <= POINTS[1]]
    # The finest that a patient person would click; a region too plain for ten points keeps what it has.
    points = fitting[-1] + 0.5 + rng.normal(0, w / 500, fitting[-1].shape)
    size = np.array([w, h])
    at_border = (fitting[-1] <= margin) * -1 + (fitting[-1] >= size - 1 - margin)
    return np.clip(np.where(at_border < 0, 0, np.where(at_border > 0, size, points)), 0, size)


def arrows(
    region: Bool[np.ndarray, "h w"], flow: Float[np.ndarray, "h w 2"], count: int
) -> list[Float[np.ndarray, "2 2"]]:
    """Arrows (start, end) along the flow, far from each other, that begin and end well inside the region.

    Returns fewer than `count` where the region has no room for them.
    """
    h, w = region.shape
    # The image's border counts as the region's: nobody draws along it.
    depth = cv2.distanceTransform(np.pad(region.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    inner = depth >= min(w / 50, 0.5 * depth.max())
    rows, columns = np.nonzero(inner)
    start = np.stack([columns, rows], axis=-1) + 0.5
    end = start + ARROW_FRAMES * flow[rows, columns]
    column, row = np.floor(end).astype(int).T
    stays = (column >= 0) & (column < w) & (row >= 0) & (row < h)
    inside = stays.copy()
    stays[stays] = inner[row[stays], column[stays]]
    # Through a narrow place nothing stays for so long: there an arrow ends where the content has gone to.
    stays = stays if stays.any() else inside
    start, end = start[stays], end[stays]
    drawn: list[np.ndarray] = []
    for _ in range(min(count, len(start))):
        if drawn:
            # Rows count twice: perspective changes speeds from top to bottom, not from left to right.
            best = np.argmax(np.min([np.hypot(*((start - arrow[0]) * (1, 2)).T) for arrow in drawn], axis=0))
        else:
            best = np.argmin(np.hypot(start[:, 0] - w / 2, h - start[:, 1]))
        drawn.append(np.stack([start[best], end[best]]))
    return drawn


def regions(scene: SyntheticScene) -> dict[str, Bool[np.ndarray, "h w"]]:
    """What moves by the name of its surface, sheets before the sky; surfaces of one name are one region."""
    found: dict[str, Bool[np.ndarray, "h w"]] = {}
    for number, surface in enumerate(scene.world.surfaces, start=1):
        seen = (scene.surface == number) & (scene.mask > 0)
        if seen.any():
            found[surface.name] = found.get(surface.name, False) | seen
    return found


def parts(region: Bool[np.ndarray, "h w"]) -> list[Bool[np.ndarray, "h w"]]:
    """The connected parts of a region that are worth a polygon, largest first."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8))
    area = stats[1:, cv2.CC_STAT_AREA]
    least = max(SMALLEST * area.max(), SLIVER * region.size)
    return [labels == i + 1 for i in np.argsort(-area, kind="stable") if area[i] >= least]


def gaps(drawn: Float[np.ndarray, "k 2"], moving: Bool[np.ndarray, "h w"]) -> list[Bool[np.ndarray, "h w"]]:
    """What stands still inside a polygon, such as rocks: the connected parts that are worth a polygon."""
    inside = cv2.fillPoly(np.zeros(moving.shape, np.uint8), [np.round(drawn - 0.5).astype(np.int32)], 1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inside & ~moving)
    return [labels == i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= ROCK * moving.size]


def slipped(region: Bool[np.ndarray, "h w"], reach: float, rng: np.random.Generator) -> Bool[np.ndarray, "h w"]:
    """A region that is too wide or, as often, too narrow by `reach` px; as it was where hardly anything is left."""
    size = 2 * round(reach) + 1
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    change = cv2.dilate if rng.random() < 0.5 else cv2.erode
    changed = change(region.astype(np.uint8), window) > 0
    return changed if changed.mean() >= SLIVER else region


def labelme(
    scene: SyntheticScene,
    image_path: str = "image.png",
    seed: int = 0,
    slip: float = 0.0,
    hints: int | None = None,
    times: int = 1,
) -> dict[str, Any]:
    """LabelMe 5 annotation of a scene: polygons `motion_water`, `motion_clouds`, ... and arrows `hint_0` and on.

    What stands upright is outlined once more as `standing_fall` and so on, and what stands still inside a polygon as
    `still_0` and on, as `docs/stages/scene.md` tells people to.

    Args:
      scene: what to annotate.
      image_path: name of the image file, relative to the annotation.
      seed: of the hand's tremor.
      slip: px by which every polygon is too wide or too narrow, at an image 512 px wide.
      hints: arrows at most, the first of every region first; None: all.
      times: how many times as many arrows as a person would draw, where a region has room for them.
    """
    rng = np.random.default_rng(seed)
    shapes: list[tuple[str, str, np.ndarray]] = []
    drawn: list[tuple[int, np.ndarray]] = []
    still: list[np.ndarray] = []
    for name, region in regions(scene).items():
        drawable = parts(region)
        for i, part in enumerate(drawable):
            shown = slipped(part, slip * scene.camera.width / 512, rng) if slip else part
            drawn_as, number = outline(shown, rng), f"_{i}" if i else ""
            shapes.append(("polygon", f"motion_{name}{number}", drawn_as))
            if name in STANDS:
                shapes.append(("polygon", f"standing_{name}{number}", drawn_as))
            still += gaps(drawn_as, scene.mask > 0)
        if drawable:
            drawn += enumerate(arrows(region, scene.flow, times * ARROWS.get(name, FEW_ARROWS)))
    if hints is not None:
        drawn = sorted(drawn, key=lambda pair: pair[0])[:hints]
    shapes += [("polygon", f"still_{i}", outline(gap, rng, outside=True)) for i, gap in enumerate(still)]
    shapes += [("line", f"hint_{i}", arrow) for i, (_, arrow) in enumerate(drawn)]
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": [
            {
                "label": label,
                "points": np.round(points, 2).tolist(),
                "group_id": None,
                "description": "",
                "shape_type": shape,
                "flags": {},
                "mask": None,
            }
            for shape, label, points in shapes
        ],
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": scene.camera.height,
        "imageWidth": scene.camera.width,
    }
