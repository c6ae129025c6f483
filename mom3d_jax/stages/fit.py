"""The two training stages and the displacement table between them (paper §3.3)."""

import dataclasses
import functools
import logging
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float
from ml_collections import ConfigDict

from mom3d_jax import measure, training
from mom3d_jax.cameras import heldout_cameras
from mom3d_jax.deformation import Dynamics, initialize
from mom3d_jax.gaussians import from_points
from mom3d_jax.motion3d import displacements as integrate
from mom3d_jax.motion3d import transferred
from mom3d_jax.render import Drawer, bucket, choose_backend, needed_capacity, self_check
from mom3d_jax.stages.job import Job, rig_of
from mom3d_jax.stages.wider import Wider, start_from, wider_scene
from mom3d_jax.types import Cameras, Depth, Displacements, Frames, Gaussians, PointCloud, Scene, SceneFlow, Views
from mom3d_jax.views import render_views

log = logging.getLogger(__name__)


def stage1(job: Job, scene: Scene, depth: Depth, cloud: PointCloud, views: Views) -> tuple[dict, dict]:
    """Fit the static scene to the generation views."""
    c, mesh = job.config, training.make_mesh(job.config.devices)
    camera = job.camera(scene.image)
    wider, more = wider_scene(job, scene, cloud, views)
    start, pixel_size, anchors = _start(c, cloud, camera, wider)
    settings = c.stage1
    if wider and wider.ready and not c.scene.fit:
        settings = ConfigDict({**settings.to_dict(), "steps": 0})
    frozen = training.Frozen(alive=start.alive, pixel_size=pixel_size, dynamics=None, movable=start.movable)
    view = training.StaticView(backend_name(c))
    capacity = _capacity(start, views)
    state, report = _train(job, "stage1", settings, view, start, {}, frozen, training.still_pool(views), mesh, capacity)
    fitted = jax.device_get(training.scene_gaussians(state.params, frozen))
    heldout = render_views(
        cloud,
        heldout_cameras(camera, depth.z, rig_of(c)),
        scene,
        camera,
        min_coverage=0.0,
        edge_ratio=c.pointcloud.edge_ratio,
    )
    drawer = Drawer(mesh, report.capacity, view.backend)
    train, unseen = (measure.pool_psnr(measure.still(fitted), drawer, training.still_pool(v)) for v in (views, heldout))
    figures = {
        "steps": report.steps,
        "skipped_steps": report.skipped,
        "culled_gaussians": report.culled,
        "losses": [None if loss is None else round(loss, 6) for loss in report.losses],
        "gaussians": int(np.sum(fitted.alive)),
        "movable": int(np.sum(fitted.alive[: fitted.movable])),
        "train_psnr_valid": float(np.mean(train)),
        "train_psnr_valid_min": float(np.min(train)),
        "heldout_psnr_valid": float(np.mean(unseen)),
        "valid_share": measure.valid_share(cloud, views),
        "intersections_capacity": report.capacity,
        **({"wider": more} if more else {}),
    }
    return {"gaussians": fitted, "pixel_size": pixel_size, **anchors}, {"stage1": figures}


def _start(
    c: ConfigDict, cloud: PointCloud, camera: Cameras, wider: Wider | None
) -> tuple[Gaussians, Float[np.ndarray, " n"], dict[str, np.ndarray]]:
    """Gaussians before they are fitted, their step lengths, and what foreign ones among them travel with."""
    own, steps = from_points(
        cloud,
        camera,
        sh_degree=c.gaussians.sh_degree,
        opacity=c.gaussians.opacity,
        extent=c.gaussians.extent,
        footprint=c.gaussians.footprint,
        unit=c.gaussians.unit,
    )
    return start_from(wider, own, steps, cloud, camera, c.gaussians.unit) if wider else (own, steps, {})


def displacements(job: Job, scene_flow: SceneFlow, static: dict) -> tuple[Displacements, dict]:
    """Carry the movable Gaussians through the scene flow, once."""
    g: Gaussians = static["gaussians"]
    c = job.config.displacements
    table = integrate(
        scene_flow,
        g.means[: g.movable],
        frames=job.config.time.frames,
        integration=c.integration,
        flow_scale=c.flow_scale,
    )
    if "anchors" in static:
        table = transferred(
            table,
            scene_flow,
            static["anchors"],
            static["anchor_weights"],
            integration=c.integration,
            flow_scale=c.flow_scale,
        )
    return jax.device_get(table), {}


