"""Settings that make no sense are refused before anything is computed."""

from collections.abc import Collection

from ml_collections import ConfigDict

from mom3d_jax.animation import FLOW_SOURCES, parse_views
from mom3d_jax.cameras import PATHS
from mom3d_jax.deformation import COORDINATES, FIELDS, RESIDUALS, make_residual
from mom3d_jax.flow import INTERPOLATIONS
from mom3d_jax.gaussians import EXTENTS, UNITS
from mom3d_jax.motion3d import INTEGRATIONS, LOSSES, NUISANCES, make_solver
from mom3d_jax.render import choose_backend
from mom3d_jax.stages.job import rig_of, solver_options
from mom3d_jax.training import make_mesh

ONE_OF: dict[str, Collection] = {
    "time.field": FIELDS,
    "flow.interpolation": ("auto", *INTERPOLATIONS),
    "displacements.integration": INTEGRATIONS,
    "motion3d.loss": LOSSES,
    "motion3d.nuisance": NUISANCES,
    "animation.flow": FLOW_SOURCES,
    "gaussians.sh_degree": range(4),
    "gaussians.extent": EXTENTS,
    "gaussians.unit": UNITS,
    "deformation.residual": RESIDUALS,
    "deformation.coordinates": COORDINATES,
}
AT_LEAST = {
    "seed": 0, "devices": 0, "size.width": 0, "time.frames": 2, "flow.sigma": 0, "flow.taper_width": 0,
    "motion3d.priors.damping": 0, "motion3d.priors.smoothness": 0, "motion3d.priors.tangency": 0,
    "deformation.ramp": 0, "render.frames": 1, "render.poses": 0, "render.circle_poses": 0, "render.crop": 0,
    "render.fps": 1,
}  # fmt: skip
AT_LEAST |= {
    f"{stage}.{name}": least
    for stage in ("stage1", "stage2")
    for name, least in {
        "steps": 0, "batch": 1, "checkpoint_every": 1, "decay_steps": 0, "sh_every": 0, "sh_rest_share": 0
    }.items()
}  # fmt: skip
BETWEEN = {
    "size.focal": (0, 1e9),
    "size.focal_ratio": (0, 1e3),
    "pointcloud.edge_ratio": (1 + 1e-6, 1e3),
    "displacements.flow_scale": (-1e3, 1e3),
    "motion3d.noise": (1e-6, 1e3),
    "motion3d.priors.depth_edge": (1e-6, 1e3),
    "time.crossfade": (1e-6, 1),
    "views.min_coverage": (0, 1),
    "gaussians.opacity": (1e-6, 1 - 1e-6),
    "gaussians.footprint": (1e-3, 1e3),
    "stage1.ssim_weight": (0, 1),
    "stage2.ssim_weight": (0, 1),
}


def check(c: ConfigDict) -> None:
    """Look at every setting that a stage would refuse later.

    Raises:
      ValueError: one line with the setting, its value and what it may be.
      NotImplementedError: a rasterizer backend that cannot run here.
    """
    for name, known in ONE_OF.items():
        _one_of(name, _value(c, name), known)
    for name, least in AT_LEAST.items():
        if not _value(c, name) >= least:
            raise ValueError(f"{name}={_value(c, name)} is below {least}")
    for name, (low, high) in BETWEEN.items():
        if not low <= _value(c, name) <= high:
            raise ValueError(f"{name}={_value(c, name)} is not between {low:g} and {high:g}")
    make_mesh(c.devices)
    choose_backend(None if c.rasterizer == "auto" else c.rasterizer)
    make_solver(c.motion3d.solver, **solver_options(c))
    make_residual(c.deformation.residual, **c.deformation.options[c.deformation.residual].to_dict())
    parse_views(c.animation.views, rig_of(c).count)
    if len(c.time.torn) != 2 or not 1 <= c.time.torn[0] < c.time.torn[1]:
        raise ValueError(f"time.torn={c.time.torn} is not two rising multiples of an area, from 1 on")
    _check_optimizer("stage1", c.stage1)
    _check_optimizer("stage2", c.stage2)
    _check_paths(c)


def _check_optimizer(name: str, stage: ConfigDict) -> None:
    *betas, epsilon = stage.adam
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas) or not epsilon > 0:
        raise ValueError(f"{name}.adam={stage.adam} is not (β₁, β₂, ε) with both β in [0, 1) and ε above 0")
    for group, rates in stage.rates.items():
        if len(rates) != 2 or min(rates) < 0 or (rates[0] > 0) != (rates[1] > 0):
            raise ValueError(f"{name}.rates.{group}={rates} is not (first, last), both above 0 or both 0")


def _check_paths(c: ConfigDict) -> None:
    for path in c.render.paths:
        _one_of("render.paths", path, PATHS)
    for name in ("poses", "circle_poses"):
        if 0 < c.render[name] < c.render.frames:
            raise ValueError(
                f"render.{name}={c.render[name]} is below render.frames={c.render.frames}; 0 takes as many"
            )
    if c.time.field != "loop" and c.render.frames > c.time.frames + 1:
        raise ValueError(
            f"render.frames={c.render.frames} is more than time.frames={c.time.frames} and field {c.time.field!r} does "
            f"not repeat: add --config.render.frames={c.time.frames}, or --config.time.field=loop"
        )


def _value(c: ConfigDict, name: str) -> float:
    *sections, last = name.split(".")
    for section in sections:
        c = c[section]
    return c[last]


def _one_of(name: str, value: object, known: Collection) -> None:
    if value not in known:
        raise ValueError(f"{name}={value!r} is unknown; known: {', '.join(map(str, known))}")
