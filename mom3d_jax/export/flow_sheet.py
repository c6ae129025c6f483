"""One picture of the flow of all views: as estimated, as one 3D motion explains it, and what is left."""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.atomic import PathLike
from mom3d_jax.export.contact_sheet import PAPER, Cell, contact_sheet
from mom3d_jax.export.pictures import Picture, flow_picture, unknown_checkered
from mom3d_jax.types import Array

CELL = 208
"""Width of one picture on the sheet, px."""
ABREAST = 2
"""Views side by side on a line."""


class ViewFlows(NamedTuple):
    """What the sheet shows of one view; flows in px per frame at the size of the view."""

    name: str
    """ASCII, such as "view 7"."""
    estimated: Float[Array, "h w 2"]
    """NaN where unknown."""
    projected: Float[Array, "h w 2"]
    known: Float[Array, "h w"]
    """1 where the view is covered; the rest is chequered."""
    remark: str = ""
    """Said under the difference."""


def colour_key(height: int, width: int, longest: float) -> Picture:
    """A disc in which each place has the colour of the flow that points there from the middle.

    Args:
      height: of the picture, px.
      width: of the picture, px.
      longest: px per frame at the rim.
    """
    radius = 0.45 * min(height, width)
    y, x = (np.indices((height, width)) + 0.5 - np.array([height / 2, width / 2])[:, None, None]) / radius
    inside = (np.hypot(x, y) <= 1)[..., None]
    flow = np.where(inside, longest * np.stack([x, y], -1), 0)
    return np.where(inside, flow_picture(flow, longest), np.float32(PAPER))


def flow_sheet(
    path: PathLike,
    views: Iterable[ViewFlows],
    longest: float,
    *,
    title: str,
    first: Cell | None = None,
) -> tuple[int, int]:
    """Write the sheet as PNG: one line of estimated, projected and difference per view, two views abreast.

    All flows are drawn in one scale, in which `longest` has full brightness; what is longer looks the same.

    Args:
      path: the PNG.
      views: one after the other, so that no more than one of them has to be in memory at its full size.
      longest: px per frame.
      title: what is shown, ASCII.
      first: a picture to stand before the key of colours, such as the photo.

    Returns:
      (width, height) of the sheet, px.

    Raises:
      ValueError: `longest` is not positive, or there is no view.
      OSError: the file cannot be written; the message names it.
    """
    if not longest > 0:
        raise ValueError(f"longest={longest} px per frame is not a scale; give a positive length")
    cells: list[Cell] = []
    for view in views:
        known = np.asarray(view.known) * np.isfinite(view.estimated).all(axis=-1)
        difference = np.asarray(view.projected) - np.asarray(view.estimated)
        for flow, caption in (
            (view.estimated, f"{view.name}: flow of the view"),
            (view.projected, "the 3D motion seen there"),
            (difference, f"difference{', ' if view.remark else ''}{view.remark}"),
        ):
            cells.append(Cell(_shrunk(unknown_checkered(flow_picture(flow, longest), known)), caption))
    if not cells:
        raise ValueError("a sheet of flows needs at least one view")
    height, width = cells[0].image.shape[:2]
    key = colour_key(height, width, longest)
    legend = Cell(key, f"rim {longest:.3g} px per frame or more, 1/4 is half as bright")
    rows = [
        (title, [first, legend] if first else [legend]),
        (
            "flow of the view, projected 3D motion, their difference: all in the colours of the key",
            cells,
        ),
    ]
    return contact_sheet(rows, path, CELL, 3 * ABREAST)


def _shrunk(picture: Picture) -> Picture:
    """No larger than it is shown."""
    height, width = picture.shape[:2]
    if width <= CELL:
        return picture
    return cv2.resize(picture, (CELL, max(1, round(height * CELL / width))), interpolation=cv2.INTER_AREA)
