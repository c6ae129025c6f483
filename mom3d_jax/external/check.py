"""Nothing of a result is used before it was looked at: names, shapes, numbers, signs, units and ranges."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mom3d_jax.external.protocol import TASKS, Array, ExternalError, Item, Task

LEAST_FRAMES_TO_CROSS = 10.0
"""Flow that crosses the whole image in less than so many frames is in another unit."""
LEAST_RELIEF = 1.01
"""Depth whose 99th percentile is less than so many times its 1st is no landscape: the weights do not fit."""


def check_result(task: str, item: Item, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> dict:
    """The arrays of an item's result, as float32 (pictures may stay uint8).

    Args:
      task: a name of `TASKS`.
      item: what was asked.
      arrays: what came back.
      values: what came with them.

    Raises:
      ExternalError: the first thing that is wrong, in one line.
    """
    rules = TASKS[task]
    _check_values(rules, item, values)
    checked = check_arrays(arrays, rules.gives, item, "result")
    {"depth": _check_depth, "flow": _check_flow, "animation": _nothing, "scene": _check_scene}[task](
        item, checked, values
    )
    return checked


def check_arrays(
    arrays: Mapping[str, np.ndarray], rules: Mapping[str, Array], item: Item, what: str
) -> dict[str, np.ndarray]:
    """Names, shapes, finite numbers and ranges of the arrays of an item.

    Raises:
      ExternalError: one line about the first that is wrong.
    """
    unknown = sorted(set(arrays) - set(rules))
    if unknown:
        raise ExternalError(f"{item.name}: {what} array {unknown[0]!r} is not known; known: {', '.join(rules)}")
    sizes: dict[str, int] = {}
    if "image" in item.arrays:
        sizes["h"], sizes["w"] = np.shape(item.arrays["image"])[:2]
    if "frames" in item.values:
        sizes["t"] = item.values["frames"]
    checked = {}
    for name, rule in rules.items():
        if name in arrays:
            checked[name] = _check_array(f"{item.name}: {what} array {name}", arrays[name], rule, sizes)
        elif rule.required:
            raise ExternalError(f"{item.name}: {what} array {name} is missing")
    return checked


def load_arrays(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of a folder, mapped into memory; nothing in them is executed.

    Raises:
      ExternalError: a file that is not a plain NumPy array, or is cut short.
    """
    found = {}
    for file in sorted(folder.glob("*.npy")):
        try:
            found[file.stem] = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            words = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ExternalError(f"{file.name} of its result is not a whole NumPy array ({words})") from error
    return found


def _check_array(where: str, array: np.ndarray, rule: Array, sizes: dict[str, int]) -> np.ndarray:
    """One array; names of sizes that are new are bound to what it has."""
    wanted = tuple(sizes.get(size, size) if isinstance(size, str) else size for size in rule.shape)
    shape = np.shape(array)
    if len(shape) != len(wanted) or any(isinstance(w, int) and w != s for w, s in zip(wanted, shape, strict=True)):
        raise ExternalError(f"{where} has shape {list(shape)}, wanted {list(wanted)}".replace("'", ""))
    sizes |= {name: s for name, s in zip(rule.shape, shape, strict=True) if isinstance(name, str)}
    if rule.pictures and array.dtype == np.uint8:
        return np.asarray(array)
    if array.dtype.kind != "f":
        raise ExternalError(f"{where} is {array.dtype}; save it as float32" + (" or uint8" if rule.pictures else ""))
    with np.errstate(over="ignore"):  # what float32 cannot hold shows as infinite below
        array = np.asarray(array, np.float32)
    bad = np.count_nonzero(~np.isfinite(array))
    if bad:
        raise ExternalError(f"{where}: {bad} of {array.size} values are not finite")
    if array.size and not (rule.low <= array.min() and array.max() <= rule.high):
        raise ExternalError(
            f"{where} goes from {array.min():.6g} to {array.max():.6g}; wanted {rule.low:g} to {rule.high:g}"
        )
    return array


def _check_values(rules: Task, item: Item, values: Mapping[str, Any]) -> None:
    for name, known in rules.says.items():
        if name == "unit" and values.get("kind") != "metric":
            continue  # only a metric has one
        if values.get(name) not in known:
            raise ExternalError(f"{item.name}: {name}={values.get(name)!r} in result.json; one of {', '.join(known)}")


def _check_depth(item: Item, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> None:
    depth, kind = arrays["depth"], values["kind"]
    low, high = float(depth.min()), float(depth.max())
    if kind == "metric" and low <= 0:
        share = np.mean(depth <= 0)
        raise ExternalError(f"{item.name}: {share:.1%} of the metric depth is not positive; the least is {low:g}")
    if kind == "inverse" and (low < 0 or high == 0):
        raise ExternalError(f"{item.name}: inverse depth goes from {low:g} to {high:g}; 1 / z is positive")
    first, last = np.percentile(depth, (1, 99))
    if low == high or (kind != "relative" and last < LEAST_RELIEF * first):
        raise ExternalError(f"{item.name}: the {kind} depth is {first:g} nearly everywhere; are these its weights?")


def _check_flow(item: Item, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> None:
    flow = arrays["flow"]
    longest, side = float(np.linalg.norm(flow, axis=-1).max()), max(flow.shape[:2])
    if longest * LEAST_FRAMES_TO_CROSS > side:
        raise ExternalError(
            f"{item.name}: the longest flow vector has {longest:.3g} px on an image of {side} px; "
            "flow counts px per frame at the size of the image"
        )


def _check_scene(item: Item, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> None:
    given = set(arrays) | set(values.get("files", ()))
    if not {"points", "gaussians.ply"} & given:
        raise ExternalError(f"{item.name}: the result has neither points nor gaussians.ply")
    for first, second in (("points", "colors"), ("cameras", "intrinsics"), ("images", "cameras")):
        if first in arrays and second not in arrays:
            raise ExternalError(f"{item.name}: the result has {first} without {second}")
    if "cameras" in arrays:
        rotations = arrays["cameras"][:, :3, :3]
        if not np.allclose(rotations @ np.swapaxes(rotations, 1, 2), np.eye(3), atol=1e-3):
            raise ExternalError(f"{item.name}: the cameras are not world-to-camera matrices [R t; 0 0 0 1]")


def _nothing(item: Item, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> None:
    """A video has no more to it than its range."""
