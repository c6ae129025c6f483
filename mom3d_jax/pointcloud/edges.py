"""Depth edges: no pixel may lie in the empty air between two surfaces.

Depth maps are soft where one surface ends in front of another: a ramp a few pixels wide joins them. Lifted as it is,
the ramp becomes a rubber sheet that other views see from its side. Each pixel of a ramp is therefore moved to the
surface whose depth is closer to its own. A depth that is merely steep, like the ground just under the horizon, looks
the same within 3 x 3 pixels; there the move is at most one pixel's worth of depth. Every pixel is kept.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import maximum_filter, minimum_filter, sobel

from mom3d_jax.types import Array

# A ramp of up to this many pixels is understood as the soft edge between two surfaces. It has no relation to the image
# size: on any image the ground is steep for about 20 rows under the horizon, and must not count as an edge.
RAMP = 6


def between_surfaces(
    z: Float[Array, "h w"], edge_ratio: float
) -> tuple[Bool[np.ndarray, "h w"], Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Pixels whose depth is neither the near nor the far one of a 3 x 3 neighbourhood that holds a depth edge.

    Args:
      z: positive depth.
      edge_ratio: depths of one surface differ by less than this factor between neighbours. Within the fifth root of
        it (2 % for 1.1) a depth counts as equal to the near or the far one.

    Returns:
      The pixels, and the nearest and farthest depth of each neighbourhood.
    """
    near, far = minimum_filter(z, 3, mode="nearest"), maximum_filter(z, 3, mode="nearest")
    equal = edge_ratio**0.2
    return (far > edge_ratio * near) & (z > equal * near) & (equal * z < far), near, far


def _ends(z: np.ndarray, between: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depths of the surfaces that the ramps through some pixels join: down the depth gradient, and up.

    Each is the first settled pixel on the way, NaN beyond `RAMP` px. Inverse depth must level off there: where it goes
    on at more than half the ramp's slope, as on the ground, there is no second surface.
    """
    rho = 1 / z
    step = np.stack([sobel(np.log(z), axis, mode="nearest")[rows, columns] for axis in (0, 1)])
    step /= np.maximum(np.abs(step).max(0), 1e-12)
    height, width = z.shape

    def along(image: np.ndarray, steps: int) -> np.ndarray:
        dy, dx = np.rint(steps * step).astype(int)
        return image[np.clip(rows + dy, 0, height - 1), np.clip(columns + dx, 0, width - 1)]

    own = rho[rows, columns]
    ends = []
    for direction in (-1, 1):
        end, walking = np.full(len(rows), np.nan, z.dtype), np.ones(len(rows), bool)
        for i in range(1, RAMP + 1):
            reached = walking & ~along(between, direction * i)
            here, beyond = along(rho, direction * i), along(rho, direction * (i + 1))
            levels = np.abs(here - beyond) < 0.5 * np.abs(own - here) / i
            np.copyto(end, along(z, direction * i), where=reached & levels)
            walking &= ~reached
        ends.append(end)
    return ends[0], ends[1]


def snap_between(z: Float[Array, "h w"], edge_ratio: float = 1.1) -> Float[np.ndarray, "h w"]:
    """Move every in-between depth to one of the two surfaces that it lies between.

    A pixel between a nearer and a farther surface takes the depth that is closer to its own on a log scale. Any other
    lies on a slope and takes the closer extreme of its 3 x 3 neighbourhood.

    Args:
      z: positive depth.
      edge_ratio: as in `between_surfaces`.

    Returns:
      The depth with two-sided edges; pixels that were not in between are unchanged.
    """
    z = np.asarray(z, np.float32)
    between, lowest, highest = between_surfaces(z, edge_ratio)
    rows, columns = np.nonzero(between)
    own = z[rows, columns]
    near, far = _ends(z, between, rows, columns)
    edge = (near * edge_ratio**0.2 < own) & (own * edge_ratio**0.2 < far)
    near = np.where(edge, near, lowest[rows, columns])
    far = np.where(edge, far, highest[rows, columns])
    snapped = z.copy()
    snapped[rows, columns] = np.where(own * own <= near * far, near, far)
    return snapped
