"""Which Gaussians a tile needs, by looking at every pixel: what the lists of `op.bin_gaussians` must at least hold."""

import numpy as np
from jaxtyping import Float

from ..arrays import ArrayLike
from .extents import MIN_ALPHA


def needed_gaussians(
    means2d: Float[ArrayLike, "n 2"],
    conics: Float[ArrayLike, "n 3"],
    opacities: Float[ArrayLike, " n"],
    depths: Float[ArrayLike, " n"],
    *,
    width: int,
    height: int,
    tile: int,
) -> list[list[int]]:
    """Per tile, row-major, the Gaussians with α ≥ 1/255 at one of its pixels, by depth and then index; in float64."""
    means2d, conics, opacities = (np.asarray(x, np.float64) for x in (means2d, conics, opacities))
    y, x = np.mgrid[:height, :width] + 0.5
    order = np.argsort(np.asarray(depths), kind="stable")
    seen = []
    for i in order:
        dx, dy = x - means2d[i, 0], y - means2d[i, 1]
        a, b, c = conics[i]
        seen.append(opacities[i] * np.exp(-0.5 * (a * dx * dx + 2 * b * dx * dy + c * dy * dy)) >= MIN_ALPHA)
    return [
        [int(i) for i, s in zip(order, seen, strict=True) if s[top : top + tile, left : left + tile].any()]
        for top in range(0, height, tile)
        for left in range(0, width, tile)
    ]
