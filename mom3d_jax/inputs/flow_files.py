"""Flow files: `flow.npy|flo` of the photo and `flow/view_XX.npy|flo` of single views.

Both hold px per frame at their own size, u to the right, v down. That of the photo is carried into every view; that of
a view counts in this view alone, and there it comes first.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from mom3d_jax.inputs.array_files import read_flo, read_npy
from mom3d_jax.inputs.errors import InputError
from mom3d_jax.inputs.images import resize, same_aspect

SUFFIXES = (".npy", ".flo")


def read_flow(path: Path, photo: tuple[int, int], size: tuple[int, int]) -> Float[np.ndarray, "h w 2"]:
    """Read a flow file and bring it, values included, to a size.

    Args:
      path: an npy file [H,W,2], [2,H,W] or [1,2,H,W], or a Middlebury flo file.
      photo: (width, height) of the photo. The flow may have its own size, but not another aspect than the photo or the
        working size.
      size: (width, height) wanted.

    Raises:
      InputError: an unreadable file, another shape or aspect, NaN, or vectors longer than the image.
    """
    flow = read_flo(path) if path.suffix.lower() == ".flo" else read_npy(path)
    if flow.ndim == 4 and flow.shape[0] == 1:
        flow = flow[0]
    if flow.ndim == 3 and flow.shape[0] == 2 and flow.shape[-1] != 2:
        flow = np.moveaxis(flow, 0, -1)
    if flow.ndim != 3 or flow.shape[-1] != 2:
        raise InputError(f"{path}: shape {flow.shape}; flow has to be [H,W,2], [2,H,W] or [1,2,H,W]")
    height, width = flow.shape[:2]
    # The picture of a view has the working size, whose aspect may differ from the photo's by rounding.
    if not (same_aspect((width, height), photo) or same_aspect((width, height), size)):
        raise InputError(
            f"{path}: {width}x{height}, but the photo is {photo[0]}x{photo[1]}; flow has to cover the whole photo"
        )
    if not np.isfinite(flow).all():
        raise InputError(
            f"{path}: {np.sum(~np.isfinite(flow))} values are not finite; set them to 0 where nothing moves"
        )
    longest = float(np.linalg.norm(flow, axis=-1).max())
    if longest > max(width, height):
        raise InputError(
            f"{path}: the longest vector has {longest:.0f} px per frame on a {width}x{height} image; "
            "flow counts px per frame, check its unit"
        )
    scale = np.array([size[0] / width, size[1] / height], np.float32)
    return resize(np.ascontiguousarray(flow, np.float32), size) * scale
