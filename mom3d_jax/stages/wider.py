"""Somebody else's static scene, from files or a model: in the place of our own Gaussians, or beside them.

A ready `gsplat.ply` takes their place; a cloud adds what the photo does not show. What of it moves is said by its own
mask, by masks of views, or by the photo's moving points nearby, and how it moves by the nearest of those (the motion
itself is solved on the photo's points alone).
"""

import dataclasses
import logging
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float

from mom3d_jax.cameras import select
from mom3d_jax.external import Item
from mom3d_jax.gaussians import MOVES, arrange, isotropic, nearest_three
from mom3d_jax.inputs import InputError, SceneFiles, find_files, read_mask
from mom3d_jax.motion3d import anchors_of
from mom3d_jax.pointcloud import beyond_the_photo, lift_new, marked, near_moving, scale_of
from mom3d_jax.stages.external import BUILTIN, ask_model
from mom3d_jax.stages.given import Given, given_by, read_given
from mom3d_jax.stages.job import Job
from mom3d_jax.types import Cameras, Gaussians, PointCloud, Scene, Views

log = logging.getLogger(__name__)

DISAGREEMENT = 0.25
"""From this spread of logarithms on, their depth and ours are told to disagree."""


@dataclasses.dataclass(frozen=True)
class Wider:
    """It in our world."""

    gaussians: Gaussians
    """All alive, in any order."""
    moves: Bool[np.ndarray, " n"]
    ready: bool
    """It is the whole scene; else it belongs beside the photo's own Gaussians."""
    figures: dict[str, Any]


def wider_scene(job: Job, scene: Scene, cloud: PointCloud, views: Views) -> tuple[Wider | None, dict[str, Any]]:
    """What files or a model add to the photo; None where there is nothing.

    Raises:
      ValueError: files that cannot be used, in one line; `ExternalError` for a model.
    """
    files, camera = find_files(job.source), job.camera(scene.image)
    # Not the depth itself: the cloud has its edges mended.
    z = np.zeros((camera.height, camera.width), np.float32)
    z.reshape(-1)[np.asarray(cloud.pixels)] = np.asarray(cloud.points)[:, 2]
    given, figures = _given(job, files, scene, z, views, camera)
    if given is None:
        return None, figures
    scale, spread = _aligned(given, z, camera)
    points = np.float32(scale) * given.points
    beyond, hiding = beyond_the_photo(points, z, camera)
    moves = near_moving(points, cloud, camera) if given.mask is None else np.asarray(given.mask) > 0.5
    if given.gaussians is not None:
        theirs, ready = _scaled(given.gaussians, scale), True
    else:
        assert given.colors is not None
        points, colors, moves = points[beyond], given.colors[beyond], moves[beyond]
        points, colors, moves = _with_images(given, scale, cloud, points, colors, moves)
        beyond, ready = np.ones(len(points), bool), False
        size = nearest_three(points) if len(points) > 3 else np.ones(len(points), np.float32)
        gaussians = job.config.gaussians
        theirs = isotropic(points, colors, size, sh_degree=gaussians.sh_degree, opacity=gaussians.opacity)
    moves = _masked(files, views, points, beyond, moves)
    figures |= {
        "source": given.source,
        "gaussians": len(points),
        "beyond_the_photo": int(beyond.sum()),
        "left_out": 0 if ready else hiding,
        "moving": int(moves.sum()),
        "scale": scale,
        "depth_spread": spread,
    }
    return Wider(theirs, moves, ready, figures), figures


def _given(
    job: Job, files: SceneFiles, scene: Scene, z: Float[np.ndarray, "h w"], views: Views, camera: Cameras
) -> tuple[Given | None, dict[str, Any]]:
    """The static scene of the files, or of the model; and where the latter comes from."""
    if files.gaussians or files.cloud:
        if job.config.scene.model != BUILTIN:
            log.warning("the static scene among the files is used instead of %s", job.config.scene.model)
        return read_given(files), {}
    given, figures = _ask(job, scene, z, views, camera)
    if given is None and files.view_masks:
        log.warning("mask/ speaks of a gsplat.ply or cloud.ply, and there is none; it is not used")
    return given, figures


def _aligned(given: Given, z: Float[np.ndarray, "h w"], camera: Cameras) -> tuple[float, float]:
    """The scale of it, and how far its depth is from ours then."""
    try:
        scale, spread = scale_of(given.surface(), z, camera)
    except ValueError as error:
        raise InputError(f"{given.source}: {error}") from error
    if spread > DISAGREEMENT:
        log.warning(
            "%s: its depth and ours agree within %.0f %% only; give the depth it was made with as depth.npy, or its "
            "focal length as --config.size.focal",
            given.source,
            100 * np.expm1(spread),
        )
    return scale, spread


