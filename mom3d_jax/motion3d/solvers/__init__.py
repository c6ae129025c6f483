"""The solvers of the 3D-MOM problem, one short file each, and how to run them."""

from mom3d_jax.motion3d.solvers.base import Run, Solver, advance, run, start, unfinished
from mom3d_jax.motion3d.solvers.driver import prepare, solve
from mom3d_jax.motion3d.solvers.registry import SOLVERS, make_solver

__all__ = ["SOLVERS", "Run", "Solver", "advance", "make_solver", "prepare", "run", "solve", "start", "unfinished"]
