"""Light on a height table: normals, cast shadows, hollows, haze, and the way from linear light to the display."""

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.synthetic.fan import Fan, ground_distance, ground_row

Plane = Float[np.ndarray, "r c"]
Colours = Float[np.ndarray, "r c 3"]


def rgb(red: float, green: float, blue: float) -> Float[np.ndarray, " 3"]:
    """A display colour (0-255) in linear light."""
    return ((np.array([red, green, blue]) / 255) ** 2.2).astype(np.float32)


def mix(a: Colours, b: Colours, share: Plane) -> Colours:
    """`a` where `share` is 0, `b` where it is 1."""
    return a + (b - a) * share[..., None]


def display(linear: Colours) -> Colours:
    """Linear light to display colours in [0, 1].

    Hable's filmic tone curve with the constants of K. Narkowicz's fit to ACES (2015), then the gamma of the display.
    """
    x = np.maximum(linear, 0)
    return (np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1) ** (1 / 2.2)).astype(np.float32)


def places(fan: Fan) -> tuple[Plane, Plane]:
    """(x, z) of every cell of a ground table."""
    z = ground_distance(fan.row_coordinates())[:, None]
    return fan.directions()[None, :] * z, np.broadcast_to(z, (fan.rows, fan.columns))


def normals(fan: Fan, heights: Plane) -> Colours:
    """Unit normals of a height table, pointing up."""
    x, z = places(fan)
    surface = np.stack([x, heights, z], axis=-1)
    across, along = np.gradient(surface, axis=1), np.gradient(surface, axis=0)
    normal = np.cross(along, across)
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def sunlit(fan: Fan, heights: Plane, sun: Float[np.ndarray, " 3"], reach: float = 0.5, steps: int = 28) -> Plane:
    """Share of the sun that each cell sees, from marching towards it on a table of half the size.

    Args:
      fan: coordinates of the table.
      heights: of the ground.
      sun: unit vector towards the sun, level axes.
      reach: how far to march, over the distance of the cell; peaks are as wide as they are far away.
      steps: marching steps, denser near the start.
    """
    coarse = heights[::2, ::2]
    x, z = (a[::2, ::2] for a in places(fan))
    light = np.ones_like(coarse)
    for step in range(1, steps + 1):
        run = (reach * (step / steps) ** 2) * z
        sx, sy, sz = x + sun[0] * run, coarse + sun[1] * run, np.maximum(z + sun[2] * run, 0.05)
        ground = fan.sample(heights, (sx / sz).ravel(), ground_row(sz).ravel()).reshape(coarse.shape)
        # A penumbra of a tenth of the way keeps the edges of far shadows soft.
        light = np.minimum(light, np.clip(0.5 + (sy - ground) / (0.1 * run), 0, 1))
    return cv2.resize(cv2.GaussianBlur(light.astype(np.float32), (0, 0), 0.7), heights.shape[::-1])


def hollows(fan: Fan, heights: Plane, radius: float) -> Plane:
    """Light that reaches a cell from the sky: below 1 where the ground lies lower than its surroundings.

    Args:
      fan: coordinates of the table.
      heights: of the ground.
      radius: size of the surroundings, in cells.
    """
    distance = ground_distance(fan.row_coordinates())[:, None]
    lack = (cv2.GaussianBlur(heights, (0, 0), radius) - heights) / (distance * np.float32(0.004 * radius))
    return np.clip(1 - 0.55 * lack, 0.25, 1.15)


def hazy(colour: Colours, distance: Plane, haze: Float[np.ndarray, " 3"], visibility: float) -> Colours:
    """Colour after the air between: 1 - exp(-(d / visibility)^1.4) of it is haze."""
    return mix(colour, haze, 1 - np.exp(-((distance / np.float32(visibility)) ** np.float32(1.4))))
