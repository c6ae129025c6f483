"""3D-MOM: one 3D motion per point from the Eulerian flows of many views (paper §3.2.2)."""

from mom3d_jax.motion3d.build import build_problem
from mom3d_jax.motion3d.displacements import INTEGRATIONS, displacements
from mom3d_jax.motion3d.problem import (
    LOSSES,
    Problem,
    image_motion,
    loss,
    normal_equations,
    point_losses,
    predict,
    residuals,
    viewing_rays,
)
from mom3d_jax.motion3d.projected import project_flow
from mom3d_jax.motion3d.report import consistency_epe, motion_report, residual_l1_ratio
from mom3d_jax.motion3d.scene_flow import assemble, query
from mom3d_jax.motion3d.solvers import SOLVERS, make_solver, solve

__all__ = [
    "INTEGRATIONS",
    "LOSSES",
    "SOLVERS",
    "Problem",
    "assemble",
    "build_problem",
    "consistency_epe",
    "displacements",
    "image_motion",
    "loss",
    "make_solver",
    "motion_report",
    "normal_equations",
    "point_losses",
    "predict",
    "project_flow",
    "query",
    "residual_l1_ratio",
    "residuals",
    "solve",
    "viewing_rays",
]