def stage2(job: Job, views: Views, frames: Frames, static: dict, table: Displacements) -> tuple[dict, dict]:
    """Fit the moving scene to the videos of the sampled views."""
    c, mesh = job.config, training.make_mesh(job.config.devices)
    start: Gaussians = static["gaussians"]
    dynamics, residual = dynamics_of(c, static, table)
    frozen = training.Frozen(
        alive=start.alive, pixel_size=static["pixel_size"], dynamics=dynamics, movable=start.movable
    )
    view = training.DynamicView(c.time.field, backend_name(c))
    pool = training.video_pool(views, frames)
    # Three copies of the movable Gaussians at most, and none of them larger than in the static scene to speak of.
    capacity = bucket(int(2 * _capacity(start, views)))
    state, report = _train(job, "stage2", c.stage2, view, start, residual, frozen, pool, mesh, capacity)
    fitted = jax.device_get(training.scene_gaussians(state.params, frozen))
    residual = jax.device_get(state.params["residual"])
    in_mask = dataclasses.replace(frames, valid=np.asarray(frames.valid) * np.asarray(frames.masks))
    # A view that does not show the moving content has no say.
    masked = measure.pool_psnr(
        measure.moving(fitted, dynamics, residual, c.time.field),
        Drawer(mesh, report.capacity, view.backend),
        training.video_pool(views, in_mask).where(lambda p: (p.frame > 0) & (p.valid.max((1, 2)) > 0)[p.view]),
    )
    figures = {
        "steps": report.steps,
        "skipped_steps": report.skipped,
        "culled_gaussians": report.culled,
        "losses": [None if loss is None else round(loss, 6) for loss in report.losses],
        "train_psnr_masked": float(np.mean(masked)) if masked else None,
        "train_psnr_masked_min": float(np.min(masked)) if masked else None,
        "intersections_capacity": report.capacity,
    }
    return {"gaussians": fitted, "residual": residual}, {"stage2": figures}


def dynamics_of(c: ConfigDict, static: dict, table: Displacements) -> tuple[Dynamics, dict]:
    """The dynamics of a scene and its residual's initial parameters, the same whenever they are asked for."""
    return initialize(
        jax.random.key(c.seed),
        static["gaussians"],
        table,
        static["pixel_size"],
        crossfade=c.time.crossfade,
        inclusive=c.time.inclusive,
        ramp=c.deformation.ramp,
        torn=tuple(c.time.torn),
        coordinates=c.deformation.coordinates,
        residual=c.deformation.residual,
        residual_options=c.deformation.options[c.deformation.residual].to_dict(),
    )


def backend_name(c: ConfigDict) -> str:
    """The rasterizer backend that the config asks for."""
    return choose_backend(None if c.rasterizer == "auto" else c.rasterizer)


@functools.cache
def check_rasterizer(backend: str) -> None:
    """Compare the backend with the reference on a tiny scene, once per process, and say so in the log.

    Raises:
      ValueError: it does not agree.
    """
    report = self_check(backend)
    found = f"deviates by {report['image']:.1e} in the image and {report['gradients']:.1e} in the gradients"
    if not report["passed"]:
        raise ValueError(
            f"rasterizer backend {backend!r} {found} from the reference on this machine: "
            "take another with --config.rasterizer"
        )
    log.info("rasterizer %s %s from the reference (%.1f s)", backend, found, report["seconds"])


def _train(
    job: Job,
    name: str,
    settings: ConfigDict,
    view: training.View,
    start: Gaussians,
    residual: dict,
    frozen: training.Frozen,
    pool: training.Pool,
    mesh: Mesh,
    capacity: int,
) -> tuple[training.TrainState, training.FitReport]:
    check_rasterizer(view.backend)
    log.info("%s: %d images, %d device(s)", name, len(pool), mesh.size)
    optimizer = training.make_optimizer(
        settings.rates.to_dict(), settings.decay_steps or settings.steps, adam=tuple(settings.adam)
    )
    if not settings.valid_only:
        pool = pool.everywhere()

    def step_for(room: int) -> Callable:
        return training.make_step(
            view,
            optimizer,
            mesh,
            capacity=room,
            ssim_weight=settings.ssim_weight,
            sh_rest_share=settings.sh_rest_share,
            sh_every=settings.sh_every,
        )

    return training.fit(
        name,
        training.new_state(start, residual, optimizer),
        frozen,
        pool,
        step_for,
        mesh,
        steps=settings.steps,
        batch=settings.batch * mesh.size,
        capacity=capacity,
        seed=job.config.seed,
        checkpoints=training.Checkpoints(job.workdir / "checkpoints" / name),
        key=job.key,
        checkpoint_every=settings.checkpoint_every,
    )


def _capacity(start: Gaussians, views: Views) -> int:
    """Room for the fullest generation view with a quarter to grow."""
    return bucket(int(1.25 * int(needed_capacity(start, views.cameras))))
