"""Records of measured figures that say what was measured."""

import math
from collections.abc import Mapping
from typing import Any

from mom3d_jax.metrics.lpips_weights import Unavailable

VARIANTS = {
    "all": "every pixel",
    "valid": "pixels that the truth covers",
    "masked": "pixels that the truth covers and that lie in the mask of what moves (M.PSNR, M.SSIM, M.LPIPS)",
}
"""Which pixels count."""

FRAMES = ("variant", "resolution", "crop", "validity", "frames")
"""What every figure of frames says: a key of `VARIANTS`; [width, height] in px as scored, after the crop; px cropped
from each border; share of the pixels that counted; number of frames (or pairs of frames) that counted."""

METRICS: dict[str, dict[str, Any]] = {
    "psnr": {
        "unit": "dB",
        "definition": "peak 1, one mean square over pixels and channels of a frame, weighted; mean over frames",
        "version": 1,
        "needs": FRAMES,
    },
    "psnr_pooled": {
        "unit": "dB",
        "definition": "peak 1, one mean square over pixels and channels of all frames, weighted",
        "version": 1,
        "needs": FRAMES,
    },
    "ssim": {
        "unit": "1",
        "definition": "Gaussian 11x11, sigma 1.5, biased covariance, mean over channels; mean over frames",
        "version": 1,
        "needs": (*FRAMES, "padding"),
    },
    "lpips_vgg": {
        "unit": "1",
        "definition": "VGG16 of lpips-j with linear weights 0.1, native size, RGB; mean over frames",
        "version": 1,
        "needs": (*FRAMES, "net", "masking"),
    },
    "piqe": {
        "unit": "1",
        "definition": "steps of pypiqe 1.2, bytes, of the judged frames alone; mean over frames",
        "version": 1,
        "needs": FRAMES,
    },
    "warping_error": {
        "unit": "1",
        "definition": "mean square of frame k+1 read along the flow minus frame k; mean over pairs",
        "version": 1,
        "needs": (*FRAMES, "flow"),
    },
    "loop_seam": {"unit": "dB", "definition": "PSNR of the last frame to the first", "version": 1, "needs": FRAMES},
    "loop_seam_percentile": {
        "unit": "%",
        "definition": "share of the other steps that are rougher than the last to the first; equal ones half",
        "version": 1,
        "needs": FRAMES,
    },
    "flicker": {
        "unit": "1",
        "definition": "largest change of any value over time where nothing should move",
        "version": 1,
        "needs": FRAMES,
    },
    "end_point_error": {
        "unit": "px",
        "definition": "mean length of the difference to the true flow, weighted",
        "version": 1,
        "needs": ("variant", "resolution", "validity"),
    },
    "consistency_epe": {
        "unit": "px",
        "definition": "flows of all views carried to the input view through the depth, mean distance to its own flow",
        "version": 1,
        "needs": ("flows", "views", "resolution"),
    },
    "max_abs_difference": {
        "unit": "1",
        "definition": "largest over counted pixels and channels",
        "version": 1,
        "needs": FRAMES,
    },
}
"""What every metric is and what its record has to say; the version changes whenever its value would.

`net` names network and weights; `masking` is LPIPS's, "none" without weights; `flow` says whose ("exact", "none");
`flows` of the consistency says whose flows were compared ("per view", "scene flow").
"""


def record(name: str, value: Any, **what: Any) -> dict[str, Any]:
    """A figure with its definition, ready for JSON.

    Args:
      name: a key of `METRICS`.
      value: the scalar, or `Unavailable`, whose value is None and whose reason stands beside it. So does one for a
        number that JSON cannot hold.
      **what: what it was measured on: all that the metric `needs`, and whatever else is worth knowing (`view=3`).

    Raises:
      ValueError: an unknown metric, a `what` that is missing, is out of its range, or would overwrite the definition.
    """
    if name not in METRICS:
        raise ValueError(f"unknown metric {name!r}; known: {', '.join(sorted(METRICS))}")
    definition = {key: entry for key, entry in METRICS[name].items() if key != "needs"}
    needs = METRICS[name]["needs"]
    if clash := sorted({"metric", "value", "reason", *definition} & set(what)):
        raise ValueError(f"record of {name!r}: {', '.join(clash)} is part of the definition, use another name")
    if missing := [key for key in needs if key not in what]:
        raise ValueError(f"record of {name!r}: say {', '.join(missing)}; without it the figure cannot be repeated")
    _check(name, {key: what[key] for key in needs})
    reason = None
    if isinstance(value, Unavailable):
        reason = value.reason
    elif not math.isfinite(number := float(value)):
        reason = "nothing was counted or a value is NaN" if math.isnan(number) else f"the value is {number}"
    entry = {"metric": name, "value": None if reason else number, **definition}
    return entry | ({"reason": reason} if reason else {}) | what


def _check(name: str, what: Mapping[str, Any]) -> None:
    """Refuse what cannot be true of a measurement."""
    whole = lambda value, least: isinstance(value, int) and not isinstance(value, bool) and value >= least
    rules = {
        "variant": (f"one of {', '.join(VARIANTS)}", lambda v: v in VARIANTS),
        "resolution": (
            "[width, height] in px",
            lambda v: isinstance(v, list | tuple) and len(v) == 2 and all(whole(n, 1) for n in v),
        ),
        "crop": ("px of each border, 0 or more", lambda v: whole(v, 0)),
        "validity": ("a share in [0, 1]", lambda v: isinstance(v, int | float) and 0 <= v <= 1),
        "frames": ("a count, 0 or more", lambda v: whole(v, 0)),
        "views": ("a count, 2 or more", lambda v: whole(v, 2)),
        "padding": ("valid or same", lambda v: v in ("valid", "same")),
        "masking": ("multiplied, filled or none", lambda v: v in ("multiplied", "filled", "none")),
    }
    for key, value in what.items():
        said, holds = rules.get(key, ("a name", lambda v: isinstance(v, str) and v))
        if not holds(value):
            raise ValueError(f"record of {name!r}: {key} is {value!r}, not {said}")
