"""What every procedural landscape consists of, and how a ray meets it.

A world is a terrain (a height table), one plane of water and one sky. All of it is painted: a surface point looks the
same from everywhere, and what moves carries its paint along straight lines at a speed that is constant along each line.
So depth, motion, flow and every frame of every view have closed forms up to the look-up in the terrain's table.

Level axes, used in here: x right, y **up** from the water level, z forward and horizontal, origin below the camera.
`World.from_camera` turns the world axes of the package (those of the input camera) into them.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from mom3d_jax.synthetic.fan import Fan, ground_distance, ground_row

# Rays that march together: few enough for the cache, many enough to hide the interpreter.
BLOCK = 1 << 15

TERRAIN, WATER, SKY = 0, 1, 2
"""Kinds of surface, as `trace` reports them."""

Paint = Float[np.ndarray, "r c 3"]


@dataclasses.dataclass(frozen=True)
class Terrain:
    """Ground, rocks, trees and mountains: a height for every place, bilinear in (x / z, z^1/4)."""

    fan: Fan
    heights: Float[np.ndarray, "r c"]
    paint: Paint

    def height_at(self, x: Float[np.ndarray, " n"], z: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Height over the water level; beyond the table its border continues."""
        return self.fan.sample(self.heights, x / z, ground_row(z))

    def trace(
        self, origin: Float[np.ndarray, " 3"], direction: Float[np.ndarray, "n 3"], bisections: int
    ) -> Float[np.ndarray, " n"]:
        """Ray parameter where each ray first dips below the ground; inf where it does not before it is under water.

        Rays advance from row to row of the table, so no row is stepped over; the crossing is then bisected.

        Args:
          origin: of all rays, level axes.
          direction: of each ray; rays that do not go forward (z ≤ 0) meet no terrain.
          bisections: halvings of the row interval that holds the crossing.
        """
        distances = ground_distance(self.fan.row_coordinates().astype(np.float64))
        summit = self.heights.max(axis=1)
        # Whatever rises faster than every summit ahead of a row, seen from the origin, never comes down to one.
        ahead = distances - origin[2]
        steepest = np.where(ahead > 0, (summit - origin[1]) / np.where(ahead > 0, ahead, 1), -np.inf)
        ceiling = np.maximum.accumulate(steepest[::-1])[::-1]
        crossed = np.zeros(len(direction), np.int32)
        rays = np.flatnonzero(direction[:, 2] > 0)
        across, rise = (direction[rays, i] / direction[rays, 2] for i in (0, 1))
        across, rise = across.astype(np.float32), rise.astype(np.float32)
        before = np.full(len(rays), origin[1], np.float32)
        for row in np.flatnonzero(ahead > 0):
            y = np.float32(origin[1]) + rise * np.float32(ahead[row])
            # Also rays that passed the water level only now: they may have met the bank on their way.
            low = np.flatnonzero((y < summit[row]) & (before >= 0))
            before = y
            column = self.fan.column_at((np.float32(origin[0]) + across[low] * np.float32(ahead[row])) / distances[row])
            i = np.minimum(column.astype(np.int32), self.fan.columns - 2)
            line = self.heights[row]
            below = low[(line[i] + (column - i) * (line[i + 1] - line[i])) > y[low]]
            crossed[rays[below]] = row + 1
            rise[below] = np.inf
            if row % 8 == 0:
                keep = (rise < ceiling[row]) & (y >= 0)
                rays, across, rise, before = rays[keep], across[keep], rise[keep], before[keep]
        return self._bisect(origin, direction, crossed, distances, bisections)

    def _bisect(
        self,
        origin: Float[np.ndarray, " 3"],
        direction: Float[np.ndarray, "n 3"],
        crossed: Int[np.ndarray, " n"],
        distances: Float[np.ndarray, " r"],
        bisections: int,
    ) -> Float[np.ndarray, " n"]:
        """Ray parameter of each crossing between row `crossed` - 2 and row `crossed` - 1 (0: none)."""
        hit = np.flatnonzero(crossed)
        d = direction[hit]
        far = (distances[crossed[hit] - 1] - origin[2]) / d[:, 2]
        near = np.maximum(distances[np.maximum(crossed[hit] - 2, 0)] - origin[2], 0) / d[:, 2]
        for _ in range(bisections):
            middle = 0.5 * (near + far)
            x, y, z = (origin[i] + middle * d[:, i] for i in range(3))
            below = y < self.height_at(x, np.maximum(z, distances[0]))
            near, far = np.where(below, near, middle), np.where(below, middle, far)
        distance = np.full(len(direction), np.inf)
        # The outer end, where the ray is known to be below: a hit must not hang in front of its surface.
        distance[hit] = far
        return distance


