"""From files to the photo seen from all sides, with its flow: paper §3.1 and §3.2."""

import numpy as np
from absl import logging

from mom3d_jax.cameras import generation_cameras
from mom3d_jax.cameras.generation import INPUT_VIEW
from mom3d_jax.depth import estimate_depth
from mom3d_jax.flow import estimate_flow
from mom3d_jax.inputs import load_scene
from mom3d_jax.pointcloud import lift
from mom3d_jax.stages.job import Job
from mom3d_jax.types import Depth, Flows, PointCloud, Scene, Views
from mom3d_jax.views import carry_flow, rasterize, render_views


def scene(job: Job) -> tuple[Scene, dict]:
    """Files → image, mask and hints at working size."""
    result = load_scene(job.source, job.config.size.width)
    for note in result.notes:
        logging.warning("%s", note)
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
    """Image → positive z."""
    result = estimate_depth(scene, job.camera(scene.image))
    z = np.asarray(result.z)
    figures = {
        "source": result.source,
        "scale": float(result.scale),
        "median": float(np.median(z)),
        "far": float(np.percentile(z, 99)),
        "sky_share": float(np.mean(result.sky)),
    }
    return result, {"depth": figures}


def pointcloud(job: Job, scene: Scene, depth: Depth) -> tuple[PointCloud, dict]:
    """Φ2→3: every pixel becomes a point."""
    result = lift(scene, depth, job.camera(scene.image), edge_ratio=job.config.pointcloud.edge_ratio)
    return result, {"pointcloud": {"points": len(result.points), "removed": result.removed}}


def views(job: Job, scene: Scene, depth: Depth, cloud: PointCloud) -> tuple[Views, dict]:
    """Φ3→2: the points seen from the generation cameras."""
    camera = job.camera(scene.image)
    poses = generation_cameras(camera, depth.z, preset=job.config.views.preset)
    result = render_views(cloud, poses, scene, camera, min_coverage=job.config.views.min_coverage)
    rejected = np.flatnonzero(~np.asarray(result.accepted)).tolist()
    if rejected:
        logging.warning("too little of views %s is covered; they weigh nothing", ", ".join(map(str, rejected)))
    coverage = [round(float(c), 4) for c in result.coverage]
    return result, {"views": {"coverage": coverage, "rejected": rejected}}


def flow(job: Job, scene: Scene, cloud: PointCloud, views: Views) -> tuple[Flows, dict]:
    """Hints or a flow file → Eulerian flow of every view."""
    carried = None
    if scene.flow is not None:
        carried = carry_flow(rasterize(cloud, views.cameras, job.camera(scene.image)), scene.flow)
    result = estimate_flow(scene, views, carried)
    speed = np.linalg.norm(np.asarray(result.flow[INPUT_VIEW]), axis=-1)
    moving = speed > 0
    figures = {
        "source": "hints" if scene.flow is None else "file",
        "views_without_motion": int(np.sum(np.asarray(result.weight) == 0)),
        "mean_px": float(speed[moving].mean()) if moving.any() else 0.0,
        "max_px": float(speed.max()),
    }
    return result, {"flow": figures}