def start_from(
    wider: Wider, own: Gaussians, own_steps: Float[np.ndarray, " n"], cloud: PointCloud, camera: Cameras, unit: str
) -> tuple[Gaussians, Float[np.ndarray, " rows"], dict[str, np.ndarray]]:
    """Where the static stage starts from.

    Args:
      wider: somebody else's.
      own: the photo's Gaussians.
      own_steps: step length of each.
      cloud: the photo's points.
      camera: the input camera.
      unit: of step lengths, as in `gaussians.from_points`.

    Returns:
      Gaussians at fixed capacity, the step length of each row, and of the movable rows the points they travel with
      (`anchors`, -1 for the photo's own) and their weights.
    """
    theirs = wider.gaussians
    # They may lie behind the camera, where z says nothing about the size of a pixel.
    steps = np.linalg.norm(theirs.means, axis=-1) / float(np.mean(np.asarray(camera.focal)))
    steps = steps if unit == "px" else np.ones_like(steps)
    moves, foreign = wider.moves, np.ones(len(steps), bool)
    if not wider.ready:
        alive = np.flatnonzero(np.asarray(own.alive))
        kept = dataclasses.replace(jax.tree.map(lambda a: np.asarray(a)[alive], own), movable=0)
        theirs = jax.tree.map(lambda *a: np.concatenate(a), kept, theirs)
        steps = np.concatenate([own_steps[alive], steps])
        moves = np.concatenate([alive < own.movable, moves])
        foreign = np.concatenate([np.zeros(len(alive), bool), foreign])
    start, rows = arrange(theirs, moves)
    ahead = rows[: start.movable]
    anchors, weights = anchors_of(start.means[: start.movable], cloud, MOVES)
    anchors = np.where(foreign[ahead][:, None], anchors, -1).astype(np.int32)
    return start, steps[rows].astype(np.float32), {"anchors": anchors, "anchor_weights": weights}


def _ask(
    job: Job, scene: Scene, z: Float[np.ndarray, "h w"], views: Views, camera: Cameras
) -> tuple[Given | None, dict[str, Any]]:
    """The static scene of a model, in the unit of our depth."""
    matrices = np.tile(np.eye(4, dtype=np.float32), (len(views.accepted), 1, 1))
    matrices[:, :3, :3], matrices[:, :3, 3] = views.cameras.rotation, views.cameras.translation
    arrays = {"image": np.clip(np.asarray(scene.image), 0, 1), "mask": np.asarray(scene.mask)}
    arrays |= {"depth": z, "cameras": matrices}
    values = {"focal": np.asarray(camera.focal).tolist(), "centre": np.asarray(camera.centre).tolist()}
    results, figures = ask_model(job, [Item(scene.name, arrays, values)])
    if not results:
        return None, figures
    assert job.model is not None
    (result,) = results
    return given_by(result, job.model.name, camera.width), figures


def _scaled(gaussians: Gaussians, scale: float) -> Gaussians:
    """The same scene in another unit."""
    return dataclasses.replace(
        gaussians,
        means=np.float32(scale) * gaussians.means,
        log_scales=gaussians.log_scales + np.float32(np.log(scale)),
    )


def _with_images(
    given: Given, scale: float, cloud: PointCloud, points: np.ndarray, colors: np.ndarray, moves: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """With points for what its images show beyond the photo and the points that came along; those keep still."""
    if given.images is None or given.cameras is None:
        return points, colors, moves
    cameras = dataclasses.replace(given.cameras, translation=np.float32(scale) * given.cameras.translation)
    more, paint = lift_new(np.concatenate([np.asarray(cloud.points), points]), cameras, given.images, given.new)
    still = np.zeros(len(more), bool)
    return np.concatenate([points, more]), np.concatenate([colors, paint]), np.concatenate([moves, still])


def _masked(files: SceneFiles, views: Views, points: np.ndarray, beyond: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """What moves, where masks of views have a say: on what the photo does not show."""
    height, width = views.masks.shape[1:]
    masks = []
    for view, file in files.view_masks.items():
        if view >= len(views.accepted):
            last = len(views.accepted) - 1
            raise InputError(f"{file}: there is no view {view}, only 0 to {last}; rename it, or remove it")
        mask, notes = read_mask(file, (width, height))
        for note in notes:
            log.warning("%s", note)
        masks.append(mask)
    if not masks:
        return moves
    says, seen = marked(points, select(views.cameras, list(files.view_masks)), np.stack(masks))
    return np.where(seen & beyond, says, moves)
