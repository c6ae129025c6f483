"""PIQE, a quality score of one image without a reference (N. Venkatanath et al., NCC 2015).

In float64 on the host: two of its thresholds decide about whole blocks, and rounding must not.
"""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from mom3d_jax.metrics.chunks import cores, map_frames

BLOCK = 16


class Piqe(NamedTuple):
    """The score of an image and what each of its 16 x 16 blocks contributed."""

    score: float
    """Lower is better; 100 where nothing is active. Not clipped."""
    active: Bool[np.ndarray, "i j"]
    """Blocks with enough structure to be judged."""
    artifact: Bool[np.ndarray, "i j"]
    """Active blocks with a flat stretch along an edge: blocking, blur."""
    noise: Bool[np.ndarray, "i j"]
    """Active blocks that look like Gaussian noise."""


def piqe(image: UInt8[np.ndarray, "h w 3"] | UInt8[np.ndarray, "h w"]) -> Piqe:
    """Perception-based image quality evaluator of one image.

    The image in grey, brought to a maximum of 255, is normalised by local mean and contrast, n = (g - μ) / (σ + 1), and
    cut into blocks of variance v. Those with v > 0.1 are active; each has a distortion D = W_D (1 - v) + W_N v with the
    two indicators of `_is_artifact` and `_is_noise`, and PIQE = 100 (Σ D + 1) / (N_active + 1).

    Sizes that are no multiple of 16 are mirrored at the bottom and the right.

    Args:
      image: RGB or grey, as bytes; floating point is refused, since the rounding of it would change the score.

    Raises:
      ValueError: another type or shape.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(f"PIQE needs uint8 [h, w, 3] or [h, w], not {image.dtype} {list(image.shape)}; round it first")
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    grey = np.pad(grey, [(0, -n % BLOCK) for n in grey.shape], mode="symmetric")
    rows, columns = (n // BLOCK for n in grey.shape)
    active, artifact, noise = np.zeros((3, rows, columns), bool)
    if not grey.any():
        return Piqe(100.0, active, artifact, noise)
    blocks = _normalise(grey).reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    variance = blocks.var(axis=(2, 3), ddof=1)
    active = variance > 0.1
    v, judged = variance[active], blocks[active]
    artifact[active], noise[active] = _is_artifact(judged), _is_noise(judged, v)
    distortion = np.where(artifact[active], 1 - v, 0) + np.where(noise[active], v, 0)
    return Piqe(float(100 * (distortion.sum() + 1) / (active.sum() + 1)), active, artifact, noise)


def piqe_scores(frames: UInt8[np.ndarray, "k h w 3"]) -> Float[np.ndarray, " k"]:
    """`piqe` of each frame of a clip.

    Raises:
      ValueError: another type or shape, or no frames.
    """
    return map_frames(lambda frame: piqe(frame).score, frames, threads=cores())


def _normalise(grey: UInt8[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Mean-subtracted, contrast-normalised values; Gaussian 7 x 7 with sigma 7/6, borders replicated."""
    g = np.rint(255 * (grey / grey.max()))
    blur = lambda a: cv2.GaussianBlur(a, (7, 7), 7 / 6, borderType=cv2.BORDER_REPLICATE)
    mean = blur(g)
    return (g - mean) / (np.sqrt(np.abs(blur(g * g) - mean * mean)) + 1)


def _is_artifact(blocks: Float[np.ndarray, "b 16 16"]) -> Bool[np.ndarray, " b"]:
    """Whether any 6 values in a row along one of the four edges have a sample deviation below 0.1."""
    edges = np.stack([blocks[:, 0], blocks[:, :, -1], blocks[:, -1], blocks[:, :, 0]], axis=1)
    stretches = np.lib.stride_tricks.sliding_window_view(edges, 6, axis=2)
    return (stretches.std(axis=-1, ddof=1) < 0.1).any(axis=(1, 2))


def _is_noise(blocks: Float[np.ndarray, "b 16 16"], variance: Float[np.ndarray, " b"]) -> Bool[np.ndarray, " b"]:
    """Whether a block's deviation σ exceeds 2 β, β = |σ - r| / max(σ, r), with r of two centre columns to the rest.

    The rest leaves out the 8th and the 10th column, where one would expect the 8th and the 9th: pypiqe 1.2, a port of
    MATLAB's `piqe`, has it so, and scores are compared with those.
    """
    deviation = np.sqrt(variance)
    centre = blocks[:, :, 7:9].std(axis=(1, 2), ddof=1)
    rest = np.delete(blocks, (7, 9), axis=2).std(axis=(1, 2), ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(centre / rest, nan=0.0, posinf=np.inf)
        return deviation > 2 * np.abs(deviation - ratio) / np.maximum(deviation, ratio)
