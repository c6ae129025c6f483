"""The fourth dimension: which copies of the movable Gaussians exist at frame n, and small learned corrections to them.

A *field* says which copies exist (`fields.py`), a *residual* corrects a copy (`residuals/`), and `dynamics.py` puts
the two and the frozen displacement table together.
"""

from mom3d_jax.deformation.dynamics import COORDINATES, Dynamics, gaussian_sets, initialize
from mom3d_jax.deformation.fields import FIELDS, blend
from mom3d_jax.deformation.residuals import RESIDUALS, make_residual

__all__ = ["COORDINATES", "FIELDS", "RESIDUALS", "Dynamics", "blend", "gaussian_sets", "initialize", "make_residual"]
