"""Pictures of the things that are no pictures: depth, masks, flow and hints in colour."""

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.atomic import PathLike, replacing
from mom3d_jax.export.video import to_bytes
from mom3d_jax.types import Array, Hints

Picture = Float[np.ndarray, "h w 3"]


def depth_picture(depth: Float[Array, "h w"], near: float | None = None, far: float | None = None) -> Picture:
    """Inverse depth in OpenCV's Turbo colours: near red, far blue, unknown (not positive, not finite) black.

    Args:
      depth: z, world units.
      near: depth of the red end; None takes the 1st percentile.
      far: depth of the blue end; None takes the 99th.
    """
    z = np.asarray(depth, np.float32)
    known = np.isfinite(z) & (z > 0)
    if not known.any():
        return np.zeros((*z.shape, 3), np.float32)
    low, high = np.percentile(z[known], [1, 99])
    low, high = near or low, far or high
    inverse = 1 / np.where(known, z, high)
    level = np.clip((inverse - 1 / high) / max(1 / low - 1 / high, 1e-9), 0, 1)
    colours = cv2.applyColorMap(np.round(255 * level).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    return np.where(known[..., None], colours, 0).astype(np.float32) / 255


def mask_overlay(image: Float[Array, "h w 3"], mask: Float[Array, "h w"], hints: Hints | None = None) -> Picture:
    """The image, tinted half-way to red where the mask is 1, with an arrow for every hint."""
    picture, share = np.asarray(image, np.float32), 0.5 * np.asarray(mask, np.float32)[..., None]
    tinted = picture + share * (np.array([1.0, 0.25, 0.2], np.float32) - picture)
    return tinted if hints is None else hint_arrows(tinted, hints)


def flow_picture(flow: Float[Array, "h w 2"], longest: float | None = None) -> Picture:
    """Flow in colour: hue is the direction (right red, down yellow-green), brightness grows with the length.

    Brightness is the square root of the length, so that a slow river shows beside fast clouds.

    Args:
      flow: px per frame.
      longest: length of full brightness, px; None takes the 99th percentile of what moves. NaN is black.
    """
    flow = np.nan_to_num(np.asarray(flow, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    length = np.linalg.norm(flow, axis=-1)
    moving = length[length > 0]
    scale = longest or (float(np.percentile(moving, 99)) if moving.size else 1.0)
    hue = np.degrees(np.arctan2(flow[..., 1], flow[..., 0])) % 360
    hsv = np.stack([hue, np.ones_like(hue), np.sqrt(np.clip(length / scale, 0, 1))], axis=-1).astype(np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def change_picture(first: Float[Array, "h w 3"], other: Float[Array, "h w 3"], full: float = 0.25) -> Picture:
    """Where two pictures differ, in OpenCV's Inferno colours: black is equal, the bright end a difference of `full`.

    Args:
      first: a picture.
      other: a picture of the same size.
      full: largest difference of the three channels that gets the brightest colour.
    """
    difference = np.abs(np.asarray(other, np.float32) - np.asarray(first, np.float32)).max(axis=-1)
    level = np.round(255 * np.clip(np.nan_to_num(difference, nan=full) / full, 0, 1)).astype(np.uint8)
    return cv2.applyColorMap(level, cv2.COLORMAP_INFERNO)[..., ::-1].astype(np.float32) / 255


def unknown_checkered(image: Float[Array, "h w 3"], valid: Float[Array, "h w"]) -> Picture:
    """The image with a grey chequer where it is unknown, so that nobody takes that for black content.

    Args:
      image: a picture.
      valid: 1 where it is known.
    """
    picture, known = np.asarray(image, np.float32), np.asarray(valid, np.float32)[..., None]
    rows, columns = np.indices(picture.shape[:2]) // max(2, round(picture.shape[1] / 40))
    chequer = np.where((rows + columns) % 2 == 0, 0.33, 0.42).astype(np.float32)[..., None]
    return np.where(known > 0, known * picture, 0) + (1 - known) * chequer


def hint_arrows(image: Float[Array, "h w 3"], hints: Hints, frames: float = 50) -> Picture:
    """The image with an arrow for every valid hint, as long as its motion over `frames` frames."""
    picture = np.array(image, np.float32)
    thickness = max(1, round(picture.shape[1] / 256))
    start, motion, valid = (np.asarray(a) for a in (hints.start, hints.motion, hints.valid))
    for p, m in zip(start[valid], motion[valid], strict=True):
        # OpenCV counts from the centre of the first pixel.
        tail, head = (tuple(int(c) for c in np.round(q - 0.5)) for q in (p, p + frames * m))
        cv2.arrowedLine(picture, tail, head, (1.0, 0.9, 0.1), thickness, tipLength=0.25)
    return picture


def write_png(path: PathLike, image: Float[Array, "h w 3"]) -> int:
    """Write an image in 8 bits; the file is replaced at once when it is complete.

    Returns:
      How many values lay outside [0, 1] and were shown as 0 or 1.

    Raises:
      ValueError: not a picture, or NaN in it.
      OSError: the file cannot be written; the message names it.
    """
    picture, saturated = to_bytes(image)
    with replacing(path) as draft:
        _, code = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
        draft.write_bytes(code.tobytes())
    return saturated
