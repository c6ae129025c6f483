"""Settings that make no sense are refused before anything is computed."""

from collections.abc import Collection

from ml_collections import ConfigDict

from mom3d_jax.cameras import PATHS
from mom3d_jax.cameras.generation import INNER, OUTER
from mom3d_jax.deformation import FIELDS, RESIDUALS, make_residual
from mom3d_jax.motion3d import make_solver
from mom3d_jax.render import choose_backend
from mom3d_jax.stages.job import solver_options


def check(c: ConfigDict) -> None:
    """Look at every setting that a stage would refuse later.

    Raises:
      ValueError: one line with the setting, its value and what it may be.
      NotImplementedError: a rasterizer backend that cannot run here.
    """
    choose_backend(None if c.rasterizer == "auto" else c.rasterizer)
    make_solver(c.motion3d.solver, **solver_options(c))
    _one_of("deformation.residual", c.deformation.residual, RESIDUALS)
    make_residual(c.deformation.residual, **c.deformation.options[c.deformation.residual].to_dict())
    _one_of("time.field", c.time.field, FIELDS)
    for path in c.render.paths:
        _one_of("render.paths", path, PATHS)
    for view in c.animation.views:
        _one_of("animation.views", view, range(len(OUTER) * len(INNER)))
    _at_least("seed", c.seed, 0)
    _at_least("devices", c.devices, 0)
    _at_least("time.frames", c.time.frames, 2)
    _at_least("render.frames", c.render.frames, 1)
    _at_least("render.fps", c.render.fps, 1)
    _at_least("animation.views: their number", len(c.animation.views), 1)
    for name in ("stage1", "stage2"):
        stage = c[name]
        _at_least(f"{name}.steps", stage.steps, 0)
        _at_least(f"{name}.batch", stage.batch, 1)
        _at_least(f"{name}.checkpoint_every", stage.checkpoint_every, 1)
        _between(f"{name}.ssim_weight", stage.ssim_weight, 0, 1)
        for group, rates in stage.rates.items():
            if len(rates) != 2 or min(rates) < 0 or (rates[0] > 0) != (rates[1] > 0):
                raise ValueError(f"{name}.rates.{group}={rates} is not (first, last), both above 0 or both 0")
    _between("time.crossfade", c.time.crossfade, 1e-6, 1)
    _between("views.min_coverage", c.views.min_coverage, 0, 1)
    _between("gaussians.opacity", c.gaussians.opacity, 1e-6, 1 - 1e-6)
    _between("gaussians.footprint", c.gaussians.footprint, 1e-3, 1e3)
    if c.time.field != "loop" and c.render.frames > c.time.frames + 1:
        raise ValueError(
            f"render.frames={c.render.frames} is more than time.frames={c.time.frames} and field {c.time.field!r} does "
            f"not repeat: add --config.render.frames={c.time.frames}, or --config.time.field=loop"
        )


def _one_of(name: str, value: object, known: Collection) -> None:
    if value not in known:
        raise ValueError(f"{name}={value!r} is unknown; known: {', '.join(map(str, known))}")


def _at_least(name: str, value: float, least: float) -> None:
    if value < least:
        raise ValueError(f"{name}={value} is below {least}")


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name}={value} is not between {low:g} and {high:g}")
