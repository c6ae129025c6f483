"""3D-MOM, and the videos that follow from it (paper §3.2.2 and §3.3)."""

import dataclasses
import logging
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from mom3d_jax.animation import animate, choose_views, from_videos, join, parse_views
from mom3d_jax.cameras import select
from mom3d_jax.cameras.generation import INPUT_VIEW
from mom3d_jax.inputs import find_files, read_video
from mom3d_jax.motion3d import Priors, as_solved, assemble, build_problem, motion_report, project_flow, solve
from mom3d_jax.stages.external import ask_videos
from mom3d_jax.stages.job import Job, solver_options
from mom3d_jax.types import Flows, Frames, PointCloud, SceneFlow, Views

log = logging.getLogger(__name__)


def motion3d(job: Job, cloud: PointCloud, views: Views, flows: Flows) -> tuple[SceneFlow, dict]:
    """Flows of all views → one 3D motion per point."""
    settings = job.config.motion3d
    problem, counts = build_problem(
        cloud,
        views,
        flows,
        loss=settings.loss,
        nuisance=settings.nuisance,
        priors=Priors(**settings.priors.to_dict()),
        noise=settings.noise,
    )
    motion, report = solve(problem, settings.solver, **solver_options(job.config))
    result = assemble(cloud, select(views.cameras, INPUT_VIEW), problem, motion)
    figures = {**counts, **motion_report(as_solved(problem, report), motion), **report}
    return result, {"motion": figures}


def animation(job: Job, views: Views, flows: Flows, scene_flow: SceneFlow) -> tuple[Frames, dict]:
    """Projected scene flow, or own flows → videos of the sampled views, but for those that somebody else animated.

    Raises:
      ValueError: videos that do not fit, or `animation.flow="per_view"` where no view has a flow of its own; one line.
    """
    c = job.config
    theirs = _video_files(job, views)
    own = c.animation.flow == "per_view"
    sampled, replaced = _sampled(c.animation.views, views, np.asarray(flows.weight) > 0 if own else None, theirs)
    order = [*sampled, *(v for v in theirs if v not in sampled)]
    ours = [v for v in order if v not in theirs]
    # First theirs: what is wrong with a file is said before anything long begins. What they show is not known; the
    # scene flow is what they were asked to show.
    videos, read = from_videos(
        views,
        project_flow(scene_flow, views, list(theirs)),
        list(theirs),
        _read_videos(theirs, c.time.frames, np.shape(views.masks)[:0:-1]),
        frames=c.time.frames,
    )
    flow = np.asarray(flows.flow)[np.asarray(ours, int)] if own else project_flow(scene_flow, views, ours)
    clips, external = ask_videos(job, views, flow, ours)
    if clips is not None:
        result, report = from_videos(views, flow, ours, clips, frames=c.time.frames)
    else:
        result, report = animate(
            views,
            flow,
            ours,
            frames=c.time.frames,
            crossfade=c.time.crossfade,
            torn=tuple(c.time.torn),
            rule="loop" if c.time.field == "loop" else "fill",
        )
    shares = [*zip(ours, report["valid_share"], strict=True), *zip(theirs, read["valid_share"], strict=True)]
    figures = {
        "views": order,
        "replaced": replaced,
        "views_from_files": list(theirs),
        "hole_share": [float(np.mean(h)) for h in report.get("hole_share", ())],
        "still_l1": [*report.get("still_l1", ()), *read["still_l1"]],
        "valid_share": [float(dict(shares)[v]) for v in order],
        **external,
    }
    if theirs:
        result = join(result, videos, order)
    return result, {"animation": figures}


def _sampled(
    asked: str, views: Views, known: Bool[np.ndarray, " v"] | None, theirs: Collection[int]
) -> tuple[list[int], dict[str, int]]:
    """The views of the videos, and what is shown in the place of those that cannot be.

    Args:
      asked: `animation.views`.
      views: of the pipeline.
      known: views with a flow of their own, where the videos are to show that; None where they show the scene flow.
      theirs: views that somebody else animated, which need no flow.

    Raises:
      ValueError: no view has a flow of its own.
    """
    accepted = np.asarray(views.accepted) > 0
    usable = accepted.copy()
    if known is not None:
        usable &= known | np.isin(np.arange(len(accepted)), list(theirs))
        if not usable.any() and accepted.any():
            raise ValueError(
                "animation.flow='per_view', but no view has a flow of its own: draw arrows on what moves, or take "
                "--config.animation.flow=scene_flow"
            )
    sampled, replaced = choose_views(dataclasses.replace(views, accepted=usable), asked)
    for view, other in replaced.items():
        why = f"no flow of view {view} is known" if accepted[int(view)] else f"too little of view {view} is covered"
        log.warning("%s; view %d is animated in its place", why, other)
    if parse_views(asked, len(accepted)) is None and (left := np.flatnonzero(accepted & ~usable).tolist()):
        log.warning("no flow of views %s is known; they are not animated", ", ".join(map(str, left)))
    return sampled, replaced


def _video_files(job: Job, views: Views) -> dict[int, Path]:
    """Videos that somebody else made of accepted views."""
    accepted, usable = np.asarray(views.accepted), {}
    for view, file in find_files(job.source).videos.items():
        if view >= len(accepted):
            raise ValueError(f"{file}: there is no view {view}, only 0 to {len(accepted) - 1}; rename it, or remove it")
        if accepted[view]:
            usable[view] = file
        else:
            log.warning("%s: too little of view %d is covered; its video is not used", file, view)
    return usable


def _read_videos(files: dict[int, Path], frames: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """One after the other: a video takes as much memory as its views together."""
    for file in files.values():
        video, notes = read_video(file, frames, size)
        for note in notes:
            log.warning("%s", note)
        yield video
