"""What flow estimated in every view by itself gets wrong, on purpose and in known amounts.

At level 1 the flow f of view v becomes g_v R(θ_v) f + n_v(p) + o_v(p) at the pixel p of that view, the input view
included:

* g_v from N(1, 0.15) and θ_v from N(0, 6°), both centred over the views, so that they agree on the mean;
* n_v smooth noise: a grid of 9 × 16 values from N(0, 0.1 px), scaled up with cubic interpolation;
* o_v outliers: a share of 9 × 16 blocks, drawn anew in each view, each with one vector from N(0, 1 px).

Level L multiplies the three standard deviations of the first two lines; the outliers have a setting of their own.
"""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float

ROWS, COLUMNS = 9, 16
"""Cells of the noise, and blocks of the outliers, over an image."""
GAIN, TURN, NOISE, OUTLIER = 0.15, np.radians(6.0), 0.1, 1.0
"""Standard deviations at level 1: factor, radians, px, px."""


class Corruption(NamedTuple):
    """One draw for all views."""

    gain: Float[np.ndarray, " v"]
    """g, mean 1."""
    turn: Float[np.ndarray, " v"]
    """θ, radians from right towards down, mean 0."""
    cells: Float[np.ndarray, "v 9 16 2"]
    """Values of the noise, px."""
    blocks: Float[np.ndarray, "v 9 16 2"]
    """Outlier vectors, px; 0 in blocks without one."""


def draw(views: int, level: float, outliers: float, seed: int) -> Corruption:
    """Draw a corruption; each part depends on the seed alone, so that levels differ in size and in nothing else.

    Args:
      views: how many.
      level: factor on gain, rotation and noise; 0 leaves the flow exact.
      outliers: share of the blocks, from 0 to 1, rounded to whole blocks.
      seed: of the draw.

    Raises:
      ValueError: a negative level, or a share outside 0 to 1.
    """
    if not 0 <= level < np.inf:
        raise ValueError(f"corruption {level} is not a number from 0 up; 1 is the level of the tables")
    if not 0 <= outliers <= 1:
        raise ValueError(f"outliers {outliers} is not a share from 0 to 1")
    rng = np.random.default_rng(seed)
    gain, turn = (s * rng.standard_normal(views) for s in (GAIN, TURN))
    cells = NOISE * rng.standard_normal((views, ROWS, COLUMNS, 2))
    vectors = OUTLIER * rng.standard_normal((views, 1, 2))
    order = rng.permuted(np.tile(np.arange(ROWS * COLUMNS), (views, 1)), axis=1)
    chosen = order < round(outliers * ROWS * COLUMNS)
    blocks = np.where(chosen[..., None], vectors, 0).reshape(cells.shape)
    return Corruption(1 + level * (gain - gain.mean()), level * (turn - turn.mean()), level * cells, blocks)


def corrupt(
    corruption: Corruption,
    view: int,
    flow: Float[np.ndarray, "*n 2"],
    pixels: Float[np.ndarray, "*n 2"],
    size: tuple[int, int],
) -> Float[np.ndarray, "*n 2"]:
    """The flow of one view, corrupted.

    Args:
      corruption: a draw.
      view: which view of it.
      flow: px per frame.
      pixels: where in the view each vector is, px; outside the image the border counts.
      size: (width, height) of the view, px.
    """
    cos, sin = np.cos(corruption.turn[view]), np.sin(corruption.turn[view])
    turned = flow @ (corruption.gain[view] * np.array([[cos, sin], [-sin, cos]])).astype(np.float32)
    return turned + _noise(corruption.cells[view], pixels, size) + _outlier(corruption.blocks[view], pixels, size)


def _noise(
    cells: Float[np.ndarray, "9 16 2"], pixels: Float[np.ndarray, "*n 2"], size: tuple[int, int]
) -> Float[np.ndarray, "*n 2"]:
    image = cv2.resize(cells.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    # A column of points is longer than the pictures that OpenCV samples.
    at = np.asarray(pixels, np.float32).reshape(-1, 2) - 0.5
    x, y = np.pad(at, ((0, -len(at) % 1024), (0, 0))).reshape(-1, 1024, 2).transpose(2, 0, 1).copy()
    read = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return read.reshape(-1, 2)[: len(at)].reshape(np.shape(pixels))


def _outlier(
    blocks: Float[np.ndarray, "9 16 2"], pixels: Float[np.ndarray, "*n 2"], size: tuple[int, int]
) -> Float[np.ndarray, "*n 2"]:
    grid = np.array([COLUMNS, ROWS])
    cell = np.clip(np.floor(pixels * (grid / np.array(size))), 0, grid - 1).astype(np.int64)
    return blocks[cell[..., 1], cell[..., 0]].astype(np.float32)
