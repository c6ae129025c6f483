"""Soft borders where the moving content goes on beyond the mask."""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import distance_transform_edt

from mom3d_jax.types import Array


def open_border(mask: Float[Array, "h w"], depth: Float[Array, "h w"], edge_ratio: float) -> np.ndarray:
    """Still pixels that touch a moving pixel of the same surface (depth ratio below `edge_ratio`), bool [H,W]."""
    moves, z = np.asarray(mask) > 0.5, np.asarray(depth)
    known = z > 0
    border = np.zeros(moves.shape, bool)
    for axis in (0, 1):
        one, two = (tuple(slice(*s) if a == axis else slice(None) for a in (0, 1)) for s in ((None, -1), (1, None)))
        joined = known[one] & known[two] & (moves[one] != moves[two])
        joined &= np.maximum(z[one], z[two]) < edge_ratio * np.minimum(z[one], z[two])
        border[one] |= joined & ~moves[one]
        border[two] |= joined & ~moves[two]
    return border


def taper(
    flow: Float[Array, "h w 2"],
    mask: Float[Array, "h w"],
    depth: Float[Array, "h w"],
    *,
    beyond: Float[Array, "h w 2"] | None = None,
    max_width: float = 0.01,
    keep: float = 0.9,
    edge_ratio: float = 1.1,
) -> Float[np.ndarray, "h w"]:
    """Weight that lets the motion fade towards those parts of the mask's border where the content continues.

    A drawn mask often ends in the middle of a water surface. There the weight rises linearly inside the mask, from the
    border to 1 within at most `max_width`; where the mask ends at another surface, at the frame, or where the content
    is known to end, it stays 1.

    Args:
      flow: px per frame; its magnitudes weigh the mean below.
      mask: 1 where content moves.
      depth: positive z of the same view, 0 where unknown.
      beyond: a flow that was not cut at the mask, as a file may hold it: where it is 0 on the other side of the border,
        the content ends there. None: nothing is known of what lies beyond.
      max_width: widest ramp as a share of the image width; 0 leaves every border sharp.
      keep: the ramp is narrowed until the mean magnitude inside the mask keeps this share.
      edge_ratio: across a border that continues, depths differ by less than this factor.

    Returns:
      The weight, 1 wherever nothing tapers.

    Raises:
      ValueError: a negative width or a share outside [0, 1].
    """
    if max_width < 0 or not 0 <= keep <= 1:
        raise ValueError(f"taper of width {max_width}, keep {keep}: the width must be >= 0 and keep a share")
    border = open_border(mask, depth, edge_ratio)
    if beyond is not None:
        border &= (np.asarray(beyond) != 0).any(axis=-1)
    moves = np.asarray(mask) > 0.5
    speed = np.where(moves, np.linalg.norm(np.asarray(flow, np.float64), axis=-1), 0)
    if max_width == 0 or not border.any() or speed.sum() == 0:
        return np.ones(moves.shape, np.float32)
    distance = distance_transform_edt(~border)

    def weight(width: float) -> np.ndarray:
        return np.where(moves, np.clip(distance / width, 0, 1), 1)

    # A ramp of one pixel reaches full motion on the first pixel inside: sharp again.
    sharp, width = 1.0, max(1.0, max_width * moves.shape[1])
    if (speed * weight(width)).sum() < keep * speed.sum():
        for _ in range(20):
            middle = (sharp + width) / 2
            enough = (speed * weight(middle)).sum() >= keep * speed.sum()
            sharp, width = (middle, width) if enough else (sharp, middle)
        width = sharp
    return weight(width).astype(np.float32)
