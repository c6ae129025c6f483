"""Who is next to whom on the same surface: the stencil of every smoothness term over points."""

import numpy as np
from jaxtyping import Float, Int

from mom3d_jax.types import Array


def stencil(count: int) -> list[tuple[int, int]]:
    """The `count` nearest (row, column) offsets on the pixel grid, nearest first."""
    reach = range(-2, 3)
    offsets = [(dy, dx) for dy in reach for dx in reach if (dy, dx) != (0, 0)]
    return sorted(offsets, key=lambda o: (o[0] ** 2 + o[1] ** 2, o))[:count]


def grid_neighbours(
    z: Float[Array, "h w"], mask: Float[Array, "h w"], count: int = 8, edge_ratio: float = 1.1
) -> Int[np.ndarray, "h*w k"]:
    """Neighbouring pixels on the same surface and on the same side of the motion mask.

    Args:
      z: positive depth.
      mask: 1 where content moves; sides are told apart at 0.5.
      count: neighbours per pixel, 8 for the ring around it, at most 24.
      edge_ratio: depths of one surface differ by less than this factor.

    Returns:
      Row-major indices; a pixel's own index where the neighbour is outside the image, across a depth edge or across
      the mask border.

    Raises:
      ValueError: `count` outside 1…24.
    """
    if not 1 <= count <= 24:
        raise ValueError(f"neighbours={count} is outside 1…24; use 8 for the ring around a pixel")
    z, moves = np.asarray(z), np.asarray(mask) > 0.5
    h, w = z.shape
    row, column = np.mgrid[:h, :w]
    own = row * w + column
    columns = []
    for dy, dx in stencil(count):
        r, c = row + dy, column + dx
        inside = (r >= 0) & (r < h) & (c >= 0) & (c < w)
        r, c = np.clip(r, 0, h - 1), np.clip(c, 0, w - 1)
        other = z[r, c]
        same = np.maximum(z, other) < edge_ratio * np.minimum(z, other)
        columns.append(np.where(inside & same & (moves == moves[r, c]), r * w + c, own))
    return np.stack(columns, -1).reshape(h * w, count).astype(np.int32)
