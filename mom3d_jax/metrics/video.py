"""Metrics of a clip as a whole: does it hold together over time, does it close, does it stand still where it should."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.metrics.chunks import cores, map_frames
from mom3d_jax.metrics.image import display_values, psnr, weighted_mean
from mom3d_jax.types import Array


def warping_error(
    frames: Array,
    flow: Float[Array, "k-1 h w 2"] | Float[Array, "h w 2"] | None,
    weight: Float[Array, "k-1 h w"] | Float[Array, "h w"] | None = None,
) -> Float[np.ndarray, " k-1"]:
    """Temporal warping error of each pair of frames (W.-S. Lai et al., ECCV 2018).

    E_k = Σ w |I_{k+1}(x + F_k(x)) - I_k(x)|² / (3 Σ w) over the pixels x whose end point lies in the image, read
    bilinearly: the mean square over pixels and colours. Even the truth scores above 0, because reading between pixels
    blurs; so a clip's error is read beside the truth's own.

    Args:
      frames: [k, h, w, 3] in [0, 1] or bytes.
      flow: of all pairs or of each, frame k to k + 1, px, the motion of the camera included; None for no motion at all.
      weight: of each pixel of frame k; 0 where it is hidden in frame k + 1. A pair without any is NaN.

    Raises:
      ValueError: fewer than two frames, or a flow or weight of another size.
    """
    count, height, width = _clip_shape(frames)
    pairs = count - 1
    flow = np.zeros((2,), np.float32) if flow is None else _per_pair(flow, "flow", (height, width, 2), pairs)
    weight = None if weight is None else _per_pair(weight, "weight", (height, width), pairs)
    flow = np.broadcast_to(flow, (pairs, height, width, 2))
    return map_frames(_pair_error, frames[:-1], frames[1:], flow, weight, threads=cores())


def _clip_shape(frames: Array) -> tuple[int, int, int]:
    if frames.ndim != 4 or frames.shape[-1] != 3 or len(frames) < 2:
        raise ValueError(f"a clip is [k, h, w, 3] with two frames or more, not {list(frames.shape)}")
    return frames.shape[0], frames.shape[1], frames.shape[2]


def _per_pair(array: Array, name: str, shape: tuple[int, ...], pairs: int) -> np.ndarray:
    if array.shape not in (shape, (pairs, *shape)):
        raise ValueError(f"{name} is {list(array.shape)}, not {list(shape)} or {[pairs, *shape]} as its frames need")
    return np.broadcast_to(np.asarray(array, np.float32), (pairs, *shape))


@jax.jit
def _pair_error(first: Array, second: Array, flow: Array, weight: Array | None) -> Float[jax.Array, ""]:
    first, second = display_values(first), display_values(second)
    height, width = first.shape[:2]
    # In units of pixel indices, where centres are whole numbers.
    column = jnp.arange(width, dtype=jnp.float32)[None] + flow[..., 0]
    row = jnp.arange(height, dtype=jnp.float32)[:, None] + flow[..., 1]
    inside = (column >= 0) & (column <= width - 1) & (row >= 0) & (row <= height - 1)
    counts = inside if weight is None else inside & (weight > 0)
    column, row = jnp.where(counts, column, 0), jnp.where(counts, row, 0)
    left = jnp.clip(jnp.floor(column), 0, max(width - 2, 0))
    top = jnp.clip(jnp.floor(row), 0, max(height - 2, 0))
    a, b = column - left, row - top
    start = top.astype(jnp.int32) * width + left.astype(jnp.int32)
    right, down = min(1, width - 1), width * min(1, height - 1)
    error = jnp.zeros((height, width), jnp.float32)
    # Colour by colour: gathers of single numbers take a CPU an eighth of the time.
    for colour in range(3):
        plane = second[..., colour].reshape(-1)
        upper = (1 - a) * plane[start] + a * plane[start + right]
        lower = (1 - a) * plane[start + down] + a * plane[start + down + right]
        error = error + jnp.square((1 - b) * upper + b * lower - first[..., colour]) / 3
    return weighted_mean(error, counts if weight is None else jnp.where(counts, weight, 0))


class LoopSeam(NamedTuple):
    """How smoothly the last frame goes over into the first, beside all other steps."""

    seam: float
    """PSNR of the last frame against the first, dB."""
    neighbours: float
    """Median PSNR of frames against their next ones, dB."""
    percentile: float
    """Share of those steps, in %, that are rougher than the seam; equal ones count half. 0: it is the roughest."""


def loop_seam(frames: Array, weight: Float[Array, "h w"] | None = None) -> LoopSeam:
    """Whether a clip closes: its last step, frame k - 1 to frame 0, beside all others.

    Only for clips whose camera stands still or comes back; a single step cannot tell a jump from a fast motion.

    Args:
      frames: [k, h, w, 3] in [0, 1] or bytes.
      weight: of each pixel.

    Raises:
      ValueError: fewer than two frames.
    """
    count, height, width = _clip_shape(frames)
    weight = None if weight is None else _per_pair(weight, "weight", (height, width), count - 1)
    others = map_frames(psnr, frames[1:], frames[:-1], weight, threads=cores())
    seam = np.asarray(psnr(frames[0], frames[-1], None if weight is None else weight[0]))
    unknown = np.isnan(seam) or np.isnan(others).any()
    rank = np.nan if unknown else np.mean(others < seam) + np.mean(others == seam) / 2
    return LoopSeam(float(seam), float(np.median(others)), float(100 * rank))


def flicker(frames: Array, still: Float[Array, "h w"]) -> float:
    """Largest change of any value over time, max_k I_k - min_k I_k, where nothing should move.

    Args:
      frames: [k, h, w, 3] in [0, 1] or bytes, of a camera that stands still.
      still: positive where nothing should move; none such gives NaN.

    Raises:
      ValueError: fewer than two frames, or a mask of another size.
    """
    count, height, width = _clip_shape(frames)
    counts = _per_pair(still, "still", (height, width), count)[0] > 0
    if not counts.any():
        return float("nan")
    # NaN spreads through NumPy's maxima, so that an unknown value is never a quiet one.
    values = np.asarray(display_values(np.stack([np.max(frames, axis=0), np.min(frames, axis=0)])))[:, counts]
    return float(np.max(values[0] - values[1]))
