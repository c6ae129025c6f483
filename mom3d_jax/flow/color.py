"""Flow as a picture."""

import numpy as np
from jaxtyping import Float

from mom3d_jax.types import Array


def flow_to_color(flow: Float[Array, "*n h w 2"], peak: float | None = None) -> Float[np.ndarray, "*n h w 3"]:
    """Direction as hue (right red, down yellow-green, left cyan, up violet), magnitude as saturation; still is white.

    Args:
      flow: px per frame.
      peak: magnitude of full saturation; None takes the largest finite one.

    Returns:
      RGB in [0, 1]; black where the flow is not finite.
    """
    flow = np.asarray(flow, np.float32)
    finite = np.isfinite(flow).all(-1, keepdims=True)
    flow = np.where(finite, flow, 0)
    magnitude = np.linalg.norm(flow, axis=-1)
    peak = float(magnitude.max(initial=0)) if peak is None else peak
    saturation = np.clip(magnitude / max(peak, 1e-12), 0, 1)[..., None]
    sextant = np.mod(np.arctan2(flow[..., 1], flow[..., 0]) * (3 / np.pi), 6)[..., None]
    hue = np.clip(np.abs(np.mod(sextant + np.array([0, 4, 2]), 6) - 3) - 1, 0, 1)
    return ((1 - saturation * (1 - hue)) * finite).astype(np.float32)
