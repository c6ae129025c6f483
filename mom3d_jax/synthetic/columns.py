"""The terrain as it is seen from one place: first crossings of all rays at once, for pictures of many cameras.

Rays that leave the eye with the same x / z stay over one line of the ground and differ in their rise y / z alone. On a
grid of (x / z, y / z) the ray of every cell meets the ground at the first row of the height table where the largest
slope so far, max (h - eye) / (z - eye), passes its rise: a running maximum and a count, no march for every ray.
A ray between the cells takes the nearest one's row and solves for its own z in it.

The two kinds of surface next to each other at a silhouette or a shore are told apart ray by ray: `unsure` says where,
`own_crossing` decides. What is left against `Terrain.trace`, which marches every ray by itself, are things thinner than
a cell.
"""

import dataclasses
import functools

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from mom3d_jax.synthetic.fan import ground_distance
from mom3d_jax.synthetic.terrain import Terrain

Values = Float[np.ndarray, "*n"]
BLUR = 1e-3
"""Surfaces nearer to each other than this share of their distance are not told apart by cells."""
ROWS = 2
"""Rows before and after the crossings of neighbours where a ray's own is looked for."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """Cells of (x / z, y / z)."""

    left: float
    low: float
    step: float
    columns: int
    rows: int

    @classmethod
    def over(cls, across: Values, rise: Values, step: float) -> "Grid":
        """A grid that holds all of these rays, and one cell more on every side."""
        left, low = float(across.min()) - step, float(rise.min()) - step
        count = (round((float(v.max()) - start) / step) + 2 for v, start in ((across, left), (rise, low)))
        return cls(left, low, step, *count)

    def cell(self, across: Values, rise: Values) -> Int[np.ndarray, "*n"]:
        """Flat index of the nearest cell, row by row; rays outside get the border."""
        column = np.clip(np.rint((across - self.left) * (1 / self.step)), 0, self.columns - 1)
        row = np.clip(np.rint((rise - self.low) * (1 / self.step)), 0, self.rows - 1)
        return row.astype(np.int32) * self.columns + column.astype(np.int32)


class Columns:
    """First crossings of the rays of one grid, from one eye."""

    def __init__(self, terrain: Terrain, origin: Float[np.ndarray, " 3"], grid: Grid):
        """March all columns.

        Args:
          terrain: what is looked at.
          origin: the eye, level axes.
          grid: of the rays.
        """
        self._terrain, self._origin, self.grid = terrain, origin, grid
        z = ground_distance(terrain.fan.row_coordinates().astype(np.float64))
        first = self._first = int(np.searchsorted(z, origin[2] + 1e-6))
        self._ahead = (z[first:] - origin[2]).astype(np.float32)[:, None]
        across = (grid.left + grid.step * np.arange(grid.columns, dtype=np.float32))[None, :]
        u = (np.float32(origin[0]) + across * self._ahead) / z[first:].astype(np.float32)[:, None]
        row = np.broadcast_to(np.arange(first, len(z), dtype=np.float32)[:, None], u.shape)
        heights = cv2.remap(terrain.heights, terrain.fan.column_at(u).astype(np.float32), row, cv2.INTER_LINEAR)
        self._slope = (heights - np.float32(origin[1])) / self._ahead
        self._row = self._first_rows()

    def _first_rows(self) -> Int[np.ndarray, " cells"]:
        """The first row of the table whose slope exceeds the rise of each cell; their number where none does."""
        g, n = self.grid, len(self._slope)
        passed = np.empty((n, g.columns), np.int32)
        highest = np.full(g.columns, -np.inf, np.float32)
        for row, slope in enumerate(self._slope):
            np.maximum(highest, slope, out=highest)
            # Cells of the column that lie below the highest ground so far.
            passed[row] = np.clip(np.ceil((highest - np.float32(g.low)) * np.float32(1 / g.step)), 0, g.rows)
        passed *= g.columns
        passed += np.arange(g.columns, dtype=np.int32)
        found = np.bincount(passed.ravel(), minlength=(g.rows + 1) * g.columns).reshape(g.rows + 1, g.columns)
        return np.cumsum(found[:-1], axis=0, dtype=np.int32).ravel()

    def crossing(self, across: Values, rise: Values) -> Values:
        """z, counted from the eye, where each ray meets the ground; inf where it does not."""
        cell = self.grid.cell(across, rise)
        row = self._row[cell]
        n = len(self._slope)
        missed = row == n
        row = np.minimum(row, n - 1)
        before = np.maximum(row - 1, 0)
        column = cell % self.grid.columns
        low, high = self._slope[before, column], self._slope[row, column]
        return np.where(missed, np.inf, self._between(before, row, low, high, rise))

    @functools.cached_property
    def _around(self) -> tuple[Values, Values]:
        """Least and largest crossing in the 3 × 3 cells around each one."""
        z = np.append(self._ahead[:, 0], np.float32(np.inf))[self._row].reshape(self.grid.rows, self.grid.columns)
        window = np.ones((3, 3), np.uint8)
        return cv2.erode(z, window).ravel(), cv2.dilate(z, window).ravel()

    def unsure(self, across: Values, rise: Values, other: Values) -> Bool[np.ndarray, " n"]:
        """Where the cells around a ray do not agree whether the ground comes before z = `other`."""
        cell = self.grid.cell(across, rise)
        low, high = (z[cell] for z in self._around)
        return (low < other * (1 + BLUR)) & (high > other * (1 - BLUR))

    def own_crossing(self, across: Values, rise: Values) -> Values:
        """`crossing` on the line of each ray itself.

        It is looked for where the rays of the 3 × 3 cells around it meet the ground, and some rows before and after.
        """
        cell = self.grid.cell(across, rise)
        row, column = np.divmod(cell, self.grid.columns)
        found = np.full(len(across), len(self._slope), np.int32)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                j = np.clip(row + down, 0, self.grid.rows - 1)
                i = np.clip(column + right, 0, self.grid.columns - 1)
                near = self._row[j * self.grid.columns + i]
                for offset in range(-ROWS, ROWS + 1):
                    tried = np.clip(near + offset, 0, len(self._slope) - 1)
                    hit = (near < len(self._slope)) & (tried < found)
                    hit[hit] = self._slope_at(tried[hit], across[hit]) > rise[hit]
                    found[hit] = tried[hit]
        missed = found == len(self._slope)
        after = np.where(missed, 0, found)
        before = np.maximum(after - 1, 0)
        low, high = self._slope_at(before, across), self._slope_at(after, across)
        return np.where(missed, np.inf, self._between(before, after, low, high, rise))

    def _slope_at(self, row: Int[np.ndarray, " n"], across: Values) -> Values:
        """Slope in which the ground of a row is seen, for any x / z."""
        fan, ahead = self._terrain.fan, self._ahead[row, 0]
        column = fan.column_at((self._origin[0] + across * ahead) / (ahead + self._origin[2]))
        i = np.minimum(column.astype(np.int32), fan.columns - 2)
        line = (row + self._first) * fan.columns + i
        flat = self._terrain.heights.ravel()
        return (flat[line] + (column - i) * (flat[line + 1] - flat[line]) - self._origin[1]) / ahead

    def _between(
        self, before: Int[np.ndarray, "*n"], after: Int[np.ndarray, "*n"], low: Values, high: Values, rise: Values
    ) -> Values:
        """z between two rows where the slope of the ground goes through the rise of the ray."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.clip(np.nan_to_num((rise - low) / (high - low), nan=1.0), 0, 1)
        near, far = self._ahead[before, 0], self._ahead[after, 0]
        return near + share * (far - near)
