"""How a sheet of material flows: along streamlines, each at its own constant speed, so that every path is closed form.

Coordinates (a, b) are lengths on the sheet. Every current gives where material is after any number of frames, whole or
not, forwards or backwards, and two labels of a place: `phase`, the frames that material has been under way since a line
across the current (it grows by 1 per frame), and `lane`, a length that tells its streamline from the others.
"""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np
from jaxtyping import Float

Values = Float[np.ndarray, "*n"]
Speed = Callable[[Values], Values]
"""Units per frame of a streamline, from its lane."""


class Current(Protocol):
    """A steady flow on a sheet."""

    def shift(self, a: Values, b: Values, frames: float) -> tuple[Values, Values]:
        """How far material that is at (a, b) has moved after so many frames."""
        ...

    def phase(self, a: Values, b: Values) -> Values:
        """Frames under way since a line across the current."""
        ...

    def lane(self, a: Values, b: Values) -> Values:
        """Which streamline, as a length across the current."""
        ...


def steady(speed: float) -> Speed:
    """The same speed everywhere."""
    return lambda lane: np.full_like(lane, speed)


@dataclasses.dataclass(frozen=True)
class Straight:
    """Parallel streamlines. Lane: distance from the line through the origin, to the left of the heading."""

    heading: Float[np.ndarray, " 2"]
    """Unit vector."""
    speed: Speed

    def lane(self, a: Values, b: Values) -> Values:
        """See `Current`."""
        return a * -self.heading[1] + b * self.heading[0]

    def shift(self, a: Values, b: Values, frames: float) -> tuple[Values, Values]:
        """See `Current`."""
        speed = self.speed(self.lane(a, b))
        return frames * (speed * self.heading[0]), frames * (speed * self.heading[1])

    def phase(self, a: Values, b: Values) -> Values:
        """See `Current`."""
        return (a * self.heading[0] + b * self.heading[1]) / self.speed(self.lane(a, b))


@dataclasses.dataclass(frozen=True)
class Bend:
    """Circles around a centre, from a to b where the speed is positive. Lane: the radius."""

    centre: tuple[float, float]
    speed: Speed

    def _polar(self, a: Values, b: Values) -> tuple[Values, Values, Values]:
        x, y = a - self.centre[0], b - self.centre[1]
        return x, y, np.hypot(x, y)

    def lane(self, a: Values, b: Values) -> Values:
        """See `Current`."""
        return self._polar(a, b)[2]

    def shift(self, a: Values, b: Values, frames: float) -> tuple[Values, Values]:
        """See `Current`."""
        x, y, radius = self._polar(a, b)
        half = 0.5 * frames * self.speed(radius) / radius
        # R(2h) - 1 = 2 sin h (-sin h, cos h): no difference of nearly equal numbers.
        turn, along = 2 * np.sin(half) * np.sin(half), 2 * np.sin(half) * np.cos(half)
        return -turn * x - along * y, along * x - turn * y

    def phase(self, a: Values, b: Values) -> Values:
        """See `Current`. It jumps on the ray from the centre towards negative b."""
        x, y, radius = self._polar(a, b)
        return np.arctan2(-x, y) * radius / self.speed(radius)


@dataclasses.dataclass(frozen=True)
class Spread:
    """Rays out of a source. Lane: the angle from the middle one, times `reach`."""

    source: tuple[float, float]
    speed: Speed
    reach: float
    """The radius at which lanes are as wide as they say."""
    ahead: float = 1.0
    """Sign of the direction of b in which the middle lane goes."""

    def _polar(self, a: Values, b: Values) -> tuple[Values, Values, Values]:
        x, y = a - self.source[0], b - self.source[1]
        return x, y, np.hypot(x, y)

    def lane(self, a: Values, b: Values) -> Values:
        """See `Current`. It jumps on the ray from the source opposite to the middle lane."""
        x, y, _ = self._polar(a, b)
        return np.arctan2(x, self.ahead * y) * self.reach

    def shift(self, a: Values, b: Values, frames: float) -> tuple[Values, Values]:
        """See `Current`. Material does not go back past the source: there it has not been yet."""
        x, y, radius = self._polar(a, b)
        step = np.maximum(frames * self.speed(self.lane(a, b)) / radius, -1.0)
        return step * x, step * y

    def phase(self, a: Values, b: Values) -> Values:
        """See `Current`."""
        _, _, radius = self._polar(a, b)
        return radius / self.speed(self.lane(a, b))
