"""A clip against its truth: values of every frame, their means, and records that say how they came about.

Conventions of the means. A frame's value counts once, whatever its validity. A frame without a counted pixel has no
value: it is left out, and `unscored` says how many were. A frame that equals the truth has a PSNR of inf, and then so
has the mean; nothing is capped. The pooled PSNR, of one mean square over all frames, stays finite beside it unless all
frames are equal.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.metrics.chunks import cores, map_frames
from mom3d_jax.metrics.image import psnr, ssim
from mom3d_jax.metrics.lpips import lpips as lpips_distance
from mom3d_jax.metrics.lpips_weights import LpipsWeights, Unavailable
from mom3d_jax.metrics.records import VARIANTS, record
from mom3d_jax.types import Array

NOT_ASKED_FOR = Unavailable("LPIPS was not asked for")


@dataclass(frozen=True)
class ClipScores:
    """Values of k frames; NaN where nothing counted or a counted value is NaN."""

    psnr: Float[np.ndarray, " k"]
    ssim: Float[np.ndarray, " k"]
    lpips: Float[np.ndarray, " k"] | Unavailable
    validity: Float[np.ndarray, " k"]
    """Share of each frame's pixels whose weight is positive."""
    psnr_pooled: float
    what: dict[str, Any]
    """Variant, resolution, crop, padding, masking, net: what the records say."""

    def mean(self, name: str) -> float | Unavailable:
        """Mean over the frames that count; NaN where there are none, inf where a frame's is.

        Args:
          name: psnr, ssim or lpips.
        """
        values = getattr(self, name)
        if isinstance(values, Unavailable):
            return values
        scored = values[self.validity > 0]
        return float(scored.mean()) if len(scored) else float("nan")

    def records(self, **more: Any) -> list[dict[str, Any]]:
        """PSNR, pooled PSNR, SSIM and LPIPS of the clip.

        Args:
          **more: what else the records should say (`scene=…`, `path=…`).
        """
        scored = int((self.validity > 0).sum())
        counts = {
            "frames": scored,
            "unscored": len(self.validity) - scored,
            "validity": float(self.validity.mean()),
            **{key: self.what[key] for key in ("variant", "resolution", "crop")},
            **more,
        }
        return [
            record("psnr", self.mean("psnr"), **counts, equal_frames=int(np.isinf(self.psnr).sum())),
            record("psnr_pooled", self.psnr_pooled, **counts),
            record("ssim", self.mean("ssim"), **counts, padding=self.what["padding"]),
            record("lpips_vgg", self.mean("lpips"), **counts, **{key: self.what[key] for key in ("net", "masking")}),
        ]


def score_clip(
    prediction: Array,
    truth: Array,
    weight: Float[Array, "k h w"] | None = None,
    *,
    variant: str,
    padding: str = "valid",
    crop: int = 0,
    lpips: LpipsWeights | Unavailable = NOT_ASKED_FOR,
    masking: str = "multiplied",
) -> ClipScores:
    """PSNR, SSIM and, with weights for it, LPIPS of each frame.

    Args:
      prediction: [k, h, w, 3] in [0, 1] or bytes.
      truth: alike.
      weight: of each pixel: None for the variant "all", validity for "valid", validity times mask for "masked".
      variant: what the weights are, a key of `VARIANTS`.
      padding: of SSIM.
      crop: px to leave out at each border.
      lpips: its weights, or why there are none.
      masking: of LPIPS, where there are weights.

    Raises:
      ValueError: clips or weights of different shapes, weights that are negative, not finite or no part of the variant,
        a negative or too large crop, an unknown variant, padding or masking.
    """
    if variant not in VARIANTS or (weight is None) != (variant == "all"):
        given = "no weights" if weight is None else "weights"
        raise ValueError(f"variant {variant!r} with {given}; it is all without them, valid or masked with them")
    prediction, truth, weight = _cropped(prediction, truth, weight, crop)
    count, height, width = truth.shape[:3]
    share = np.ones(count) if weight is None else np.mean(weight > 0, axis=(1, 2))
    total = np.ones(count) if weight is None else np.asarray(weight.sum(axis=(1, 2), dtype=np.float64))
    values = map_frames(partial(_frame, padding=padding), prediction, truth, weight, threads=cores())
    psnrs, ssims = values[:, 0].astype(np.float64), values[:, 1].astype(np.float64)
    # Per-frame mean squares, weighted by what counted, are the mean square of the whole.
    counted = total > 0
    square = np.sum(total[counted] * 10 ** (-psnrs[counted] / 10)) / total[counted].sum() if counted.any() else np.nan
    with np.errstate(divide="ignore"):
        pooled = float(-10 * np.log10(square))
    distances: np.ndarray | Unavailable
    if isinstance(lpips, Unavailable):
        distances = lpips
    else:
        distances = lpips_distance(lpips, prediction, truth, weight, masking).astype(np.float64)
    what = {
        "variant": variant,
        "resolution": [width, height],
        "crop": crop,
        "padding": padding,
        "masking": "none" if weight is None else masking,
        "net": "none" if isinstance(lpips, Unavailable) else lpips.name,
    }
    return ClipScores(psnrs, ssims, distances, share, pooled, what)


def _cropped(
    prediction: Array, truth: Array, weight: Array | None, crop: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    if truth.ndim != 4 or truth.shape[-1] != 3 or prediction.shape != truth.shape:
        shapes = f"{list(prediction.shape)} and truth {list(truth.shape)}"
        raise ValueError(f"prediction {shapes} must be [k, h, w, 3] of one shape; resize or cut one of them")
    if weight is not None and weight.shape != truth.shape[:3]:
        raise ValueError(f"weight is {list(weight.shape)}, not {list(truth.shape[:3])} as the clip; give one per pixel")
    if not 0 <= crop < min(truth.shape[1:3]) / 2:
        raise ValueError(f"a crop of {crop} px leaves nothing of {truth.shape[2]}x{truth.shape[1]}; use 0 or a few px")
    inside = slice(crop, -crop or None)
    prediction, truth = (np.asarray(a)[:, inside, inside] for a in (prediction, truth))
    if weight is None:
        return prediction, truth, None
    weight = np.asarray(weight, np.float32)[:, inside, inside]
    if not (weight >= 0).all() or not np.isfinite(weight).all():
        raise ValueError("weights must be finite and not negative; mend the validity or the mask")
    return prediction, truth, weight


@partial(jax.jit, static_argnames="padding")
def _frame(image: Array, reference: Array, weight: Array | None, padding: str) -> Float[jax.Array, "2"]:
    return jnp.stack([psnr(image, reference, weight), ssim(image, reference, weight, padding, "sums")])
