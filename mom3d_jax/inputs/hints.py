"""Hints: arrows that say how content moves, drawn by a person or chosen automatically.

A stroke is drawn as long as the content goes in 50 frames (the convention of 3D-Cinemagraphy and of the released
code), so the motion at its start is (end - start) / 50 px per frame.

Where nobody drew one, every region that moves gets a hint at its innermost point: along its long axis, downwards
where that is steeper than 45° (a river coming closer, a waterfall), else to the right (a lake); straight to the right
where the region reaches the top border (the sky). The speed is 0.1 % of the width per frame. It is a guess that keeps
things moving along their own shape, no more.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from mom3d_jax.types import Hints

STROKE_FRAMES = 50
AUTOMATIC_SPEED = 0.001
"""Motion of an automatic hint, widths per frame."""
MOST_AUTOMATIC = 8
SMALLEST_REGION = 0.1
"""Regions under this share of the largest one get no hint of their own."""


def hints_from_strokes(strokes: Float[np.ndarray, "k 2 2"]) -> Hints:
    """Hints from the ends of strokes, in px at working size."""
    return _hints(strokes[:, 0], (strokes[:, 1] - strokes[:, 0]) / STROKE_FRAMES)


def hints_from_flow(mask: Float[np.ndarray, "h w"], flow: Float[np.ndarray, "h w 2"]) -> Hints:
    """Hints that read a flow file where each region that moves is widest."""
    starts = [_innermost(region) for region in _regions(mask)]
    return _hints(np.array(starts), np.array([flow[int(y), int(x)] for x, y in starts]))


def automatic_hints(mask: Float[np.ndarray, "h w"]) -> Hints:
    """Hints along the long axis of each region that moves."""
    regions = _regions(mask)
    motions = [AUTOMATIC_SPEED * mask.shape[1] * _long_axis(region) for region in regions]
    return _hints(np.array([_innermost(region) for region in regions]), np.array(motions))


def _hints(start: np.ndarray, motion: np.ndarray) -> Hints:
    return Hints(start=start.astype(np.float32), motion=motion.astype(np.float32), valid=np.ones(len(start), bool))


def _regions(mask: Float[np.ndarray, "h w"]) -> list[Bool[np.ndarray, "h w"]]:
    """Connected parts of the mask, largest first, without the small and the too many."""
    labels, count = ndimage.label(mask >= 0.5)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    order = [i for i in np.argsort(-areas, kind="stable") if areas[i] >= SMALLEST_REGION * areas.max()]
    return [labels == i + 1 for i in order[:MOST_AUTOMATIC]]


def _innermost(region: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, " 2"]:
    """The pixel centre (x, y) of a region that is farthest from its border and from that of the image."""
    inside = cv2.distanceTransform(np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    row, column = np.unravel_index(np.argmax(inside), inside.shape)
    return np.array([column + 0.5, row + 0.5])


def _long_axis(region: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, " 2"]:
    """Unit vector (x, y) along a region's largest spread, to the right or, where steeper than 45°, down.

    A region that is about as high as wide, or reaches the top border, moves to the right.
    """
    y, x = np.nonzero(region)
    covariance = np.cov(np.stack([x, y]).astype(np.float64), bias=True)
    spread, axes = np.linalg.eigh(covariance)
    if region[0].any() or spread[1] <= 2 * spread[0]:
        return np.array([1.0, 0.0])
    axis = axes[:, 1]
    steep = abs(axis[1]) > abs(axis[0])
    return axis * np.sign(axis[1] if steep else axis[0])
