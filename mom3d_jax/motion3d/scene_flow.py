"""Scene flow of all points, and its look-up off the points."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.cameras import project
from mom3d_jax.motion3d.problem import Problem
from mom3d_jax.types import Array, Cameras, PointCloud, SceneFlow

DEPTH_GATE = 1.5
"""Depths of one surface differ by less than this factor between neighbouring pixels; more is another surface."""


def assemble(cloud: PointCloud, camera: Cameras, problem: Problem, motion: Float[Array, "m 3"]) -> SceneFlow:
    """The scene flow of all points from the motion of those in the problem; the rest keeps still.

    Args:
      cloud: all points.
      camera: the input camera, in which `cloud.pixels` counts.
      problem: the solved problem.
      motion: its solution, world units per frame.
    """
    complete = np.zeros(np.shape(cloud.points), np.float32)
    complete[np.asarray(problem.index)] = np.asarray(motion)
    return SceneFlow(points=cloud.points, motion=complete, mask=cloud.mask, pixels=cloud.pixels, camera=camera)


class Grid(NamedTuple):
    """The scene flow on the pixels of the input view; depth 0 where nothing moves."""

    slope: Float[jax.Array, "hw 3"]
    """Motion per unit of depth."""
    depth: Float[jax.Array, " hw"]
    camera: Cameras


def grid_of(flow: SceneFlow) -> Grid:
    """The scene flow as a look-up table."""
    size = flow.camera.width * flow.camera.height
    _, z = project(flow.camera, flow.points)
    moving = jnp.asarray(flow.mask) > 0
    slot = jnp.where(moving, jnp.asarray(flow.pixels), size)
    slope = jnp.zeros((size, 3), jnp.float32).at[slot].set(flow.motion / z[:, None], mode="drop")
    return Grid(slope, jnp.zeros(size, jnp.float32).at[slot].set(z, mode="drop"), flow.camera)


def look_up(
    grid: Grid, x: Float[Array, "m 3"], surface: Float[Array, " m"]
) -> tuple[Float[jax.Array, "m 3"], Float[jax.Array, " m"]]:
    """Motion at x, and the depth of the surface that it was read from (`surface` again where there is none).

    Bilinear over the cells that move and pass the depth gate; positions beyond the image use its border. A point before
    or behind the surface moves like the point of the surface on the same ray, scaled with its own depth: both show the
    same image motion, so content that floats off a slanted surface keeps the speed that its flow asks for.
    """
    width, height = grid.camera.width, grid.camera.height
    pixels, z = project(grid.camera, x)
    ahead = (z > 0) & jnp.isfinite(pixels).all(axis=-1)
    p = jnp.where(ahead[:, None], pixels, 0.5) - 0.5
    p = jnp.clip(p, 0, jnp.array([[width - 1, height - 1]], jnp.float32))
    corner = jnp.minimum(jnp.floor(p), jnp.array([[width - 2, height - 2]], jnp.float32))
    total = jnp.zeros((len(x), 4), jnp.float32)
    share = jnp.zeros(len(x), jnp.float32)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        tap = corner + jnp.array([[dx, dy]], jnp.float32)
        tent = jnp.prod(jnp.maximum(1 - jnp.abs(p - tap), 0), axis=-1)
        cell = tap[:, 1].astype(jnp.int32) * width + tap[:, 0].astype(jnp.int32)
        depth = grid.depth[cell]
        near = (depth < DEPTH_GATE * surface) & (surface < DEPTH_GATE * depth)
        tent = jnp.where(near & ahead, tent, 0)
        total += tent[:, None] * jnp.concatenate([grid.slope[cell], depth[:, None]], axis=-1)
        share += tent
    found = share > 0
    mean = total / jnp.where(found, share, 1)[:, None]
    return mean[:, :3] * jnp.where(ahead, z, 0)[:, None], jnp.where(found, mean[:, 3], surface)


@jax.jit
def query(scene_flow: SceneFlow, x: Float[Array, "m 3"]) -> Float[jax.Array, "m 3"]:
    """Motion at any world position, world units per frame.

    A 2.5D look-up: x is projected into the input view and reads the four pixels around it, as far as they move and lie
    on a surface near its own depth (`DEPTH_GATE`); what floats off the surface shows the same image motion as the
    surface. Elsewhere the scene stands still. Beyond the border of the image the nearest pixel inside counts, so that
    clouds drift on out of the frame instead of piling up at its edge.
    """
    x = jnp.asarray(x)
    motion, _ = look_up(grid_of(scene_flow), x, project(scene_flow.camera, x)[1])
    return motion
