"""Depth of the photo: from a file, or from a prior for landscapes."""

from mom3d_jax.depth.estimate import estimate_depth
from mom3d_jax.depth.horizon import detect_horizon
from mom3d_jax.depth.prior import landscape_prior
from mom3d_jax.depth.sky import detect_sky

__all__ = ["detect_horizon", "detect_sky", "estimate_depth", "landscape_prior"]