@dataclasses.dataclass(frozen=True)
class Water:
    """The plane y = 0. It flows along one direction, at a speed that differs from streamline to streamline."""

    fan: Fan
    paint: Paint
    """Colour of the water at frame 0, over (x / z, z^1/4)."""
    heading: Float[np.ndarray, " 2"]
    """Unit vector (x, z) of the flow."""
    speed: Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]]
    """Units per frame of the streamline at distance c = (x, z) · (heading turned left) from the origin."""

    def motion(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Units per frame at points of the surface; constant along every streamline."""
        across = points[:, 0] * -self.heading[1] + points[:, 2] * self.heading[0]
        speed = self.speed(across)
        return np.stack([speed * self.heading[0], 0 * speed, speed * self.heading[1]], axis=-1)

    def colour(self, points: Float[np.ndarray, "n 3"], frame: float) -> Float[np.ndarray, "n 3"]:
        """Colour of the material that is at `points` in a frame."""
        start = points - frame * self.motion(points)
        z = np.maximum(start[:, 2], 1e-3)
        return self.fan.sample(self.paint, start[:, 0] / z, ground_row(z))


@dataclasses.dataclass(frozen=True)
class Sky:
    """A layer of clouds at `altitude`, up to the wall z = `far`.

    The part of the layer that would lie beyond the wall is painted on it as the input camera sees it, and so is the
    clear sky, which drifts along. A cloud of the layer drifts sideways at `drift`; its image on the wall, seen from eye
    height h, at drift · (y - h) / (altitude - h), which is also what the formula gives on the layer itself.
    """

    fan: Fan
    paint: Paint
    """Colour at frame 0 over (x / z, slope), the slope (y - eye) / z counted from the input camera."""
    altitude: float
    far: float
    drift: float
    eye: float

    def trace(self, origin: Float[np.ndarray, " 3"], direction: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        """Ray parameter of layer or wall, whichever comes first; inf for a ray that meets neither."""
        with np.errstate(divide="ignore"):
            layer = np.where(direction[:, 1] > 0, (self.altitude - origin[1]) / direction[:, 1], np.inf)
            wall = np.where(direction[:, 2] > 0, (self.far - origin[2]) / direction[:, 2], np.inf)
        return np.minimum(layer, wall)

    def motion(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Units per frame at points of the sky."""
        speed = self.drift * np.maximum(points[:, 1] - self.eye, 0) / (self.altitude - self.eye)
        return np.stack([speed, 0 * speed, 0 * speed], axis=-1)

    def colour(self, points: Float[np.ndarray, "n 3"], frame: float) -> Float[np.ndarray, "n 3"]:
        """Colour of what is at `points` in a frame."""
        start = points - frame * self.motion(points)
        z = np.maximum(start[:, 2], 1e-3)
        return self.fan.sample(self.paint, start[:, 0] / z, (start[:, 1] - self.eye) / z)


@dataclasses.dataclass(frozen=True)
class World:
    """A landscape and the place of the input camera in it."""

    terrain: Terrain
    water: Water
    sky: Sky
    eye: float
    """Height of the input camera over the water."""
    pitch: float
    """How far the input camera looks up from the horizontal, radians."""

    @property
    def from_camera(self) -> Float[np.ndarray, "3 3"]:
        """Turns vectors from world axes (x right, y down, z forward of the input camera) into level axes."""
        c, s = np.cos(self.pitch), np.sin(self.pitch)
        return np.array([[1.0, 0, 0], [0, -c, s], [0, s, c]])

    def trace(
        self, origin: Float[np.ndarray, " 3"], direction: Float[np.ndarray, "n 3"], bisections: int = 40
    ) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Ray parameter and kind of the first surface along each ray (level axes)."""
        with np.errstate(divide="ignore"):
            water = np.where(direction[:, 1] < 0, -origin[1] / direction[:, 1], np.inf)
        ground = [
            self.terrain.trace(origin, direction[start : start + BLOCK], bisections)
            for start in range(0, len(direction), BLOCK)
        ]
        distances = np.stack([np.concatenate(ground), water, self.sky.trace(origin, direction)])
        kind = np.argmin(distances, axis=0)
        return distances[kind, np.arange(len(direction))], kind

    def motion(self, points: Float[np.ndarray, "n 3"], kind: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
        """Units per frame at surface points (level axes)."""
        motion = np.zeros_like(points)
        for surface, which in ((self.water, WATER), (self.sky, SKY)):
            motion[kind == which] = surface.motion(points[kind == which])
        return motion

    def colour(
        self, points: Float[np.ndarray, "n 3"], kind: Int[np.ndarray, " n"], frame: float
    ) -> Float[np.ndarray, "n 3"]:
        """Display colours in [0, 1] at surface points (level axes) in a frame."""
        colour = np.zeros((len(points), 3), np.float32)
        ground = points[kind == TERRAIN]
        colour[kind == TERRAIN] = self.terrain.fan.sample(
            self.terrain.paint, ground[:, 0] / ground[:, 2], ground_row(ground[:, 2])
        )
        for surface, which in ((self.water, WATER), (self.sky, SKY)):
            colour[kind == which] = surface.colour(points[kind == which], frame)
        return colour
