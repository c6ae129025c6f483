"""File formats of plain arrays: NumPy, PFM, Middlebury flow."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from mom3d_jax.inputs.errors import InputError

FLO_MAGIC = 202021.25
"""First number of a Middlebury file."""


def read_npy(path: Path) -> np.ndarray:
    """A NumPy file that holds real numbers.

    Raises:
      InputError: another kind of file.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable NumPy file ({str(error).splitlines()[0]})") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise InputError(f"{path}: does not hold an array of real numbers; save one with numpy.save")
    return values


def read_pfm(path: Path) -> Float[np.ndarray, "h w"]:
    """A grey PFM file: `Pf`, width and height, a scale that is negative for little-endian, rows from the bottom up.

    Raises:
      InputError: another kind of file, or one that is cut short.
    """
    try:
        magic, sizes, scale, data = path.read_bytes().split(b"\n", 3)
        width, height = (int(n) for n in sizes.split())
        order = "<" if float(scale) < 0 else ">"
        if magic.strip() != b"Pf" or len(data) != 4 * width * height:
            raise ValueError
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a complete grey PFM file; save depth as npy instead") from error
    return np.frombuffer(data, f"{order}f4").reshape(height, width)[::-1]


def read_flo(path: Path) -> Float[np.ndarray, "h w 2"]:
    """A Middlebury file: float32 202021.25, int32 width and height, float32 [height, width, 2], little-endian.

    Raises:
      InputError: another kind of file, or one that is cut short.
    """
    try:
        data = path.read_bytes()
        magic = np.frombuffer(data, "<f4", 1)[0]
        width, height = (int(n) for n in np.frombuffer(data, "<i4", 2, offset=4))
        if magic != FLO_MAGIC or min(width, height) < 1 or len(data) != 12 + 8 * width * height:
            raise ValueError
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a complete Middlebury flow file; save the flow as npy instead") from error
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2)
