"""How the Triton kernels are cut up: tables of what a tuner found per GPU, and rules where there is none.

A table is a file of `launches/`, named after its device ("NVIDIA H200": `nvidia_h200.json`):

    {"device": "NVIDIA H200", "launches": {"4": {"forward_unroll": 4, "forward_warps": 1, ...}, ...}, ...}

with one launch per number of features in `BUCKETS`; a picture takes the first that is wide enough. Other keys are the
tuner's record of how it came to them, and are not read. `python -m benchmarks.tune` writes such files.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import jax

TABLES = Path(__file__).with_name("launches")
BUCKETS = (1, 4, 8, 16, 32)
"""Numbers of features, depth included, that tables have launches for. Wider pictures are a miss."""


class Launch(NamedTuple):
    """How the kernels are cut up and compiled. The tile is that of the lists, `binning.TILE`. All are powers of two."""

    forward_unroll: int
    """Gaussians per pass of the forward loop."""
    forward_warps: int
    """Warps per tile."""
    backward_group: int
    """Gaussians per pass of the backward loop, which is one matrix product."""
    backward_warps: int
    sum_block: int
    """Gaussians per program of the last sums."""
    sum_unroll: int
    """Rows of each of them that are read together."""
    sum_warps: int


LIMITS = {
    "forward_unroll": (1, 32),
    "forward_warps": (1, 8),
    "backward_group": (8, 64),
    "backward_warps": (1, 8),
    "sum_block": (1, 128),
    "sum_unroll": (1, 64),
    "sum_warps": (1, 8),
}
"""Smallest and largest value of each: what the kernels are written for."""


def choose_launch(channels: int, device: str | None = None) -> Launch:
    """The launch for so many features: from the table of a device, otherwise `heuristic_launch`.

    Args:
      channels: number of features, depth included.
      device: kind of GPU, as JAX names it; that of the first device by default.

    Raises:
      ValueError: the table of this device is broken.
    """
    device = jax.devices()[0].device_kind if device is None else device
    table = read_table(table_file(device), device)
    wide_enough = [bucket for bucket in sorted(table) if bucket >= channels]
    return table[wide_enough[0]] if wide_enough else heuristic_launch(channels)


def heuristic_launch(channels: int) -> Launch:
    """Sizes for any NVIDIA GPU, from registers and instruction counts of the code compiled for an H200.

    * Forward: one warp with two pixels per thread halves the loads of Gaussians per pixel. With 4 Gaussians at a time
      and up to 12 channels it fits 64 registers, which lets 32 tiles run on a multiprocessor, as many as there can be.
      From 32 channels on the sums take more than that, and two warps share them.
    * Backward: 16 Gaussians fill the rows of the matrix units; with two warps each thread has one pixel, and everything
      stays in registers. Four warps would split the Gaussians over threads and do the work twice.
    * Sums: most Gaussians touch a few tiles; large ones are summed 8 rows at a time.
    """
    return Launch(
        forward_unroll=4,
        forward_warps=1 if channels < 32 else 2,
        backward_group=16,
        backward_warps=2,
        sum_block=8,
        sum_unroll=8,
        sum_warps=4,
    )


def table_file(device: str, folder: Path | None = None) -> Path:
    """Where the table of a device kind is looked for."""
    return (folder or TABLES) / f"{re.sub('[^a-z0-9]+', '_', device.lower()).strip('_')}.json"


def read_table(file: Path, device: str) -> dict[int, Launch]:
    """Number of features -> launch; empty where there is no file.

    Raises:
      ValueError: not JSON, of another device, or a field that is missing, unknown or outside of `LIMITS`.
    """
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _broken(file, f"is not JSON ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("launches"), dict):
        raise _broken(file, 'has no object "launches"')
    if content.get("device") != device:
        raise _broken(file, f'field "device" is {content.get("device")!r}, but this is {device!r}')
    known = [str(bucket) for bucket in BUCKETS]
    for channels in content["launches"]:
        if channels not in known:
            raise _broken(file, f'field "launches" has {channels!r}, which is none of {", ".join(known)}')
    return {int(channels): _launch(file, channels, fields) for channels, fields in content["launches"].items()}


def _launch(file: Path, channels: str, fields: Any) -> Launch:
    where = f"launches.{channels}"
    if not isinstance(fields, dict):
        raise _broken(file, f'field "{where}" is {fields!r}, not an object')
    if different := set(fields) ^ set(Launch._fields):
        name = min(different)
        raise _broken(file, f'field "{where}.{name}" is {"unknown" if name in fields else "missing"}')
    for name, (least, most) in LIMITS.items():
        value = fields[name]
        # To Python True is an int, too.
        if type(value) is not int or not least <= value <= most or value & (value - 1):
            raise _broken(file, f'field "{where}.{name}" is {value!r}, not a power of two from {least} to {most}')
    return Launch(**fields)


def _broken(file: Path, what: str) -> ValueError:
    return ValueError(
        f"launch table {file} {what}; write it again with `python -m benchmarks.tune`, or delete it to use the defaults"
    )
