"""Fractal gradient noise, the raw material of procedural landscapes.

Lattice noise after K. Perlin, "Improving Noise" (2002): random unit gradients on an integer lattice, quintic fade.
Its fractal sums fade out octaves that are finer than a given footprint, so a painted surface holds no detail that its
grid, or a distant pixel, could not carry ("band-limited by octave", as in Perlin's "An Image Synthesizer", 1985).
"""

import numpy as np
from jaxtyping import Float

LATTICE = 256
BLOCK = 1 << 14
# Octaves are turned against each other, so that the axes of the lattices do not line up into visible streaks.
TURN = np.array([[0.8, -0.6], [0.6, 0.8]], np.float32)
SHIFT = np.array([17.3, 5.1], np.float32)
# Half the size of a feature, in periods of its octave: below it an octave has nothing left to show.
NYQUIST = 0.5


def smoothstep(low: float, high: float, x: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """0 below `low`, 1 above `high`, 3s² - 2s³ between; `low > high` gives the falling step."""
    s = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    return s * s * (3 - 2 * s)


class Noise:
    """One seeded noise field over the plane; period 256 lattice cells."""

    def __init__(self, rng: np.random.Generator):
        """Draw the lattice.

        Args:
          rng: source of the gradients; equal generators give equal fields.
        """
        angle = rng.uniform(0, 2 * np.pi, LATTICE * LATTICE)
        # The factor brings the range of 2D gradient noise with unit gradients, ±√½, to ±1.
        self._gx = (np.sqrt(2) * np.cos(angle)).astype(np.float32)
        self._gy = (np.sqrt(2) * np.sin(angle)).astype(np.float32)

    def __call__(self, x: Float[np.ndarray, "*n"], y: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """Noise in [-1, 1], one feature per unit of x and y."""
        column, row = np.floor(x), np.floor(y)
        fx, fy = (x - column).astype(np.float32), (y - row).astype(np.float32)
        i0, j0 = column.astype(np.int32) & (LATTICE - 1), (row.astype(np.int32) & (LATTICE - 1)) * LATTICE
        i1, j1 = (i0 + 1) & (LATTICE - 1), (j0 + LATTICE) & (LATTICE * LATTICE - 1)

        def corner(index: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
            return self._gx[index] * dx + self._gy[index] * dy

        u, v = (f * f * f * (f * (f * 6 - 15) + 10) for f in (fx, fy))
        top = corner(j0 + i0, fx, fy)
        top += u * (corner(j0 + i1, fx - 1, fy) - top)
        bottom = corner(j1 + i0, fx, fy - 1)
        bottom += u * (corner(j1 + i1, fx - 1, fy - 1) - bottom)
        return top + v * (bottom - top)

    def fractal(
        self,
        x: Float[np.ndarray, "*n"],
        y: Float[np.ndarray, "*n"],
        octaves: int,
        footprint: Float[np.ndarray, "*n"] | float = 0.0,
        gain: float = 0.5,
        ridged: bool = False,
    ) -> Float[np.ndarray, "*n"]:
        """Sum of octaves of doubling frequency and falling amplitude, scaled so that all octaves together reach 1.

        Args:
          x: position, in features of the first octave.
          y: position, in features of the first octave.
          octaves: how many.
          footprint: size of what samples the field, in the units of x and y; octaves finer than this fade out.
          gain: amplitude of an octave over the one before.
          ridged: fold each octave into sharp crests, 1 - 2|n|, each weighted by the one below it, so that crests carry
            the detail and valleys stay smooth (F. K. Musgrave's ridged multifractal).
        """
        shape = np.broadcast_shapes(np.shape(x), np.shape(y), np.shape(footprint))
        x, y, footprint = (np.broadcast_to(np.asarray(a, np.float32), shape).ravel() for a in (x, y, footprint))
        total = np.zeros(len(x), np.float32)
        # Block by block: all octaves of a block stay in the cache.
        for start in range(0, len(x), BLOCK):
            block = slice(start, start + BLOCK)
            total[block] = self._octaves(x[block], y[block], octaves, footprint[block], gain, ridged)
        return total.reshape(shape)

    def _octaves(
        self,
        x: Float[np.ndarray, " n"],
        y: Float[np.ndarray, " n"],
        octaves: int,
        footprint: Float[np.ndarray, " n"],
        gain: float,
        ridged: bool,
    ) -> Float[np.ndarray, " n"]:
        total = np.zeros_like(x)
        weight: np.ndarray | float = 1.0
        limited = bool(footprint.any())
        for octave in range(octaves):
            value = self(x, y)
            if ridged:
                value = (1 - 2 * np.abs(value)) * weight
                weight = np.clip(value * 1.2 + 0.3, 0, 1)
            amplitude = np.float32(gain**octave)
            if limited:
                value *= smoothstep(NYQUIST, 0.5 * NYQUIST, footprint * np.float32(2.0**octave))
            total += amplitude * value
            x, y = 2 * (TURN[0, 0] * x + TURN[0, 1] * y) + SHIFT[0], 2 * (TURN[1, 0] * x + TURN[1, 1] * y) + SHIFT[1]
        return total * np.float32((1 - gain) / (1 - gain**octaves))
