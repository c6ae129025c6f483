"""3D-MOM as a laboratory: solvers compared on one problem, from files (`python -m mom3d_jax solve`)."""

from mom3d_jax.laboratory.candidates import Candidate, candidates_of, read_options
from mom3d_jax.laboratory.comparison import Outcome, attempt, convergence_picture, write_comparison, write_outcome
from mom3d_jax.laboratory.given import Given, read_given, read_truth
from mom3d_jax.laboratory.table import table

__all__ = [
    "Candidate",
    "Given",
    "Outcome",
    "attempt",
    "candidates_of",
    "convergence_picture",
    "read_given",
    "read_options",
    "read_truth",
    "table",
    "write_comparison",
    "write_outcome",
]
