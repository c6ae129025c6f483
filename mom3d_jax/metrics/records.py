"""Records of measured figures that say what was measured."""

import math
from typing import Any

METRICS: dict[str, dict[str, Any]] = {
    "psnr": {"unit": "dB", "variant": "peak 1, one mean over pixels and channels, weighted", "version": 1},
    "ssim": {"unit": "1", "variant": "Gaussian 11x11, sigma 1.5, biased covariance, mean over channels", "version": 1},
    "end_point_error": {"unit": "px", "variant": "mean length of the difference, weighted", "version": 1},
    "max_abs_difference": {"unit": "1", "variant": "largest over counted pixels and channels", "version": 1},
}
"""What every metric is; the version changes whenever its value would."""


def record(name: str, value: Any, **what: Any) -> dict[str, Any]:
    """A figure with its definition, ready for JSON.

    Args:
      name: a key of `METRICS`.
      value: the scalar; one that JSON cannot hold becomes None, with the reason beside it.
      **what: what it was measured on, and options of the metric (`padding="valid"`).

    Raises:
      ValueError: an unknown metric, or a `what` that would overwrite the definition.
    """
    if name not in METRICS:
        raise ValueError(f"unknown metric {name!r}; known: {', '.join(sorted(METRICS))}")
    number = float(value)
    entry: dict[str, Any] = {"metric": name, "value": number if math.isfinite(number) else None, **METRICS[name]}
    if not math.isfinite(number):
        entry["reason"] = "nothing was counted or a value is NaN" if math.isnan(number) else f"the value is {number}"
    if clash := sorted(set(entry) & set(what)):
        raise ValueError(f"record of {name!r}: {', '.join(clash)} is part of the definition, use another name")
    return entry | what
