"""Videos of the sampled views from their projected scene flow (paper §3.3)."""

from mom3d_jax.animation.animator import RULES, animate
from mom3d_jax.animation.trajectories import Trajectories, advect

__all__ = ["RULES", "Trajectories", "advect", "animate"]
