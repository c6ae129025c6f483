"""The ground of a landscape, a table of heights, and where a ray meets it."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from mom3d_jax.synthetic.fan import Fan, ground_distance, ground_row

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
