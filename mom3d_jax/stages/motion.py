"""3D-MOM and the videos that follow from it (paper §3.2 and §3.3)."""

import numpy as np
from absl import logging

from mom3d_jax import motion3d as mom
from mom3d_jax.animation import animate
from mom3d_jax.stages.job import Job
from mom3d_jax.types import Flows, Frames, PointCloud, SceneFlow, Views
