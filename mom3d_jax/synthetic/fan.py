"""A fan-shaped grid: tables over the directions and distances seen from one place.

Columns are directions u = x / z, rows another coordinate: z^(1/4) for what lies on the ground, the slope y / z for the
sky. Near grass and far peaks then get about the same detail in pixels (ln z would do on level ground, but peaks rise).
Columns are denser towards the middle, u = U sinh(s q) / sinh(s) for q in [-1, 1].
"""

import dataclasses

import cv2
import numpy as np
from jaxtyping import Float

SPREAD = 2.0


def ground_row(z: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Row coordinate of a distance on the ground, z^(1/4)."""
    return np.sqrt(np.sqrt(z))


def ground_distance(row: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """The distance of a row coordinate, the inverse of `ground_row`."""
    return np.square(np.square(row))


@dataclasses.dataclass(frozen=True)
class Fan:
    """The coordinates of a table [rows, columns]."""

    columns: int
    rows: int
    reach: float
    """U, the direction of the outermost columns; beyond them the border continues."""
    low: float
    """Row coordinate of the first row."""
    high: float
    """Row coordinate of the last row."""

    @classmethod
    def ground(cls, columns: int, rows: int, reach: float, near: float, far: float) -> "Fan":
        """The coordinates of a table over the ground between two distances."""
        return cls(columns, rows, reach, near**0.25, far**0.25)

    def directions(self) -> Float[np.ndarray, " c"]:
        """u of every column."""
        q = np.linspace(-1, 1, self.columns)
        return (self.reach * np.sinh(SPREAD * q) / np.sinh(SPREAD)).astype(np.float32)

    def row_coordinates(self) -> Float[np.ndarray, " r"]:
        """The row coordinate of every row."""
        return np.linspace(self.low, self.high, self.rows, dtype=np.float32)

    def column_at(self, u: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Fractional column of a direction, clipped to the table."""
        q = np.arcsinh(u * u.dtype.type(np.sinh(SPREAD) / self.reach)) / SPREAD
        return np.clip((q + 1) * (0.5 * (self.columns - 1)), 0, self.columns - 1)

    def row_at(self, coordinate: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Fractional row of a row coordinate, clipped to the table."""
        return np.clip((coordinate - self.low) * ((self.rows - 1) / (self.high - self.low)), 0, self.rows - 1)

    def sample(
        self, table: Float[np.ndarray, "r c ..."], u: Float[np.ndarray, "*n"], coordinate: Float[np.ndarray, "*n"]
    ) -> Float[np.ndarray, "..."]:
        """Bilinear look-up at directions `u` and row coordinates `coordinate`."""
        column, row = self.column_at(u), self.row_at(coordinate)
        if u.ndim == 2:
            # A picture of places: the same arithmetic in OpenCV, ten times as fast, with another order of rounding.
            column, row = column.astype(np.float32), row.astype(np.float32)
            return cv2.remap(table, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        i = np.minimum(column.astype(np.int32), self.columns - 2)
        j = np.minimum(row.astype(np.int32), self.rows - 2)
        tail = (-1,) + (1,) * (table.ndim - 2)
        a, b = (column - i).reshape(tail).astype(table.dtype), (row - j).reshape(tail).astype(table.dtype)
        flat = table.reshape(-1, *table.shape[2:])
        index = j * self.columns + i
        top = flat[index] + a * (flat[index + 1] - flat[index])
        index += self.columns
        bottom = flat[index] + a * (flat[index + 1] - flat[index])
        return top + b * (bottom - top)
