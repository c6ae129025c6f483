"""Long clips frame by frame or in chunks, so that memory stays bounded."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Float

from mom3d_jax.types import Array


def map_frames(
    function: Callable[..., Any], *arrays: Array | None, chunk: int | None = None, threads: int = 1
) -> Float[np.ndarray, "k ..."]:
    """`function` over frames.

    Args:
      function: of one frame of each array, or, with a chunk, of `chunk` of them, with results along the first axis.
      *arrays: [k, ...] each; None stays None.
      chunk: frames at a time. The last chunk is filled up with its last frame, whose results are dropped, so that one
        compiled program serves all. None takes single frames, which a CPU keeps in its cache: scores of vmapped frames
        took it 1.5 to 4 times as long.
      threads: calls at a time. A compiled program for a CPU hardly uses a second core on arrays of this size.

    Raises:
      ValueError: arrays of different lengths, or no frames.
    """
    lengths = {len(a) for a in arrays if a is not None}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(f"clips of {sorted(lengths)} frames cannot be compared; give the same number of frames, not 0")
    (count,) = lengths
    step = min(chunk or 1, count)

    def part(first: int) -> np.ndarray:
        index = np.minimum(np.arange(first, first + step), count - 1) if chunk else first
        return np.asarray(function(*(None if a is None else a[index] for a in arrays)))

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(part, range(0, count, step)))
    return np.concatenate(parts)[:count] if chunk else np.stack(parts)


def cores() -> int:
    """Threads worth starting; few, because each holds its frames."""
    return min(os.cpu_count() or 1, 4)
