"""Where the point that one camera shows at a pixel is seen by another camera, or later: exact flow and occlusion."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mom3d_jax.cameras import pixel_grid
from mom3d_jax.synthetic.world import TERRAIN, World
from mom3d_jax.types import Cameras

Vectors = Float[np.ndarray, "n 3"]
Tracer = Callable[[Vectors, Vectors], tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]]
"""(eye [3], directions [n,3]) to ray parameter and kind of the first surface, in level axes."""

SAME = 1e-6
"""A surface nearer than the point by more than this share of its distance hides it."""
GROUND = 1e-3
"""The same for the ground, which rays that graze it meet at slightly different places of the table."""


class Match(NamedTuple):
    """What became of the point at every pixel of the first camera."""

    flow: Float[np.ndarray, "h w 2"]
    """Where the second camera has it, minus the pixel, px. Defined wherever the point is in front of that camera, also
    outside its picture; NaN elsewhere."""
    occluded: Float[np.ndarray, "h w"]
    """1 where the second camera does not see it: hidden, outside the picture, or gone from its surface."""


def rays(camera: Cameras, world: World, pixels: Float[np.ndarray, "n 2"]) -> tuple[np.ndarray, np.ndarray]:
    """Origin and directions in level axes; a direction's z in camera axes is 1, so ray parameters are depths."""
    focal, centre = np.asarray(camera.focal, np.float64), np.asarray(camera.centre, np.float64)
    local = np.concatenate([(pixels.astype(np.float64) - centre) / focal, np.ones((len(pixels), 1))], axis=-1)
    turn = turn_of(camera, world)
    origin = -turn @ np.asarray(camera.translation, np.float64) + np.array([0, world.eye, 0])
    return origin, local @ turn.T


def turn_of(camera: Cameras, world: World) -> Float[np.ndarray, "3 3"]:
    """Turns vectors from camera axes into level axes."""
    return world.from_camera @ np.asarray(camera.rotation, np.float64).T


def correspondence(
    world: World,
    first: Cameras,
    second: Cameras,
    frames: float = 0.0,
    tracers: tuple[Tracer, Tracer] | None = None,
) -> Match:
    """Flow and occlusion from one camera to another, `frames` later.

    The shape of the landscape does not change, so that no absolute time is needed. Flow is the exact path of the
    material, whole arc and all, not its velocity.

    Args:
      world: what is looked at.
      first: the camera whose pixels are followed.
      second: the camera that looks for them; the same one for optical flow.
      frames: how much later, whole or not, negative for earlier.
      tracers: of the first and the second camera; None: every ray is marched by itself.
    """
    trace_first, trace_second = tracers or (world.trace, world.trace)
    pixels = pixel_grid(first.width, first.height).reshape(-1, 2)
    origin, direction = rays(first, world, pixels)
    distance, kind = trace_first(origin, direction)
    points = origin + distance[:, None] * direction
    step = world.motion(points, kind, frames)
    moved = points + step
    turn, (eye, _) = turn_of(second, world), rays(second, world, pixels[:1])
    focal, centre = np.asarray(second.focal, np.float64), np.asarray(second.centre, np.float64)
    away = moved - eye
    # A product of so thin matrices takes longer in the threads of a linear algebra library.
    x, y, z = (away[:, 0] * r[0] + away[:, 1] * r[1] + away[:, 2] * r[2] for r in turn.T)
    z = np.where(z > 0, z, np.nan)
    landed = np.stack([f * v / z + c for f, v, c in zip(focal, (x, y), centre, strict=True)], axis=-1)
    with np.errstate(invalid="ignore"):
        inside = ((landed >= 0) & (landed <= (second.width, second.height))).all(axis=-1)
    gone = np.zeros(len(points), bool)
    for number, surface in enumerate(world.surfaces, start=1):
        gone[kind == number] = ~surface.there(moved[kind == number])
    seen = inside & ~gone
    # The ground of one and the same camera is what it was; anything else is looked for.
    asked = np.flatnonzero(seen & ((kind != TERRAIN) | (second is not first)))
    met, _ = trace_second(eye, moved[asked] - eye)
    tolerance = np.where(kind[asked] == TERRAIN, GROUND, SAME)
    seen[asked] = met > 1 - tolerance
    shape = (first.height, first.width)
    return Match((landed - pixels).reshape(*shape, 2).astype(np.float32), 1 - seen.reshape(shape).astype(np.float32))
