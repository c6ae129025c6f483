"""Patterns that repeat along a current: gradient noise on a lattice that closes after one period.

The pattern of a sheet is a sum of octaves over (phase / T, lane). Octave k has n 2^k lattice cells, n a whole number,
in one period along the current, so that it is the same after T frames to the bit, with no seam and no blending, and
cells of `across` / 2^k units beside it. Octaves too fine for the table that holds them fade out where it is too coarse,
as in `noise`.
"""

import dataclasses
import functools

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.synthetic.noise import NYQUIST, smoothstep

TEXELS = 8
"""Of a tile, per lattice cell."""
USUAL_PERIOD = 60
LANES = 32
"""Cells across the current after which a tile starts again."""

Plane = Float[np.ndarray, "r c"]


@dataclasses.dataclass(frozen=True)
class Pattern:
    """What the pattern of a sheet looks like."""

    cells: int
    """n, lattice cells of the first octave in 60 frames along the current."""
    across: float
    """Size of a cell of the first octave across the current, units."""
    octaves: int = 6
    gain: float = 0.6
    """Amplitude of an octave over the one before."""
    ridged: bool = False
    """Fold every octave into sharp crests: foam, froth."""
    lag: float = 0.0
    """Cells of the first octave by which octaves two and up are displaced where the first is strong: swirls."""


def tile(rng: np.random.Generator, cells: int, lanes: int) -> Plane:
    """Gradient noise [lanes · TEXELS + 1, cells · TEXELS + 1] whose last row and column are its first ones.

    Perlin's noise (2002) on a lattice that is closed in both directions, ±1.
    """
    angle = rng.uniform(0, 2 * np.pi, (lanes, cells)).astype(np.float32)
    gx, gy = np.sqrt(2) * np.cos(angle), np.sqrt(2) * np.sin(angle)
    f = np.arange(TEXELS, dtype=np.float32) / TEXELS
    fade = f**3 * (f * (f * 6 - 15) + 10)
    u, v, fx, fy = fade[None, :], fade[:, None], f[None, :], f[:, None]

    def corner(down: int, right: int) -> np.ndarray:
        x, y = (np.roll(g, (-down, -right), (0, 1))[:, None, :, None] for g in (gx, gy))
        return x * (fx - right)[None, :, None, :] + y * (fy - down)[None, :, None, :]

    u, v = u[None, :, None, :], v[None, :, None, :]
    top = corner(0, 0) + u * (corner(0, 1) - corner(0, 0))
    bottom = corner(1, 0) + u * (corner(1, 1) - corner(1, 0))
    whole = (top + v * (bottom - top)).reshape(lanes * TEXELS, cells * TEXELS)
    return np.pad(whole, ((0, 1), (0, 1)), mode="wrap").astype(np.float32)


class Weave:
    """One pattern on one table of a surface."""

    def __init__(self, pattern: Pattern, phase: Plane, lane: Plane, period: int, rng: np.random.Generator):
        """Draw the tiles and find out what the table can hold.

        Args:
          pattern: what it looks like.
          phase: of every cell of the table (see `currents`), frames.
          lane: of every cell, units.
          period: T, frames.
          rng: source of the tiles.
        """
        self.pattern = pattern
        self._cells = max(1, round(pattern.cells * period / USUAL_PERIOD))
        self._turns = phase.astype(np.float64) / period
        self._lane = (lane / pattern.across).astype(np.float64)
        self._rng = rng.spawn(1)[0]

    @functools.cached_property
    def _tiles(self) -> list[Plane]:
        return [tile(self._rng, self._cells << k, LANES) for k in range(self.pattern.octaves)]

    @functools.cached_property
    def _weights(self) -> list[Plane]:
        """Amplitude of every octave on every cell of the table."""
        p = self.pattern
        steps = [np.abs(np.diff(label, axis=i)) for label in (self._cells * self._turns, self._lane) for i in (0, 1)]
        # The last row and column have no neighbour; they are like those before them.
        padded = [np.pad(s, ((0, 1 - i % 2), (0, i % 2)), mode="edge") for i, s in enumerate(steps)]
        footprint = np.nan_to_num(np.maximum.reduce(padded), nan=np.inf).astype(np.float32)
        amplitude = np.float32(p.gain) ** np.arange(p.octaves, dtype=np.float32)
        amplitude /= np.sqrt((amplitude**2).sum())
        fine = [smoothstep(NYQUIST, 0.5 * NYQUIST, footprint * np.float32(2.0**k)) for k in range(p.octaves)]
        return [f * a for f, a in zip(fine, amplitude, strict=True)]

    def at(self, turn: float) -> Plane:
        """The pattern when it has moved on by `turn` periods; about ±1, and equal at turn and turn + 1."""
        p = self.pattern
        # Whole turns are dropped before anything is rounded, so that they make no difference at all.
        along = self._turns - (turn % 1.0)
        along = (along - np.floor(along)).astype(np.float32)
        total = np.zeros(along.shape, np.float32)
        bend: np.ndarray | float = 0.0
        for k, (noise, weight) in enumerate(zip(self._tiles, self._weights, strict=True)):
            across = (self._lane + bend) * 2.0**k / LANES + 0.37 * k
            across = (across - np.floor(across)).astype(np.float32)
            value = cv2.remap(
                noise, along * np.float32(noise.shape[1] - 1), across * np.float32(LANES * TEXELS), cv2.INTER_LINEAR
            )
            if k == 0 and p.lag:
                bend = p.lag * value
            total += weight * (1 - np.float32(2.6) * np.abs(value) if p.ridged else np.float32(1.6) * value)
        return total
