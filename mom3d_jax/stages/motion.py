"""3D-MOM, and the videos that follow from it (paper §3.2 and §3.3)."""

import numpy as np

from mom3d_jax.animation import animate
from mom3d_jax.cameras import select
from mom3d_jax.cameras.generation import INPUT_VIEW
from mom3d_jax.motion3d import assemble, build_problem, motion_report, project_flow, solve
from mom3d_jax.stages.job import Job, solver_options
from mom3d_jax.types import Flows, Frames, PointCloud, SceneFlow, Views


def motion3d(job: Job, cloud: PointCloud, views: Views, flows: Flows) -> tuple[SceneFlow, dict]:
    """Flows of all views → one 3D motion per point."""
    problem, counts = build_problem(cloud, views, flows)
    settings = job.config.motion3d
    motion, report = solve(problem, settings.solver, **solver_options(job.config))
    result = assemble(cloud, select(views.cameras, INPUT_VIEW), problem, motion)
    figures = {**counts, **motion_report(problem, motion), **report}
    return result, {"motion": figures}


def animation(job: Job, views: Views, scene_flow: SceneFlow) -> tuple[Frames, dict]:
    """Projected scene flow → videos of the sampled views."""
    c = job.config
    sampled, replaced = _sampled_views(views, c.animation.views)
    flow = project_flow(scene_flow, views, sampled)
    rule = "loop" if c.time.field == "loop" else "fill"
    result, report = animate(views, flow, sampled, frames=c.time.frames, crossfade=c.time.crossfade, rule=rule)
    figures = {
        "views": sampled,
        "replaced": replaced,
        "hole_share": [float(np.mean(h)) for h in report["hole_share"]],
        "valid_share": [float(s) for s in report["valid_share"]],
    }
    return result, {"animation": figures}


def _sampled_views(views: Views, asked: tuple[int, ...]) -> tuple[list[int], dict[str, int]]:
    """The views to animate: those asked for, a rejected one replaced by the nearest accepted one."""
    accepted = np.flatnonzero(np.asarray(views.accepted))
    look = np.asarray(views.cameras.rotation)[:, 2]
    sampled, replaced = [], {}
    for view in asked:
        if not 0 <= view < len(look):
            raise ValueError(f"animation.views names view {view}, there are views 0 to {len(look) - 1}")
        nearest = int(accepted[np.argmax(look[accepted] @ look[view])]) if view not in accepted else view
        if nearest != view:
            replaced[str(view)] = nearest
        if nearest not in sampled:
            sampled.append(nearest)
    return sampled, replaced
