"""3D-MOM: one 3D motion per point from the Eulerian flows of many views (paper §3.2.2)."""

from mom3d_jax.motion3d.build import build_problem
from mom3d_jax.motion3d.displacements import INTEGRATIONS, displacements
from mom3d_jax.motion3d.losses import LOSSES
from mom3d_jax.motion3d.nuisance import NUISANCES, fit_response
from mom3d_jax.motion3d.objective import (
    gradient,
    jvp,
    loss,
    normal_equations,
    objective,
    point_losses,
    size,
    vjp,
)
from mom3d_jax.motion3d.priors import Priors
from mom3d_jax.motion3d.problem import (
    Problem,
    image_motion,
    predict,
    radial_observed,
    residuals,
    viewing_rays,
)
from mom3d_jax.motion3d.projected import project_flow
from mom3d_jax.motion3d.report import as_solved, consistency_epe, motion_report, residual_l1_ratio
from mom3d_jax.motion3d.scene_flow import assemble, query
from mom3d_jax.motion3d.solvers import SOLVERS, make_solver, solve
from mom3d_jax.motion3d.transfer import anchors_of, transferred

__all__ = [
    "INTEGRATIONS",
    "LOSSES",
    "NUISANCES",
    "SOLVERS",
    "Priors",
    "Problem",
    "anchors_of",
    "as_solved",
    "assemble",
    "build_problem",
    "consistency_epe",
    "displacements",
    "fit_response",
    "gradient",
    "image_motion",
    "jvp",
    "loss",
    "make_solver",
    "motion_report",
    "normal_equations",
    "objective",
    "point_losses",
    "predict",
    "project_flow",
    "query",
    "radial_observed",
    "residual_l1_ratio",
    "residuals",
    "size",
    "solve",
    "transferred",
    "viewing_rays",
    "vjp",
]
