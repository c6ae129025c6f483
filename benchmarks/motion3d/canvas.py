"""Axes, lines, bars and a legend, drawn with OpenCV; ASCII text, which is what its fonts have."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from mom3d_jax.export.curves import short

SCALE = 2
"""Pixels of the picture per unit of length here."""
FONT = cv2.FONT_HERSHEY_SIMPLEX
INK, GREY, GRID = (40, 40, 40), (120, 120, 120), (226, 226, 226)
PALETTE = (
    *((31, 97, 180), (214, 92, 34), (44, 140, 60), (150, 60, 150), (190, 40, 60), (20, 150, 160)),
    *((150, 110, 40), (110, 110, 220), (230, 120, 170), (120, 170, 30), (90, 90, 90), (240, 170, 30)),
)
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 40, 44
"""Margins of a panel."""
MANTISSAS = ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), tuple(k / 10 for k in range(10, 100)))
"""What a logarithmic axis is marked with, the first that gives it enough."""
Point = tuple[float, float]
Colour = tuple[int, int, int]


class Line(NamedTuple):
    """One line of a panel."""

    x: Sequence[float]
    y: Sequence[float]
    colour: Colour = INK
    thickness: float = 1.3
    marked: bool = True
    """Whether its places get a dot."""


class Axis(NamedTuple):
    """What runs along one side of a panel."""

    name: str
    low: float
    """Of the scale: a logarithm to base 10 where it is logarithmic."""
    high: float
    marks: Sequence[float]
    logarithmic: bool = True

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high one."""
        position = math.log10(value) if self.logarithmic else value
        return (position - self.low) / (self.high - self.low)


def log_axis(name: str, values: Sequence[float]) -> Axis:
    """An axis over positive values, a little longer than they need, with at least three marks."""
    low, high = math.log10(min(values)), math.log10(max(values))
    margin = max(0.04 * (high - low), 0.02)
    low, high = low - margin, high + margin
    decades = range(math.floor(low), math.ceil(high) + 1)
    for mantissas in MANTISSAS:
        marks = [m * 10.0**e for e in decades for m in mantissas if low <= math.log10(m * 10.0**e) <= high]
        if len(marks) >= 3:
            break
    return Axis(name, low, high, marks)


def linear_axis(name: str, low: float, high: float, marks: Sequence[float]) -> Axis:
    """An axis with its marks given."""
    return Axis(name, low, high, marks, logarithmic=False)


class Canvas:
    """A white picture to draw on."""

    def __init__(self, width: float, height: float):
        self.width, self.height = width, height
        self.pixels = np.full((round(height * SCALE), round(width * SCALE), 3), 255, np.uint8)

    def stroke(self, points: Sequence[Point], colour: Colour = INK, thickness: float = 1) -> None:
        """A line through points."""
        path = np.array([_pixel(p) for p in points], np.int32)
        cv2.polylines(self.pixels, [path], False, colour, max(1, round(thickness * SCALE)), cv2.LINE_AA)

    def dash(self, first: Point, last: Point, colour: Colour = GREY) -> None:
        """A dashed straight line."""
        pieces = max(1, round(math.dist(first, last) / 7))
        at = lambda share: tuple(a + share * (b - a) for a, b in zip(first, last, strict=True))
        for k in range(pieces):
            self.stroke([at(k / pieces), at((k + 0.6) / pieces)], colour)

    def dot(self, at: Point, colour: Colour) -> None:
        """A filled circle."""
        cv2.circle(self.pixels, _pixel(at), round(2.2 * SCALE), colour, -1, cv2.LINE_AA)

    def block(self, first: Point, last: Point, colour: Colour) -> None:
        """A filled rectangle."""
        cv2.rectangle(self.pixels, _pixel(first), _pixel(last), colour, -1)

    def write(self, text: str, at: Point, *, anchor: float = 0, size: float = 0.36, colour: Colour = INK) -> None:
        """Text whose baseline begins at `at`, ends there (anchor 1) or is centred on it (0.5)."""
        (width, _), _ = cv2.getTextSize(text, FONT, size * SCALE, SCALE)
        x, y = _pixel(at)
        cv2.putText(self.pixels, text, (round(x - anchor * width), y), FONT, size * SCALE, colour, SCALE, cv2.LINE_AA)

    def panel(self, corner: Point, size: Point, title: str, axes: tuple[Axis, Axis], lines: Sequence[Line]) -> None:
        """A plot with its upper left corner, margins included, at `corner`."""
        x_axis, y_axis = axes
        left, top = corner[0] + LEFT, corner[1] + TOP
        right, bottom = corner[0] + size[0] - RIGHT, corner[1] + size[1] - BOTTOM
        at = lambda x, y: (left + x_axis.place(x) * (right - left), bottom - y_axis.place(y) * (bottom - top))
        for x in x_axis.marks:
            across = left + x_axis.place(x) * (right - left)
            self.stroke([(across, top), (across, bottom)], GRID)
            self.write(short(x), (across, bottom + 14), anchor=0.5)
        for y in y_axis.marks:
            down = bottom - y_axis.place(y) * (bottom - top)
            self.stroke([(left, down), (right, down)], GRID)
            self.write(short(y), (left - 5, down + 4), anchor=1)
        self.stroke([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])
        self.write(title, (left, corner[1] + 16), size=0.44)
        self.write(y_axis.name, (left, corner[1] + 33))
        self.write(x_axis.name, ((left + right) / 2, bottom + 32), anchor=0.5)
        for line in lines:
            points = [at(x, y) for x, y in zip(line.x, line.y, strict=True)]
            self.stroke(points, line.colour, line.thickness)
            for point in points if line.marked else ():
                self.dot(point, line.colour)

    def legend(self, corner: Point, entries: dict[str, tuple[Colour, float]]) -> None:
        """Names with a piece of their line."""
        for k, (name, (colour, thickness)) in enumerate(entries.items()):
            x, y = corner[0], corner[1] + 17 * k
            self.stroke([(x, y - 4), (x + 22, y - 4)], colour, thickness)
            self.write(name, (x + 28, y))


def _pixel(at: Point) -> tuple[int, int]:
    return round(at[0] * SCALE), round(at[1] * SCALE)
