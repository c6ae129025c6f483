"""Videos of the sampled views from their projected scene flow, or from their own flows (paper §3.3)."""

from mom3d_jax.animation.animator import RULES, animate
from mom3d_jax.animation.choice import FLOW_SOURCES, choose_views, parse_views
from mom3d_jax.animation.external import from_videos, join
from mom3d_jax.animation.trajectories import Trajectories, advect

__all__ = [
    "FLOW_SOURCES",
    "RULES",
    "Trajectories",
    "advect",
    "animate",
    "choose_views",
    "from_videos",
    "join",
    "parse_views",
]
