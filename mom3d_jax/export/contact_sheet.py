"""One picture that shows a whole run: labelled rows of captioned images."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.atomic import PathLike
from mom3d_jax.export.pictures import write_png
from mom3d_jax.types import Array

LABEL, CAPTION, GAP = 24, 16, 4
"""Height of a row's label, height of the captions under a line of images, and the space between images, px."""
PAPER, INK, GREY = 0.11, 0.92, 0.65


class Cell(NamedTuple):
    """An image on the sheet."""

    image: Float[Array, "h w 3"]
    caption: str = ""
    """ASCII; what the fonts at hand can show."""


Row = tuple[str, Sequence[Cell]]


def _scaled(image: Float[Array, "h w 3"], width: int) -> Float[np.ndarray, "i j 3"]:
    """An image scaled to a width, in one of its own shape; NaN becomes magenta, which no landscape is."""
    picture = np.asarray(image, np.float32)
    if picture.ndim != 3 or picture.shape[-1] != 3 or 0 in picture.shape:
        raise ValueError(f"an image of shape {picture.shape} for the contact sheet is not a picture [h, w, 3]")
    picture = np.where(np.isfinite(picture).all(-1, keepdims=True), picture, np.array([1, 0, 1], np.float32))
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    shrinks = picture.shape[1] > width
    scaled = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.clip(scaled, 0, 1)


def _written(text: str, height: int, width: int, size: float, ink: float) -> Float[np.ndarray, "i j 3"]:
    """A strip of paper with text on it, which is written smaller where it would not fit."""
    # OpenCV writes text on 8-bit images only.
    strip = np.full((height, width, 3), round(255 * PAPER), np.uint8)
    (needed, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    size *= min(1.0, (width - GAP) / max(needed, 1))
    cv2.putText(
        strip, text, (0, height - 5), cv2.FONT_HERSHEY_SIMPLEX, size, (round(255 * ink),) * 3, 1, lineType=cv2.LINE_AA
    )
    return strip.astype(np.float32) / 255


def compose(rows: Sequence[Row], cell_width: int = 240, columns: int = 5) -> Float[np.ndarray, "h w 3"]:
    """Lay out labelled rows; a row of more than `columns` images goes on in further lines under its label.

    Args:
      rows: (label, cells); images may differ in size and keep their shape.
      cell_width: width of every image on the sheet, px.
      columns: images per line.

    Raises:
      ValueError: no rows, or an image that is not [h, w, 3].
    """
    if not rows:
        raise ValueError("a contact sheet needs at least one row")
    columns = min(columns, max([len(cells) for _, cells in rows] + [1]))
    width = GAP + columns * (cell_width + GAP)
    paper = lambda height: np.full((height, width, 3), round(255 * PAPER) / 255, np.float32)
    strips: list[np.ndarray] = []
    for label, cells in rows:
        strips.append(paper(LABEL))
        strips[-1][:, GAP:] = _written(label, LABEL, width - GAP, 0.45, INK)
        for start in range(0, len(cells), columns):
            line = cells[start : start + columns]
            images = [_scaled(cell.image, cell_width) for cell in line]
            foot = CAPTION if any(cell.caption for cell in line) else 0
            tallest = max(len(image) for image in images)
            strip = paper(tallest + foot + GAP)
            for i, (image, cell) in enumerate(zip(images, line, strict=True)):
                here = slice(GAP + i * (cell_width + GAP), GAP + i * (cell_width + GAP) + cell_width)
                strip[: len(image), here] = image
                if cell.caption:
                    strip[tallest : tallest + foot, here] = _written(cell.caption, CAPTION, cell_width, 0.38, GREY)
            strips.append(strip)
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
