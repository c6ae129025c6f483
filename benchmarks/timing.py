"""What all benchmarks share: time and memory of a program, the device, a table and a JSON file of the run."""

import argparse
import errno
import json
import math
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jax
import numpy as np

from mom3d_jax.atomic import cannot_write

WARM_UPS = 3

Row = dict[str, Any]


class Timing(NamedTuple):
    """Of a compiled program."""

    ms: float
    """Median."""
    p90: float
    """90th percentile, ms."""
    bytes: int
    """The device's peak where it counts one and this program raised it, otherwise what the program asks for."""


def measure(run: Callable[..., Any], *args: Any, repeats: int) -> Timing:
    """Time `run` after compilation and warm-up, until its results are there."""
    compiled = jax.jit(run).lower(*args).compile()
    args = jax.device_put(args)
    before = device_peak()
    for _ in range(WARM_UPS):
        jax.block_until_ready(compiled(*args))
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(compiled(*args))
        times.append(1e3 * (time.perf_counter() - begin))
    after = device_peak()
    # The peak is that of the whole process, so it says nothing of a program that stays below an earlier one.
    peak = after if after > before else planned_bytes(compiled)
    return Timing(float(np.median(times)), float(np.percentile(times, 90)), peak)


def planned_bytes(compiled: Any) -> int:
    """Arguments, results and temporary memory of a compiled program."""
    memory = compiled.memory_analysis()
    return int(memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes)


def device_peak() -> int:
    """Most bytes that were in use so far; 0 on devices that do not count them, such as a CPU."""
    return int((jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0))


def environment(module: str, arguments: list[str] | None) -> Row:
    """Command, device and versions, for the report."""
    return {
        "command": command(module, arguments),
        "device": f"{jax.devices()[0].device_kind} ({jax.default_backend()}, {platform.machine()})",
        "versions": {"python": platform.python_version(), "jax": jax.__version__, "numpy": np.__version__},
    }


def command(module: str, arguments: list[str] | None) -> str:
    """What was typed, or would have been."""
    return shlex.join(["python", "-m", module, *(sys.argv[1:] if arguments is None else arguments)])


def output_file(name: str) -> Path:
    """Of a command line: a file that can be written, found out before anything is measured."""
    path = Path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(cannot_write(path, error.errno)) from error
    if path.is_dir():
        raise argparse.ArgumentTypeError(cannot_write(path, errno.EISDIR))
    if not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(cannot_write(path, errno.EACCES))
    return path


def save(report: Row, out: Path | None) -> None:
    """Write a report as JSON, where a file is named."""
    if out is not None:
        out.write_text(json.dumps(report, indent=2) + "\n")
        print(out)


def table(rows: list[Row], columns: dict[str, str]) -> str:
    """Rows as an aligned Markdown table.

    Args:
      rows: each with the keys of `columns`.
      columns: key -> format of its values, such as "{:,.1f}".
    """
    cells = [list(columns), *([form.format(row[key]) for key, form in columns.items()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    text = [any(isinstance(row[key], str) for row in rows) for key in columns]
    lines = [
        "| " + " | ".join(c.ljust(w) if t else c.rjust(w) for c, w, t in zip(line, widths, text, strict=True)) + " |"
        for line in cells
    ]
    rule = "|" + "|".join("-" * (w + 1) + ("-" if t else ":") for w, t in zip(widths, text, strict=True)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def fail(line: str) -> NoReturn:
    """End the process with one line for the user and exit code 2."""
    print(line, file=sys.stderr)
    raise SystemExit(2)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what the rasterizer says about bad input into `fail`."""
    try:
        yield
    except (ValueError, NotImplementedError) as error:
        fail(str(error))


def geometric(first: float, last: float, count: int) -> list[int]:
    """Whole numbers at equal ratios, both ends included."""
    ratio = math.log(last / first) / (count - 1)
    return [round(first * math.exp(ratio * k)) for k in range(count)]
