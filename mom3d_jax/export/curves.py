"""Plain line plots, drawn with OpenCV: logarithmic axes, one legend for all panels."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

WIDTH, HEIGHT = 420, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 14, 44, 50
"""Margins, px."""
LEGEND, LEGEND_LINE = 190, 18
"""Width of the legend, and height of a line in it."""
SCALE = 2
"""Pictures have that many pixels per unit of the sizes above."""
DECADES = 6.0
"""An axis spans no more than this below its largest value; what lies deeper is drawn on its floor."""
FONT = cv2.FONT_HERSHEY_SIMPLEX
INK, GRID = (40, 40, 40), (225, 225, 225)
# Okabe and Ito's palette, which the colour-blind can tell apart, without its yellow, which is too pale for lines.
COLOURS = [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (230, 159, 0), (0, 0, 0)]

Colour = tuple[int, int, int]
Limits = tuple[float, float]


class Curve(NamedTuple):
    """One line of a panel; curves of one name have one colour in all panels."""

    name: str
    x: Sequence[float]
    """Positive."""
    y: Sequence[float]
    """What is not positive and finite is drawn on the floor of the panel."""


class Panel(NamedTuple):
    """One plot, both axes logarithmic."""

    title: str
    x_name: str
    y_name: str
    curves: Sequence[Curve]


def draw_panels(panels: Sequence[Panel]) -> UInt8[np.ndarray, "h w 3"]:
    """Panels side by side, and one legend at the right.

    Raises:
      ValueError: no panel, or a curve whose x is not positive or does not fit its y.
    """
    if not panels:
        raise ValueError("a plot needs at least one panel")
    names = list(dict.fromkeys(curve.name for panel in panels for curve in panel.curves))
    colours = {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(names)}
    height = max(HEIGHT, TOP + LEGEND_LINE * (len(names) + 1))
    return np.concatenate([*(_draw(panel, colours, height) for panel in panels), _legend(colours, height)], axis=1)


def limits(values: Sequence[float]) -> Limits:
    """Ends of an axis for positive values: the nearest 1, 2 or 5 times a power of ten, as logarithms to base 10."""
    highest = max(values)
    lowest = max(min(values), highest * 10**-DECADES)
    marks = [m * 10.0**e for e in range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 2)
             for m in (1, 2, 5)]  # fmt: skip
    below = max(m for m in marks if m <= lowest * (1 + 1e-9))
    above = min(m for m in marks if m >= highest * (1 - 1e-9) and m > below)
    return math.log10(below), math.log10(above)


def ticks(low: float, high: float) -> list[float]:
    """Where an axis is labelled: powers of ten; where there are few, also twice and five times as much."""
    mantissas = (1,) if high - low > 2.5 else (1, 2, 5)
    marks = [m * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for m in mantissas]
    return [m for m in marks if low - 1e-9 <= math.log10(m) <= high + 1e-9]


def short(value: float) -> str:
    """A number for an axis: 2M, 10k, 0.5, 1e-5."""
    for factor, letter in ((1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:g}{letter}"
    return f"{value:g}"


def _draw(panel: Panel, colours: dict[str, Colour], height: int) -> np.ndarray:
    picture = _paper(WIDTH, height)
    for curve in panel.curves:
        if len(curve.x) != len(curve.y) or not all(x > 0 for x in curve.x):
            raise ValueError(f"curve {curve.name!r} has {len(curve.x)} x for {len(curve.y)} y, or an x that is not > 0")
    drawn = [y for curve in panel.curves for y in curve.y if math.isfinite(y) and y > 0]
    x_limits = limits([x for curve in panel.curves for x in curve.x] or [1])
    y_limits = limits(drawn or [1])

    def place(x: float, y: float) -> tuple[float, float]:
        level = math.log10(y) if math.isfinite(y) and y > 0 else y_limits[0]
        along = (math.log10(x) - x_limits[0]) / (x_limits[1] - x_limits[0])
        up = (max(level, y_limits[0]) - y_limits[0]) / (y_limits[1] - y_limits[0])
        return LEFT + along * (WIDTH - LEFT - RIGHT), height - BOTTOM - up * (height - TOP - BOTTOM)

    for x in ticks(*x_limits):
        across, _ = place(x, 10 ** y_limits[0])
        _stroke(picture, [(across, TOP), (across, height - BOTTOM)], GRID)
        _write(picture, short(x), (across, height - BOTTOM + 16), anchor=0.5)
    for y in ticks(*y_limits):
        _, down = place(10 ** x_limits[0], y)
        _stroke(picture, [(LEFT, down), (WIDTH - RIGHT, down)], GRID)
        _write(picture, short(y), (LEFT - 6, down + 4), anchor=1)
    corners = [(LEFT, TOP), (WIDTH - RIGHT, TOP), (WIDTH - RIGHT, height - BOTTOM), (LEFT, height - BOTTOM)]
    _stroke(picture, [*corners, corners[0]], INK)
    _write(picture, panel.title, (LEFT, 18), size=0.44)
    _write(picture, panel.y_name, (LEFT, 36))
    _write(picture, panel.x_name, ((LEFT + WIDTH - RIGHT) / 2, height - 14), anchor=0.5)
    for curve in panel.curves:
        points = [place(x, y) for x, y in zip(curve.x, curve.y, strict=True)]
        _stroke(picture, points, colours[curve.name], thickness=1.6)
        for point in points[-1:]:  # where it ended, which also shows a curve of one point
            cv2.circle(picture, _pixel(point), round(3.4 * SCALE), colours[curve.name], -1, cv2.LINE_AA)
    return picture


def _legend(colours: dict[str, Colour], height: int) -> np.ndarray:
    picture = _paper(LEGEND, height)
    for k, (name, colour) in enumerate(colours.items()):
        down = TOP + 8 + LEGEND_LINE * k
        _stroke(picture, [(4, down), (24, down)], colour, thickness=1.6)
        cv2.circle(picture, _pixel((24, down)), round(3.4 * SCALE), colour, -1, cv2.LINE_AA)
        _write(picture, name, (34, down + 4), room=LEGEND - 38)
    return picture


def _paper(width: int, height: int) -> np.ndarray:
    return np.full((height * SCALE, width * SCALE, 3), 255, np.uint8)


def _pixel(point: tuple[float, float]) -> tuple[int, int]:
    return round(point[0] * SCALE), round(point[1] * SCALE)


def _stroke(picture: np.ndarray, points: Sequence[tuple[float, float]], colour: Colour, thickness: float = 1) -> None:
    path = np.array([_pixel(p) for p in points], np.int32)
    cv2.polylines(picture, [path], False, colour, round(thickness * SCALE), cv2.LINE_AA)


def _write(
    picture: np.ndarray,
    text: str,
    at: tuple[float, float],
    *,
    anchor: float = 0,
    size: float = 0.38,
    room: float = math.inf,
) -> None:
    """Text whose baseline begins at `at`, ends there (anchor 1) or is centred on it (0.5); smaller where no room is."""
    (width, _), _ = cv2.getTextSize(text, FONT, size * SCALE, SCALE)
    size *= min(1.0, room * SCALE / max(width, 1))
    x, y = _pixel(at)
    cv2.putText(picture, text, (round(x - anchor * width), y), FONT, size * SCALE, INK, SCALE, cv2.LINE_AA)
