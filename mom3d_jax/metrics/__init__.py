"""Image and motion metrics, each with a name, a variant and a version in its record."""

from mom3d_jax.metrics.image import max_abs_difference, psnr, ssim, ssim_map
from mom3d_jax.metrics.motion import end_point_error
from mom3d_jax.metrics.records import METRICS, record

__all__ = ["METRICS", "end_point_error", "max_abs_difference", "psnr", "record", "ssim", "ssim_map"]
