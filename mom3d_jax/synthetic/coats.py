"""The paint of what moves, as tables over the directions in which the input camera sees it.

A coat is the colour of every place of a surface in frame 0, which the advected truth carries along. The periodic truth
needs a colour for every frame of its period instead: `Blend` makes them from light that stays in place (the colour of
deep water, of a mirrored shore, of haze) and a pattern that is carried along and closes after T frames. Where the coat
is the blend of frame 0, both truths begin with the same picture.
"""

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.synthetic.fan import Fan, ground_row
from mom3d_jax.synthetic.painting import Colours, Plane
from mom3d_jax.synthetic.weave import Weave

Vectors = Float[np.ndarray, "*n 3"]
Values = Float[np.ndarray, "*n"]
Rows = Callable[[Vectors], Values]
"""Row coordinate, in the coat's fan, of points in front of the camera."""

NEAREST = 1e-3
"""Least z that is looked up; nothing behind the camera is painted."""


def ground_rows(points: Vectors) -> Values:
    """z^(1/4), for what lies on the ground."""
    return ground_row(np.maximum(points[..., 2], NEAREST))


def slope_rows(eye: float) -> Rows:
    """(y - eye) / z, the slope in which a camera at height `eye` sees a point."""
    return lambda points: (points[..., 1] - eye) / np.maximum(points[..., 2], NEAREST)


@dataclasses.dataclass(frozen=True)
class Blend:
    """Two colours for every place, and a pattern that decides between them."""

    weave: Weave
    low: Colours
    """Display colour where the pattern is low."""
    high: Colours
    """Display colour where it is high."""
    bias: Plane | float
    contrast: Plane | float
    """Share of `high`: (1 + q / √(1 + q²)) / 2 with q = bias + contrast · pattern, which never quite saturates: flat
    paint would not show that it moves."""
    relief: Plane | float = 0.0
    """How much brighter crests of the pattern are on the side towards the light, upper left."""

    def table(self, turn: float) -> Colours:
        """Display colours after `turn` periods."""
        pattern = self.weave.at(turn)
        q = self.bias + self.contrast * pattern
        share = 0.5 + 0.5 * q / np.sqrt(1 + q * q)
        colour = self.low + (self.high - self.low) * share[..., None]
        if np.any(self.relief):
            reach = max(1.0, pattern.shape[1] / 500)
            away = cv2.warpAffine(
                pattern,
                np.array([[1, 0, reach], [0, 1, reach]]),
                pattern.shape[::-1],
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            # Rows of a fan count upwards, so that the light comes from above where the next row up is lower.
            lit = 1 + self.relief * share * np.clip(away - pattern, -1, 1)
            colour *= lit[..., None]
        return np.clip(colour, 0, 1)


def smoothed(first: Colours, weave: Weave) -> Blend:
    """A blend near a given picture, which it does not begin with.

    The large shapes of the picture stand still, and a pattern as strong as what is finer than they are moves over them.
    """
    reach = max(1.0, first.shape[1] / 60)
    still = cv2.GaussianBlur(first, (0, 0), sigmaX=reach, sigmaY=0.5 * reach)
    spread = 3 * cv2.GaussianBlur(np.abs(first - still), (0, 0), sigmaX=reach, sigmaY=0.5 * reach)
    return Blend(weave, low=still - spread, high=still + spread, bias=0.0, contrast=2.0)


@dataclasses.dataclass(frozen=True)
class Coat:
    """The paint of one surface."""

    fan: Fan
    rows: Rows
    first: Colours
    """Display colour in frame 0, over (x / z, row coordinate)."""
    blend: Blend
    """Of the periodic truth."""
    _last: dict[float, Colours] = dataclasses.field(default_factory=dict, compare=False)

    def advected(self, origins: Vectors) -> Float[np.ndarray, "*n 3"]:
        """Colour of the material that is at `origins` in frame 0."""
        return self._look(self.first, origins)

    def periodic(self, points: Vectors, turn: float) -> Float[np.ndarray, "*n 3"]:
        """Colour at `points` after `turn` periods."""
        if turn not in self._last:
            # All views of a frame are rendered one after the other.
            self._last.clear()
            self._last[turn] = self.blend.table(turn)
        return self._look(self._last[turn], points)

    def _look(self, table: Colours, points: Vectors) -> Float[np.ndarray, "*n 3"]:
        return self.fan.sample(table, points[..., 0] / np.maximum(points[..., 2], NEAREST), self.rows(points))
