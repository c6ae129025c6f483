"""Image files → float32 arrays, and their sizes.

The working size is the wanted width, or the image's own where that is smaller (nothing is ever enlarged), and the
height that keeps the aspect, both rounded to even numbers because video codecs need them; the image is stretched by
one pixel at most to get there.
"""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Shaped

from mom3d_jax.inputs.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")
SMALLEST = 32
"""Shortest side in px of an image that the pipeline accepts."""
ASPECT_TOLERANCE = 0.02
"""Two arrays show the same frame if their aspects differ by less than this share."""


def decode(path: Path, flags: int) -> Shaped[np.ndarray, "h w *c"]:
    """Decode an image file with OpenCV.

    Raises:
      InputError: the file is missing, unreadable or not a whole image.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        image = None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if image is None:
        raise InputError(f"{path}: not a complete PNG or JPEG image; save it again")
    return image


def as_unit_range(image: Shaped[np.ndarray, "*n"], path: Path) -> Float[np.ndarray, "*n"]:
    """8-bit or 16-bit integers → float32 in [0, 1].

    Raises:
      InputError: another kind of number.
    """
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path}: pixels are {image.dtype}; save the image with 8 or 16 bits per channel")
    return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)


def read_photo(path: Path) -> tuple[Float[np.ndarray, "h w 3"], list[str]]:
    """Read the photo: EXIF rotation applied, grey spread to RGB, alpha dropped.

    Returns:
      RGB in [0, 1] at the size of the file, and notes on what was dropped.

    Raises:
      InputError: an unreadable file, or an image with a side under 32 px.
    """
    bgr = decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    raw = decode(path, cv2.IMREAD_UNCHANGED)
    notes = []
    if raw.ndim == 3 and raw.shape[2] == 4:
        see_through = np.mean(raw[..., 3] < np.iinfo(raw.dtype).max)
        if see_through > 0:
            notes.append(f"{path.name}: alpha dropped, {see_through:.1%} of the pixels were not opaque")
    height, width = bgr.shape[:2]
    if min(height, width) < SMALLEST:
        raise InputError(f"{path}: {width}x{height} px is too small; both sides need at least {SMALLEST} px")
    return as_unit_range(np.ascontiguousarray(bgr[..., ::-1]), path), notes


def working_size(width: int, height: int, wanted: int) -> tuple[int, int]:
    """Working (width, height) of an image.

    Args:
      width: of the image file, px.
      height: of the image file, px.
      wanted: working width, px; 0 takes the image's own.

    Raises:
      InputError: the working image would be under 32 px on a side.
    """
    new_width = 2 * (min(wanted or width, width) // 2)
    new_height = min(2 * round(height * new_width / width / 2), 2 * (height // 2))
    if min(new_width, new_height) < SMALLEST:
        raise InputError(
            f"a width of {wanted} px makes a {width}x{height} image {new_width}x{new_height}; "
            f"choose a width that leaves both sides at least {SMALLEST} px"
        )
    return new_width, new_height


def same_aspect(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two (width, height) show the same frame."""
    return abs(a[0] * b[1] / (a[1] * b[0]) - 1) < ASPECT_TOLERANCE


def resize(image: Float[np.ndarray, "h w *c"], size: tuple[int, int]) -> Float[np.ndarray, "h2 w2 *c"]:
    """Resample to (width, height): averages over areas on the way down, bilinear on the way up."""
    if image.shape[1::-1] == size:
        return image
    down = size[0] <= image.shape[1] and size[1] <= image.shape[0]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if down else cv2.INTER_LINEAR)


def read_mask(path: Path, size: tuple[int, int]) -> tuple[Float[np.ndarray, "h w"], list[str]]:
    """Read a mask image, white where content moves, at the photo's (width, height).

    Returns:
      The mask in [0, 1] and notes on how it was understood.

    Raises:
      InputError: an unreadable file, another aspect than the photo, or nothing marked.
    """
    mask = as_unit_range(decode(path, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH), path)
    notes = []
    if not same_aspect(mask.shape[::-1], size):
        raise InputError(
            f"{path}: {mask.shape[1]}x{mask.shape[0]} px, but the photo is {size[0]}x{size[1]}; "
            "a mask has to cover the whole photo"
        )
    if mask.max() == 0:
        raise InputError(f"{path}: no pixel is marked; paint what moves white")
    if mask.max() < 0.01:
        notes.append(f"{path.name}: its brightest value is {mask.max():.4f} of white; it was stretched to white")
        mask = mask / mask.max()
    return resize(mask, size), notes
