"""From views and their flows to a `Problem`: which point sees which motion where."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from mom3d_jax.cameras import project, select
from mom3d_jax.motion3d.losses import LOSSES, NOISE
from mom3d_jax.motion3d.normals import surface_normals
from mom3d_jax.motion3d.nuisance import NUISANCES
from mom3d_jax.motion3d.priors import PLAIN, Priors
from mom3d_jax.motion3d.problem import Problem
from mom3d_jax.types import Array, Cameras, Flows, PointCloud, Views


def sample(
    image: Float[Array, "h w c"], known: Bool[Array, "h w"], pixels: Float[Array, "n 2"]
) -> tuple[Float[jax.Array, "n c"], Float[jax.Array, " n"]]:
    """Bilinear look-up over the known taps only, and the share of the tent they hold (pixel k centred at k + 0.5)."""
    height, width = known.shape
    p = jnp.asarray(pixels) - 0.5
    corner = jnp.floor(p)
    value = jnp.zeros((len(p), image.shape[-1]), jnp.float32)
    share = jnp.zeros(len(p), jnp.float32)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        tap = corner + jnp.array([[dx, dy]], jnp.float32)
        tent = jnp.prod(1 - jnp.abs(p - tap), axis=-1)
        column = jnp.clip(tap[:, 0], 0, width - 1).astype(jnp.int32)
        row = jnp.clip(tap[:, 1], 0, height - 1).astype(jnp.int32)
        tent = jnp.where(known[row, column], tent, 0)
        value += tent[:, None] * image[row, column]
        share += tent
    return value / jnp.maximum(share, 1e-9)[:, None], share


@jax.jit
def _observe(
    cameras: Cameras,
    points: Float[Array, "n 3"],
    flow: Float[Array, "v h w 2"],
    known: Bool[Array, "v h w"],
) -> tuple[Float[jax.Array, "v n 2"], Float[jax.Array, "v n"]]:
    """The flow under each point in each view, and the share of it that is known (0 out of bounds)."""

    def view(args: tuple[Cameras, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        camera, flow, known = args
        pixels, z = project(camera, points)
        inside = _inside(camera, pixels, z)
        target, share = sample(flow, known, jnp.where(inside[:, None], pixels, 0))
        return jnp.where(inside[:, None], target, 0), jnp.where(inside, share, 0)

    return jax.lax.map(view, (cameras, flow, known))


@jax.jit
def _population(cameras: Cameras, points: Float[Array, "n 3"]) -> Float[jax.Array, " v"]:
    """How many points are in front of and in the bounds of each view."""
    return jax.lax.map(lambda c: _inside(c, *project(c, points)).sum(dtype=jnp.float32), cameras)


def _inside(camera: Cameras, pixels: jax.Array, z: jax.Array) -> jax.Array:
    low = (pixels >= 0).all(axis=-1)
    return low & (pixels[:, 0] < camera.width) & (pixels[:, 1] < camera.height) & (z > 0)


def mutual_neighbours(neighbours: Int[Array, "n k"], keep: Int[Array, " m"]) -> Int[np.ndarray, "m k"]:
    """The graph among the kept points, in their own numbering, with one-way edges cut (it must be symmetric)."""
    neighbours = np.asarray(neighbours)
    number = np.full(len(neighbours) + 1, -1)
    number[keep] = np.arange(len(keep))
    own = np.arange(len(keep))[:, None]
    inner = number[neighbours[keep]]
    inner = np.where(inner < 0, own, inner)
    back = (inner[inner] == own[..., None]).any(axis=-1)
    return np.where(back, inner, own).astype(np.int32)


def build_problem(
    cloud: PointCloud,
    views: Views,
    flows: Flows,
    *,
    loss: str = "l1",
    nuisance: str = "none",
    priors: Priors = PLAIN,
    noise: float = NOISE,
) -> tuple[Problem, dict[str, int]]:
    """State the 3D-MOM problem of the moving points.

    The target of a point is the view's flow, bilinear over the taps inside the view's mask: a tap outside it belongs to
    something else and says nothing about a moving point. Points that do not move, or that no view says anything about,
    are left out (`Problem.index` gives the rest their place in the cloud) and keep zero motion.

    Args:
      cloud: all points.
      views: cameras, masks and z-buffered visibility of the same points.
      flows: Eulerian flow of the same views, px per frame; NaN is masked.
      loss: a key of `LOSSES`.
      nuisance: one of `NUISANCES`.
      priors: what is known of the motion besides the flows.
      noise: standard deviation of the flows, px per axis.

    Returns:
      The problem, and counts for the report: `points`, `unseen_points` (moving, but seen by no view), `silent_views`
      (without any observation), `nan_flow_pixels`, `points_without_normal`.

    Raises:
      ValueError: an unknown loss or nuisance model, or flows and views of different shape.
    """
    for name, value, known in (("loss", loss, LOSSES), ("nuisance", nuisance, NUISANCES)):
        if value not in known:
            raise ValueError(f"unknown {name} {value!r}; known: {', '.join(known)}")
    if np.shape(flows.flow)[:3] != np.shape(views.masks):
        raise ValueError(f"flow {np.shape(flows.flow)} does not fit the views' masks {np.shape(views.masks)}")
    finite = np.asarray(np.isfinite(flows.flow).all(axis=-1))
    flow = np.where(finite[..., None], flows.flow, 0).astype(np.float32)
    moving = np.flatnonzero(np.asarray(cloud.mask) > 0)
    points = np.asarray(cloud.points, np.float32)
    target, share = _observe(views.cameras, points[moving], flow, finite & (np.asarray(views.masks) > 0))
    view_weight = np.asarray(flows.weight, np.float32) * np.asarray(views.accepted, np.float32)
    weight = np.asarray(share) * np.asarray(views.visible)[:, moving] * np.asarray(cloud.mask)[moving]
    weight = (weight * view_weight[:, None]).astype(np.float32)
    seen = weight.sum(axis=0) > 0
    index = moving[seen]
    reference = input_view(views.cameras)
    normals = surface_normals(select(views.cameras, reference), points, cloud.neighbours)[index]
    problem = Problem(
        points=points[index],
        cameras=views.cameras,
        target=np.asarray(target)[:, seen],
        weight=weight[:, seen],
        neighbours=mutual_neighbours(cloud.neighbours, index),
        population=np.asarray(_population(views.cameras, points)),
        index=index.astype(np.int32),
        normals=normals,
        priors=priors,
        noise=noise,
        reference=reference,
        loss=loss,
        nuisance=nuisance,
    )
    counts = {
        "points": len(index),
        "unseen_points": len(moving) - len(index),
        "silent_views": int((weight.sum(axis=1) == 0).sum()),
        "nan_flow_pixels": int((~finite).sum()),
        "points_without_normal": int((normals == 0).all(axis=1).sum()),
    }
    return problem, counts


def input_view(cameras: Cameras) -> int:
    """The view at the pose of the input camera, or the nearest to it: the world is the input camera's own frame."""
    turn = np.linalg.norm(np.asarray(cameras.rotation) - np.eye(3), axis=(-2, -1))
    return int(np.argmin(turn + np.linalg.norm(cameras.translation, axis=-1)))
