"""Depth files: `depth.npy`, `depth.png` (16 bit) or `depth.pfm`, and `depth.json` beside them that says what they hold.

    {"kind": "metric" | "inverse" | "relative", "unit": "m" | "cm" | "mm" | "km" | "ft"}

* metric (the default): z in `unit` (default m).
* inverse: 1 / z. Exact zeros, which networks write for the sky, and everything beyond 100 times the nearest depth
  are put at 100 times the nearest depth.
* relative: larger is nearer, up to an unknown scale and shift, as most depth networks give it. Scale and shift are
  chosen so that z = 1 / (d (1 - 1/30) + 1/30), d the values stretched to [0, 1]: the farthest is 30 times the nearest.
"""

import json
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.inputs.array_files import read_npy, read_pfm
from mom3d_jax.inputs.errors import InputError
from mom3d_jax.inputs.images import decode, same_aspect

SUFFIXES = (".npy", ".png", ".pfm")
KINDS = ("metric", "inverse", "relative")
METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "km": 1000.0, "ft": 0.3048}
INVERSE_RANGE = 100.0
RELATIVE_RANGE = 30.0
EDGE_RATIO = 1.1
"""Depths that differ by more than this factor lie on two surfaces and are not averaged."""


def read_depth(path: Path, photo: tuple[int, int], size: tuple[int, int]) -> tuple[Float[np.ndarray, "h w"], list[str]]:
    """Read a depth file.

    Args:
      path: of one of the `SUFFIXES`; `depth.json` is looked for beside it.
      photo: (width, height) of the photo. The depth may have its own size, but not another aspect.
      size: (width, height) wanted.

    Returns:
      Positive z, in metres for the metric kind, and notes on what was changed.

    Raises:
      InputError: an unreadable file, another aspect, an unknown kind or unit, or depth that is NaN or not positive.
    """
    kind, unit = _description(path.with_suffix(".json"))
    values = _values(path)
    if not same_aspect(values.shape[::-1], photo):
        raise InputError(
            f"{path}: {values.shape[1]}x{values.shape[0]}, but the photo is {photo[0]}x{photo[1]}; "
            "depth has to cover the whole photo"
        )
    finite = np.isfinite(values)
    bad = {"metric": ~(finite & (values > 0)), "inverse": ~(finite & (values >= 0)), "relative": ~finite}[kind]
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(
            f"{path}: {bad.sum()} of {bad.size} values are not valid {kind} depth (the first is "
            f"{values[row, column]} in row {row}, column {column}); fill them in, or name the kind in depth.json"
        )
    if kind != "metric" and values.max() <= values.min() and (kind == "relative" or values.max() == 0):
        raise InputError(f"{path}: all values are {values.max()}, so there is no depth in it; remove the file")
    z, notes = as_positive_z(values, kind, unit, path.name)
    return resize_depth(z, size), notes


def as_positive_z(
    values: Float[np.ndarray, "h w"], kind: str, unit: str, source: str
) -> tuple[Float[np.ndarray, "h w"], list[str]]:
    """What a depth file or a network says, as depth along the optical axis.

    Args:
      values: valid ones of their kind: finite; metric positive; inverse at least 0, not all 0; relative not constant.
      kind: one of `KINDS`.
      unit: one of `METRES`, of the metric kind.
      source: where they come from, for the notes.

    Returns:
      Positive z, in metres for the metric kind, and notes on what was changed.
    """
    if kind == "metric":
        return (values * METRES[unit]).astype(np.float32), []
    if kind == "inverse":
        least, notes = values.max() / INVERSE_RANGE, []
        if (values < least).any():
            share = np.mean(values < least)
            notes.append(f"{source}: {share:.1%} lie beyond {INVERSE_RANGE:g} times the nearest depth; put there")
        return (1 / np.maximum(values, least)).astype(np.float32), notes
    nearness = (values - values.min()) / (values.max() - values.min())
    return (1 / (nearness * (1 - 1 / RELATIVE_RANGE) + 1 / RELATIVE_RANGE)).astype(np.float32), []


def resize_depth(z: Float[np.ndarray, "h w"], size: tuple[int, int]) -> Float[np.ndarray, "h2 w2"]:
    """Resample depth to (width, height): smoothly on surfaces, from the nearest pixel at edges.

    Averaging over an edge would make depths that no surface has, points in mid-air.
    """
    if z.shape[::-1] == size:
        return z
    down = size[0] <= z.shape[1] and size[1] <= z.shape[0]
    smooth = cv2.resize(z, size, interpolation=cv2.INTER_AREA if down else cv2.INTER_LINEAR)
    nearest = cv2.resize(z, size, interpolation=cv2.INTER_NEAREST_EXACT)
    reach = 2 * int(np.ceil(max(z.shape[1] / size[0], z.shape[0] / size[1]) / 2)) + 1
    window = np.ones((reach, reach), np.uint8)
    low, high = (cv2.resize(f(z, window), size, interpolation=cv2.INTER_NEAREST_EXACT) for f in (cv2.erode, cv2.dilate))
    return np.where(high > EDGE_RATIO * low, nearest, smooth)


def _description(path: Path) -> tuple[str, str]:
    """Kind and unit that `depth.json` names."""
    if not path.is_file():
        return "metric", "m"
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not valid JSON ({str(error).splitlines()[0]}); see the docs for its form") from error
    if not isinstance(content, dict):
        raise InputError(f'{path}: not an object like {{"kind": "metric", "unit": "m"}}')
    kind, unit = content.get("kind", "metric"), content.get("unit", "m")
    if kind not in KINDS:
        raise InputError(f"{path}: unknown kind {kind!r}; one of {', '.join(KINDS)}")
    if unit not in METRES:
        raise InputError(f"{path}: unknown unit {unit!r}; one of {', '.join(METRES)}")
    return kind, unit


def _values(path: Path) -> Float[np.ndarray, "h w"]:
    """The numbers of a depth file as float64, singleton axes dropped."""
    if path.suffix.lower() == ".png":
        values = decode(path, cv2.IMREAD_UNCHANGED)
        if values.dtype != np.uint16:
            raise InputError(f"{path}: 8 bits per pixel would show as steps; save depth as 16-bit PNG, npy or pfm")
    elif path.suffix.lower() == ".pfm":
        values = read_pfm(path)
    else:
        values = read_npy(path)
    squeezed = np.squeeze(values)
    if squeezed.ndim != 2:
        raise InputError(f"{path}: shape {values.shape}; depth has to be [height, width]")
    return squeezed.astype(np.float64)
