"""Where the ground ends: the line to which it recedes.

Two kinds of landscape: over the sea or a plain the skyline *is* the horizon, so it is straight; where mountains or
trees hide the horizon the skyline is ragged, and the horizon lies somewhere below it.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from mom3d_jax.types import Array, Scene

WIDTH = 256
"""The horizon is sought at this width, px; wider photos are averaged down."""
STRAIGHT = 0.6
"""A skyline is straight if this share of the columns has the same height, to 1 % of the height of the photo."""
USUAL, SPREAD = 0.42, 0.15
"""Where photographers put a hidden horizon, as a share of the height, and how far they stray from it."""
UNDER_SKYLINE = 0.1
"""How far under a ragged skyline the horizon usually lies at least."""
HALO = 0.03
"""Edges this close to the skyline belong to it."""
EDGE_FLOOR = 0.003
"""Change of lightness or colour per row, of 1, that is nothing yet."""


def find_horizon(scene: Scene, sky: Float[Array, "h w"] | Bool[Array, "h w"]) -> Float[np.ndarray, "2 2"]:
    """The horizon as its owner drew it, or as it is detected: two points (x, y), px."""
    if scene.layout.horizon is not None:
        return np.asarray(scene.layout.horizon, np.float64)
    return detect_horizon(scene.image, sky, scene.mask)


def detect_horizon(
    image: Float[Array, "h w 3"], sky: Float[Array, "h w"] | Bool[Array, "h w"], mask: Float[Array, "h w"]
) -> Float[np.ndarray, "2 2"]:
    """A level horizon.

    Along a straight skyline it is the strongest edge within 4 % of the height. Else it lies between the skyline and
    the water (what moves and is not sky), at a row across which most columns change alike, and rather where horizons
    usually are.

    Args:
      image: RGB in [0, 1].
      sky: 1 in the sky, which begins at the top border.
      mask: 1 where content moves.

    Returns:
      Its points (x, y) at the left and right border, px.
    """
    image, sky, moves = np.ascontiguousarray(image, np.float32), np.asarray(sky) > 0.5, np.asarray(mask) > 0.5
    height, width = sky.shape
    skyline = sky.sum(axis=0)
    tolerance = max(1, round(0.01 * height))
    share = np.convolve(np.bincount(skyline, minlength=height + 1), np.ones(2 * tolerance + 1), "same") / width
    straight = int(np.argmax(share[1:])) + 1
    rows = np.arange(height + 1)
    if share[straight] >= STRAIGHT:
        low, high = straight - round(0.04 * height), straight + round(0.04 * height)
        score = _edge_profile(image, np.zeros(width))
    else:
        low, high = _bounds(sky, moves)
        usual = max(USUAL, low / height + UNDER_SKYLINE)
        score = np.exp(-(((rows / height - usual) / SPREAD) ** 2) / 2)
        score *= EDGE_FLOOR + _edge_profile(image, skyline + HALO * height)
    row = np.argmax(np.where((rows >= low) & (rows <= high), score, -1))
    return np.array([[0, row], [width, row]], np.float64)


def _bounds(sky: Bool[np.ndarray, "h w"], moves: Bool[np.ndarray, "h w"]) -> tuple[int, int]:
    """First and last row that the horizon may lie above."""
    height = len(sky)
    skyline = sky.sum(axis=0)
    skyline = skyline[skyline > 0]
    low = int(np.percentile(skyline, 75)) if len(skyline) else 0
    labels, count = ndimage.label(moves)
    # A hundredth of each region may lie above the horizon: outlines are drawn by hand.
    tops = [
        int(np.percentile(np.nonzero(region)[0], 1))
        for region in (labels == i + 1 for i in range(count))
        if 2 * sky[region].sum() < region.sum() and region.sum() > 1e-3 * moves.size
    ]
    high = min(tops, default=height)
    return min(low, high), max(low, high)


def _edge_profile(image: Float[np.ndarray, "h w 3"], begin: Float[np.ndarray, " w"]) -> Float[np.ndarray, " h+1"]:
    """How much the median column changes colour across the upper border of each row, per px at `WIDTH`.

    A column counts below its row `begin` only, and a row where at least half of the columns count.
    """
    height, width = image.shape[:2]
    scale = min(1.0, WIDTH / width)
    columns, rows = round(width * scale), max(8, round(height * scale))
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    lab = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB) / np.float32(100), (0, 0), 1.0)
    # The change from row k - 1 to row k stands at k, the position of their common border.
    borders = np.arange(1, rows) * height / rows
    starts = np.interp((np.arange(columns) + 0.5) * width / columns, np.arange(width) + 0.5, begin)
    counts = borders[:, None] > starts
    median = np.zeros((rows - 1, 3))
    for row in np.flatnonzero(counts.mean(axis=1) >= 0.5):
        median[row] = np.median((lab[row + 1] - lab[row])[counts[row]], axis=0)
    return np.interp(np.arange(height + 1), borders, np.linalg.norm(median, axis=-1))
