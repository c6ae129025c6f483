"""One picture that shows a whole run: labelled rows of images."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.atomic import PathLike
from mom3d_jax.export.pictures import write_png
from mom3d_jax.types import Array

Row = tuple[str, Sequence[Float[Array, "h w 3"]]]

LABEL, GAP = 22, 4
"""Height of a label's strip and the space between images, px."""
PAPER, INK = 0.11, 0.92


def _cell(image: Float[Array, "h w 3"], width: int) -> Float[np.ndarray, "i j 3"]:
    """An image scaled to a width, in one of its own shape; NaN becomes magenta, which no landscape is."""
    picture = np.asarray(image, np.float32)
    if picture.ndim != 3 or picture.shape[-1] != 3 or 0 in picture.shape:
        raise ValueError(f"an image of shape {picture.shape} for the contact sheet is not a picture [h, w, 3]")
    picture = np.where(np.isfinite(picture).all(-1, keepdims=True), picture, np.array([1, 0, 1], np.float32))
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    shrinks = picture.shape[1] > width
    scaled = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.clip(scaled, 0, 1)


def compose(rows: Sequence[Row], cell_width: int = 240, columns: int = 5) -> Float[np.ndarray, "h w 3"]:
    """Lay out labelled rows; a row of more than `columns` images goes on in further lines under its label.

    Args:
      rows: (label, images); images may differ in size and keep their shape.
      cell_width: width of every image on the sheet, px.
      columns: images per line.

    Raises:
      ValueError: no rows, or an image that is not [h, w, 3].
    """
    if not rows:
        raise ValueError("a contact sheet needs at least one row")
    columns = min(columns, max([len(images) for _, images in rows] + [1]))
    width = GAP + columns * (cell_width + GAP)
    strips: list[np.ndarray] = []
    for label, images in rows:
        # OpenCV writes text on 8-bit images only.
        strip = np.full((LABEL, width, 3), round(255 * PAPER), np.uint8)
        cv2.putText(
            strip, label, (GAP, LABEL - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (round(255 * INK),) * 3, 1, cv2.LINE_AA
        )
        strips.append(strip.astype(np.float32) / 255)
        for start in range(0, len(images), columns):
            cells = [_cell(image, cell_width) for image in images[start : start + columns]]
            line = np.full((max(len(cell) for cell in cells) + GAP, width, 3), strips[0][0, 0], np.float32)
            for i, cell in enumerate(cells):
                left = GAP + i * (cell_width + GAP)
                line[: len(cell), left : left + cell_width] = cell
            strips.append(line)
    return np.concatenate(strips)


def contact_sheet(rows: Sequence[Row], path: PathLike, cell_width: int = 240, columns: int = 5) -> tuple[int, int]:
    """Write the sheet of `compose` as PNG.

    Returns:
      (width, height) of the sheet, px.

    Raises:
      ValueError: no rows, or an image that is not [h, w, 3].
      OSError: the file cannot be written; the message names it.
    """
    sheet = compose(rows, cell_width, columns)
    write_png(path, sheet)
    return sheet.shape[1], sheet.shape[0]
