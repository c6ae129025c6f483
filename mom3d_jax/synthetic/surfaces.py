"""What moves in a landscape: flat sheets (water, waterfalls, mist, plumes) and the sky.

Level axes: x right, y up, z forward and horizontal, below the input camera at water level. A surface answers three
questions in closed form: where a ray meets it, where material that is at a point will be after some frames, and what
colour is there in a frame. Colour of the advected truth is that of the material's place in frame 0; colour of the
periodic truth is drawn anew for every frame of the period (`coats.Coat`).
"""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float

from mom3d_jax.synthetic.coats import Coat
from mom3d_jax.synthetic.currents import Current

Vectors = Float[np.ndarray, "*n 3"]
Values = Float[np.ndarray, "*n"]
Window = Callable[[Values, Values], Bool[np.ndarray, "*n"]]
"""Which places (a, b) of a sheet there are."""


class Surface(Protocol):
    """Something painted that moves along itself."""

    @property
    def name(self) -> str:
        """What it is called in annotations."""
        ...

    @property
    def coat(self) -> Coat:
        """Its paint."""
        ...

    def trace(self, origin: Float[np.ndarray, " 3"], direction: Vectors) -> Values:
        """Ray parameter where each ray meets the surface; inf where it does not."""
        ...

    def shift(self, points: Vectors, frames: float) -> Vectors:
        """How far material at `points` has moved after so many frames, units."""
        ...

    def there(self, points: Vectors) -> Bool[np.ndarray, "*n"]:
        """Whether the surface reaches so far."""
        ...


@dataclasses.dataclass(frozen=True)
class Flat:
    """A plane with coordinates (a, b), lengths; the default is y = 0 with (a, b) = (x, z)."""

    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    across: tuple[float, float, float] = (1.0, 0.0, 0.0)
    """Direction of coordinate a, a unit vector."""
    along: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """Direction of coordinate b, a unit vector at a right angle to `across`."""

    def coordinates(self, points: Vectors) -> tuple[Values, Values]:
        """(a, b) of points on the plane."""
        x, y, z = (points[..., i] - self.origin[i] for i in range(3))
        a, b = (x * e[0] + y * e[1] + z * e[2] for e in (self.across, self.along))
        return a, b

    def vectors(self, da: Values, db: Values) -> Vectors:
        """Steps (da, db) on the plane, in space."""
        return np.stack([da * self.across[i] + db * self.along[i] for i in range(3)], axis=-1)

    def trace(self, origin: Float[np.ndarray, " 3"], direction: Vectors) -> Values:
        """Ray parameter where each ray meets the plane; inf where it does not."""
        normal = np.cross(self.along, self.across)
        above = sum((self.origin[i] - origin[i]) * normal[i] for i in range(3))
        with np.errstate(divide="ignore", invalid="ignore"):
            met = above / sum(direction[..., i] * normal[i] for i in range(3))
        return np.where(met > 0, met, np.inf)


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A plane, or the part of it inside a window, with a current on it."""

    name: str
    coat: Coat
    current: Current
    flat: Flat = Flat()
    window: Window | None = None

    def trace(self, origin: Float[np.ndarray, " 3"], direction: Vectors) -> Values:
        """See `Surface`."""
        met = self.flat.trace(origin, direction)
        if self.window is not None:
            reached = np.isfinite(met)
            where = origin + met[reached][..., None] * direction[reached]
            met[reached] = np.where(self.there(where), met[reached], np.inf)
        return met

    def shift(self, points: Vectors, frames: float) -> Vectors:
        """See `Surface`."""
        return self.flat.vectors(*self.current.shift(*self.flat.coordinates(points), frames))

    def there(self, points: Vectors) -> Bool[np.ndarray, "*n"]:
        """See `Surface`."""
        if self.window is None:
            return np.ones(points.shape[:-1], bool)
        return self.window(*self.flat.coordinates(points))


@dataclasses.dataclass(frozen=True)
class Sky:
    """A layer of clouds at `altitude`, up to the wall z = `far`.

    The part of the layer that would lie beyond the wall is painted on it as the input camera sees it, and so is the
    clear sky, which drifts along. A cloud of the layer drifts sideways at `drift`; its image on the wall, seen from eye
    height h, at drift · (y - h) / (altitude - h), which is also what the formula gives on the layer itself.
    """

    name: str
    coat: Coat
    altitude: float
    far: float
    drift: float
    eye: float

    def trace(self, origin: Float[np.ndarray, " 3"], direction: Vectors) -> Values:
        """See `Surface`: layer or wall, whichever comes first."""
        rise, ahead = direction[..., 1], direction[..., 2]
        with np.errstate(divide="ignore"):
            layer = np.where(rise > 0, (self.altitude - origin[1]) / rise, np.inf)
            wall = np.where(ahead > 0, (self.far - origin[2]) / ahead, np.inf)
        return np.minimum(layer, wall)

    def shift(self, points: Vectors, frames: float) -> Vectors:
        """See `Surface`."""
        speed = self.drift * np.maximum(points[..., 1] - self.eye, 0) / (self.altitude - self.eye)
        return np.stack([frames * speed, 0 * speed, 0 * speed], axis=-1)

    def there(self, points: Vectors) -> Bool[np.ndarray, "*n"]:
        """See `Surface`."""
        return np.ones(points.shape[:-1], bool)
