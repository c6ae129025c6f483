"""Plain line plots with logarithmic axes, drawn with OpenCV."""

import math
from typing import NamedTuple

import cv2
import numpy as np

WIDTH, HEIGHT = 460, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 40, 52
"""Margins, px."""
SCALE = 2
"""Pictures have that many pixels per unit of the sizes above."""
FONT = cv2.FONT_HERSHEY_SIMPLEX
INK, GRID = (40, 40, 40), (225, 225, 225)
COLOURS = [(31, 97, 180), (214, 92, 34), (44, 140, 60), (150, 60, 150)]
"""Of lines, RGB."""


class Line(NamedTuple):
    """One line of a plot."""

    name: str
    x: list[float]
    y: list[float]


class Panel(NamedTuple):
    """One plot."""

    title: str
    x_name: str
    y_name: str
    lines: list[Line]


def draw_panels(panels: list[Panel]) -> np.ndarray:
    """Panels side by side, RGB bytes [h, w, 3]."""
    return np.concatenate([_draw(panel) for panel in panels], axis=1)


def limits(values: list[float]) -> tuple[float, float]:
    """The nearest 1, 2 or 5 times a power of ten below and above positive values, as logarithms to base 10."""
    lowest, highest = min(values), max(values)
    marks = [m * 10.0**e for e in range(-9, 13) for m in (1, 2, 5)]
    below = max(m for m in marks if m <= lowest)
    above = min(m for m in marks if m >= highest and m > below)
    return math.log10(below), math.log10(above)


def ticks(low: float, high: float) -> list[float]:
    """Where an axis is labelled: powers of ten; where there are few, also twice and five times as much."""
    mantissas = (1,) if high - low > 2.5 else (1, 2, 5)
    marks = [m * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for m in mantissas]
    return [m for m in marks if low - 1e-9 <= math.log10(m) <= high + 1e-9]


def short(value: float) -> str:
    """A number for an axis: 2M, 10k, 0.5."""
    for factor, letter in ((1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:g}{letter}"
    return f"{value:g}"


def _draw(panel: Panel) -> np.ndarray:
    picture = np.full((HEIGHT * SCALE, WIDTH * SCALE, 3), 255, np.uint8)
    x_limits = limits([x for line in panel.lines for x in line.x])
    y_limits = limits([y for line in panel.lines for y in line.y])

    def place(x: float, y: float) -> tuple[float, float]:
        along = (math.log10(x) - x_limits[0]) / (x_limits[1] - x_limits[0])
        up = (math.log10(y) - y_limits[0]) / (y_limits[1] - y_limits[0])
        return LEFT + along * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    for x in ticks(*x_limits):
        across, _ = place(x, 10 ** y_limits[0])
        _stroke(picture, [(across, TOP), (across, HEIGHT - BOTTOM)], GRID)
        _write(picture, short(x), (across, HEIGHT - BOTTOM + 16), anchor=0.5)
    for y in ticks(*y_limits):
        _, down = place(10 ** x_limits[0], y)
        _stroke(picture, [(LEFT, down), (WIDTH - RIGHT, down)], GRID)
        _write(picture, short(y), (LEFT - 6, down + 4), anchor=1)
    corners = [(LEFT, TOP), (WIDTH - RIGHT, TOP), (WIDTH - RIGHT, HEIGHT - BOTTOM), (LEFT, HEIGHT - BOTTOM)]
    _stroke(picture, [*corners, corners[0]], INK)
    _write(picture, panel.title, (LEFT, 16), size=0.46)
    _write(picture, panel.y_name, (LEFT, 33))
    _write(picture, panel.x_name, ((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14), anchor=0.5)
    for k, line in enumerate(panel.lines):
        colour = COLOURS[k % len(COLOURS)]
        points = [place(x, y) for x, y in zip(line.x, line.y, strict=True)]
        _stroke(picture, points, colour, thickness=1.6)
        for point in points:
            cv2.circle(picture, _pixel(point), round(2.6 * SCALE), colour, -1, cv2.LINE_AA)
        _write(picture, line.name, (LEFT + 10, TOP + 18 + 16 * k), colour=colour)
    return picture


def _pixel(point: tuple[float, float]) -> tuple[int, int]:
    return round(point[0] * SCALE), round(point[1] * SCALE)


def _stroke(
    picture: np.ndarray, points: list[tuple[float, float]], colour: tuple[int, int, int], thickness: float = 1
) -> None:
    path = np.array([_pixel(p) for p in points], np.int32)
    cv2.polylines(picture, [path], False, colour, round(thickness * SCALE), cv2.LINE_AA)


def _write(
    picture: np.ndarray,
    text: str,
    at: tuple[float, float],
    *,
    anchor: float = 0,
    size: float = 0.38,
    colour: tuple[int, int, int] = INK,
) -> None:
    """Text whose baseline begins at `at`, ends there (anchor 1) or is centred on it (0.5)."""
    (width, _), _ = cv2.getTextSize(text, FONT, size * SCALE, SCALE)
    x, y = _pixel(at)
    cv2.putText(picture, text, (round(x - anchor * width), y), FONT, size * SCALE, colour, SCALE, cv2.LINE_AA)
