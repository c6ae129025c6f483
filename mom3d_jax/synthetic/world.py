"""What every procedural landscape consists of, and how a ray meets it.

A world is a terrain (a height table) and surfaces that move along themselves: sheets of water, mist or smoke, and the
sky. All of it is painted: a surface point looks the same from everywhere, and what moves carries its paint along
streamlines at a speed that is constant along each of them. So depth, motion, flow and every frame of every view have
closed forms up to the look-up in the terrain's table.

Level axes, used in here: x right, y **up** from the water level, z forward and horizontal, origin below the camera.
`World.from_camera` turns the world axes of the package (those of the input camera) into them.
"""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from mom3d_jax.synthetic.fan import ground_row
from mom3d_jax.synthetic.surfaces import Surface
from mom3d_jax.synthetic.terrain import Terrain

# Rays that march together: few enough for the cache, many enough to hide the interpreter.
BLOCK = 1 << 15

TERRAIN = 0
"""Kind of the terrain, as `trace` reports it; surface i of the world is kind i + 1."""


@dataclasses.dataclass(frozen=True)
class World:
    """A landscape and the place of the input camera in it."""

    terrain: Terrain
    surfaces: tuple[Surface, ...]
    """What moves; the sky comes last."""
    eye: float
    """Height of the input camera over the water."""
    pitch: float
    """How far the input camera looks up from the horizontal, radians."""
    period: int = 60
    """T, frames after which the periodic truth starts again."""
    shared_start: bool = True
    """Whether both truths begin with the same picture."""

    @property
    def sky(self) -> int:
        """Kind of the sky."""
        return len(self.surfaces)

    @property
    def from_camera(self) -> Float[np.ndarray, "3 3"]:
        """Turns vectors from world axes (x right, y down, z forward of the input camera) into level axes."""
        c, s = np.cos(self.pitch), np.sin(self.pitch)
        return np.array([[1.0, 0, 0], [0, -c, s], [0, s, c]])

    def trace(
        self, origin: Float[np.ndarray, " 3"], direction: Float[np.ndarray, "n 3"], bisections: int = 40
    ) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Ray parameter and kind of the first surface along each ray (level axes)."""
        ground = [
            self.terrain.trace(origin, direction[start : start + BLOCK], bisections)
            for start in range(0, len(direction), BLOCK)
        ]
        return self.nearest(np.concatenate(ground), origin, direction)

    def nearest(
        self, ground: Float[np.ndarray, "*n"], origin: Float[np.ndarray, " 3"], direction: Float[np.ndarray, "*n 3"]
    ) -> tuple[Float[np.ndarray, "*n"], Int[np.ndarray, "*n"]]:
        """Ray parameter and kind of what comes first: the ground at `ground`, or one of the surfaces."""
        distance, kind = ground.copy(), np.zeros(ground.shape, np.int8)
        for number, surface in enumerate(self.surfaces, start=1):
            met = surface.trace(origin, direction)
            closer = met < distance
            distance[closer], kind[closer] = met[closer], number
        return distance, kind

    def motion(
        self, points: Float[np.ndarray, "n 3"], kind: Int[np.ndarray, " n"], frames: float = 1.0
    ) -> Float[np.ndarray, "n 3"]:
        """How far surface points (level axes) move in so many frames, units."""
        motion = np.zeros_like(points)
        for number, surface in enumerate(self.surfaces, start=1):
            motion[kind == number] = surface.shift(points[kind == number], frames)
        return motion

    def ground_colour(self, points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Display colours of the terrain."""
        return self.terrain.fan.sample(self.terrain.paint, points[..., 0] / points[..., 2], ground_row(points[..., 2]))

    def surface_colour(
        self, number: int, points: Float[np.ndarray, "*n 3"], frame: float, loop: bool
    ) -> Float[np.ndarray, "*n 3"]:
        """Display colours of the surface of kind `number` in a frame of the advected or periodic (`loop`) truth."""
        surface = self.surfaces[number - 1]
        if loop:
            return surface.coat.periodic(points, (frame % self.period) / self.period)
        return surface.coat.advected(points + surface.shift(points, -frame).astype(points.dtype))

    def colour(
        self, points: Float[np.ndarray, "n 3"], kind: Int[np.ndarray, " n"], frame: float, loop: bool = False
    ) -> Float[np.ndarray, "n 3"]:
        """Display colours in [0, 1] at surface points (level axes) in a frame."""
        colour = np.zeros((len(points), 3), np.float32)
        colour[kind == TERRAIN] = self.ground_colour(points[kind == TERRAIN])
        for number in range(1, len(self.surfaces) + 1):
            colour[kind == number] = self.surface_colour(number, points[kind == number], frame, loop)
        return colour
