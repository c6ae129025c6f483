"""Image, video and motion metrics, each with a name, a variant and a version in its record."""

from mom3d_jax.metrics.clip import ClipScores, score_clip
from mom3d_jax.metrics.image import display_values, max_abs_difference, psnr, ssim, ssim_map
from mom3d_jax.metrics.lpips import lpips, lpips_map
from mom3d_jax.metrics.lpips_weights import LpipsWeights, Unavailable, load_lpips_weights
from mom3d_jax.metrics.motion import end_point_error
from mom3d_jax.metrics.piqe import Piqe, piqe, piqe_scores
from mom3d_jax.metrics.records import METRICS, VARIANTS, record
from mom3d_jax.metrics.video import LoopSeam, flicker, loop_seam, warping_error

__all__ = [
    "METRICS",
    "VARIANTS",
    "ClipScores",
    "LoopSeam",
    "LpipsWeights",
    "Piqe",
    "Unavailable",
    "display_values",
    "end_point_error",
    "flicker",
    "load_lpips_weights",
    "loop_seam",
    "lpips",
    "lpips_map",
    "max_abs_difference",
    "piqe",
    "piqe_scores",
    "psnr",
    "record",
    "score_clip",
    "ssim",
    "ssim_map",
    "warping_error",
]
