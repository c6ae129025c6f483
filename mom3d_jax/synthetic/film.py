"""Many frames of a landscape in little time: one trace, by columns, for all that a camera shows at any time."""

import functools

import cv2
import numpy as np
from jaxtyping import Float, Int

from mom3d_jax.synthetic.columns import Columns, Grid
from mom3d_jax.synthetic.correspondence import Match, correspondence, rays, turn_of
from mom3d_jax.synthetic.world import TERRAIN, World
from mom3d_jax.types import Cameras

SUPERSAMPLE = 2
"""Rays per pixel and axis of a picture."""
FINENESS = 2.0
"""Cells of the columns per pixel and axis."""


class Shot:
    """What one camera shows, at any time."""

    def __init__(self, world: World, camera: Cameras):
        """Look at a world.

        Args:
          world: what to look at.
          camera: one camera, in the world of the input camera, that looks forward with every ray.

        Raises:
          ValueError: a camera with rays that do not go forward.
        """
        self.world, self.camera = world, camera
        size, k = (camera.width, camera.height), SUPERSAMPLE
        axes = [(np.arange(n * k) + 0.5) / k - c for n, c in zip(size, np.asarray(camera.centre), strict=True)]
        x, y = (a / f for a, f in zip(axes, np.asarray(camera.focal, np.float64), strict=True))
        turn = turn_of(camera, world)
        self._direction = np.stack(
            [(r[0] * x[None, :] + r[1] * y[:, None] + r[2]).astype(np.float32) for r in turn]
        ).transpose(1, 2, 0)
        if self._direction[..., 2].min() <= 0:
            raise ValueError("a camera looks backwards; a film needs cameras all of whose rays go forward (z > 0)")
        self._origin, _ = rays(camera, world, np.zeros((1, 2)))
        across, rise = (self._direction[..., i] / self._direction[..., 2] for i in (0, 1))
        # Half a pixel in the middle of the picture; towards its corners a pixel covers less of x / z and y / z.
        self._columns = Columns(
            world.terrain, self._origin, Grid.over(across, rise, 1 / (FINENESS * float(camera.focal[0])))
        )
        ground = self._columns.crossing(across, rise) / self._direction[..., 2]
        distance, self._kind = world.nearest(ground, self._origin.astype(np.float32), self._direction)
        points = self._origin.astype(np.float32)[:, None, None] + distance * self._direction.transpose(2, 0, 1)
        self._points = points.transpose(1, 2, 0)

    @functools.cached_property
    def _parts(self) -> list[tuple[int, tuple[slice, slice], np.ndarray]]:
        """Of everything that is seen: kind, the box that holds it, and where it is in there."""
        found = []
        for number in range(len(self.world.surfaces) + 1):
            where = self._kind == number
            rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
            if len(rows):
                box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
                found.append((number, box, where[box]))
        return found

    @functools.cached_property
    def _still(self) -> Float[np.ndarray, "hk wk 3"]:
        """Colours of the ground, black elsewhere."""
        colour = np.zeros(self._points.shape, np.float32)
        for number, box, where in self._parts:
            if number == TERRAIN:
                np.copyto(colour[box], self.world.ground_colour(self._points[box]), where=where[..., None])
        return colour

    def picture(self, frame: float, loop: bool) -> Float[np.ndarray, "h w 3"]:
        """Display colours in [0, 1] in a frame of the advected or the periodic (`loop`) truth."""
        colour = self._still.copy()
        for number, box, where in self._parts:
            if number != TERRAIN:
                painted = self.world.surface_colour(number, self._points[box], frame, loop)
                np.copyto(colour[box], painted, where=where[..., None])
        return cv2.resize(colour, (self.camera.width, self.camera.height), interpolation=cv2.INTER_AREA)

    def flow(self, frames: float = 1.0) -> Match:
        """Flow and occlusion of this camera, `frames` later."""
        return correspondence(self.world, self.camera, self.camera, frames, (self.trace, self.trace))

    def trace(
        self, origin: Float[np.ndarray, " 3"], direction: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """`World.trace` for rays of this camera: by columns, and one by one where these are not sure."""
        z = direction[:, 2]
        across, rise = (direction[:, i] / z for i in (0, 1))
        ground = self._columns.crossing(across, rise) / z
        other, _ = self.world.nearest(np.full(len(z), np.inf), origin, direction)
        unsure = self._columns.unsure(across, rise, other * z)
        ground[unsure] = self._columns.own_crossing(across[unsure], rise[unsure]) / z[unsure]
        return self.world.nearest(ground, origin, direction)
