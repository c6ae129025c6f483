"""Two-stage fitting: the static scene from the generation views, then its motion from the videos (paper §3.3)."""

from mom3d_jax.training.checkpoints import Checkpoints
from mom3d_jax.training.loop import FitReport, fit
from mom3d_jax.training.losses import photometric
from mom3d_jax.training.optimizers import make_optimizer
from mom3d_jax.training.pool import Item, Pool, still_pool, video_pool
from mom3d_jax.training.sharding import make_mesh
from mom3d_jax.training.state import TRAINED, Frozen, TrainState, new_state, scene_gaussians
from mom3d_jax.training.steps import DynamicView, StaticView, View, make_step

__all__ = [
    "TRAINED",
    "Checkpoints",
    "DynamicView",
    "FitReport",
    "Frozen",
    "Item",
    "Pool",
    "StaticView",
    "TrainState",
    "View",
    "fit",
    "make_mesh",
    "make_optimizer",
    "make_step",
    "new_state",
    "photometric",
    "scene_gaussians",
    "still_pool",
    "video_pool",
]
