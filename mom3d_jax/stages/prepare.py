"""From files to the photo seen from all sides, with its flow: paper §3.1 and §3.2.1."""

import dataclasses
import logging

import numpy as np

from mom3d_jax.cameras import generation_cameras
from mom3d_jax.cameras.generation import INPUT_VIEW
from mom3d_jax.depth import detect_sky, estimate_depth
from mom3d_jax.flow import (
    Velocities,
    approach,
    choose_interpolation,
    cross_validate,
    estimate_flow,
    lift_hints,
    taper,
    width_of,
)
from mom3d_jax.inputs import find_files, load_scene
from mom3d_jax.pointcloud import lift
from mom3d_jax.stages.external import with_depth, with_view_flows
from mom3d_jax.stages.job import Job, rig_of
from mom3d_jax.types import Depth, Flows, PointCloud, Scene, Views
from mom3d_jax.views import carry, carry_flow, rasterize, render_views

log = logging.getLogger(__name__)


def scene(job: Job) -> tuple[Scene, dict]:
    """Files → image, mask and hints at working size."""
    result = load_scene(job.source, job.config.size.width, detect_sky=detect_sky)
    for note in result.notes:
        log.warning("%s", note)
    height, width = np.shape(result.mask)
    figures = {
        "name": result.name,
        "width": width,
        "height": height,
        "moving_share": float(np.mean(result.mask)),
        "hints": len(result.hints.valid),
        "notes": list(result.notes),
    }
    return result, {"scene": figures}


def depth(job: Job, scene: Scene) -> tuple[Depth, dict]:
    """Image → positive z, by the landscape prior, a file or somebody else's model."""
    scene, external = with_depth(job, scene)
    result = estimate_depth(scene, job.camera(scene.image), normalize=job.config.depth.normalize)
    if job.model and "external" in external:
        result = dataclasses.replace(result, source=job.model.name)
    z = np.asarray(result.z)
    figures = {
        "source": result.source,
        "scale": float(result.scale),
        "median": float(np.median(z)),
        "far": float(np.percentile(z, 99)),
        "sky_share": float(np.mean(result.sky)),
        **external,
    }
    return result, {"depth": figures}


def pointcloud(job: Job, scene: Scene, depth: Depth) -> tuple[PointCloud, dict]:
    """Φ2→3: every pixel becomes a point."""
    result = lift(scene, depth, job.camera(scene.image), edge_ratio=job.config.pointcloud.edge_ratio)
    return result, {"pointcloud": {"points": len(result.points), "snapped": result.snapped}}


def views(job: Job, scene: Scene, depth: Depth, cloud: PointCloud) -> tuple[Views, dict]:
    """Φ3→2: the points seen from the generation cameras."""
    c, camera = job.config, job.camera(scene.image)
    poses = generation_cameras(camera, depth.z, rig_of(c))
    result = render_views(
        cloud, poses, scene, camera, min_coverage=c.views.min_coverage, edge_ratio=c.pointcloud.edge_ratio
    )
    rejected = np.flatnonzero(~np.asarray(result.accepted)).tolist()
    if rejected:
        log.warning("too little of views %s is covered; they weigh nothing", ", ".join(map(str, rejected)))
    coverage = [round(float(c), 4) for c in result.coverage]
    return result, {"views": {"coverage": coverage, "rejected": rejected}}


def flow(job: Job, scene: Scene, depth: Depth, cloud: PointCloud, views: Views) -> tuple[Flows, dict]:
    """Hints, files or another's model → Eulerian flow of every view, fading where content goes on past the mask."""
    edge_ratio = job.config.pointcloud.edge_ratio
    own = _flow_files(job, views)
    scene, external = with_view_flows(job, scene, views)
    raster = rasterize(cloud, views.cameras, job.camera(scene.image), edge_ratio=edge_ratio)
    carried = None
    if scene.flow is not None:
        carried = carry_flow(raster, scene.flow, approach(scene.flow, scene.mask, depth.z))
    # Where a model has answered, hints have no say.
    arrows, chosen = (None, {}) if "external" in external else _arrows(job, scene, depth)
    result = estimate_flow(scene, views, carried, sigma=job.config.flow.sigma or None, arrows=arrows)
    fading = taper(
        result.flow[INPUT_VIEW],
        scene.mask,
        depth.z,
        beyond=(scene.view_flows or {}).get(str(INPUT_VIEW), scene.flow),
        max_width=job.config.flow.taper_width,
        edge_ratio=edge_ratio,
    )
    weights, _ = carry(raster, fading[..., None])
    result = dataclasses.replace(result, flow=np.asarray(result.flow) * np.clip(weights, 0, 1))
    speed = np.linalg.norm(result.flow[INPUT_VIEW], axis=-1)
    moving = speed > 0
    source = "file" if scene.flow is not None else "hints" if np.any(scene.hints.valid) else "none"
    figures = {
        "source": job.model.name if job.model and "external" in external else source,
        **chosen,
        "views_from_files": own,
        "views_without_motion": int(np.sum(np.asarray(result.weight) == 0)),
        "mean_px": float(speed[moving].mean()) if moving.any() else 0.0,
        "max_px": float(speed.max()),
        "tapered_share": float(np.mean((fading < 1) & (np.asarray(scene.mask) > 0))),
        **external,
    }
    return result, {"flow": figures}


def _arrows(job: Job, scene: Scene, depth: Depth) -> tuple[Velocities | None, dict]:
    """The hints in space where they are to be spread there, and how well each interpolation predicts them, px."""
    c, camera = job.config.flow, job.camera(scene.image)
    if scene.flow is not None or not np.any(scene.hints.valid):
        return None, {}
    arrows = lift_hints(scene.hints, scene.mask, depth.z, camera)
    errors = cross_validate(scene.hints, arrows, camera, width_of(scene, c.sigma or None))
    name = choose_interpolation(errors) if c.interpolation == "auto" else c.interpolation
    return (arrows if name == "space" else None), {"interpolation": name, "hint_error_px": errors}


def _flow_files(job: Job, views: Views) -> list[int]:
    """The views that have a flow file of their own."""
    files, accepted = find_files(job.source).view_flows, np.asarray(views.accepted)
    for view, file in files.items():
        if view >= len(accepted):
            raise ValueError(f"{file}: there is no view {view}, only 0 to {len(accepted) - 1}; rename it, or remove it")
        if not accepted[view]:
            log.warning("%s: too little of view %d is covered; its flow weighs nothing", file, view)
    return list(files)
