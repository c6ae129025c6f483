"""What went wrong in a worker, in one line that helps."""

import re
import signal
from collections.abc import Sequence

from mom3d_jax.external.process import Ended

ERROR = "error: "
"""A last line of standard error that begins so was written for the user, with its remedy."""

CAUSES: Sequence[tuple[str, str]] = (
    (
        r"^cannot start ",
        "{python} is no Python that runs here: name another in external.{model}.python",
    ),
    (
        r"No module named '(torch|numpy)'",
        "{python} has no {0}: install it there, or name the model's own environment in external.{model}.python",
    ),
    (
        r"No module named '([\w.]+)'",
        "{python} has no {0}: install it there, or look at external.{model}.repo (docs/external.md has the commands)",
    ),
    (
        r"OutOfMemoryError|CUDA out of memory|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED",
        "the GPU has not enough memory left: free it, choose a smaller size or external.{model}.device=cpu; a model "
        "named behind the recipe (--config=RECIPE:...) keeps JAX from taking the whole GPU beforehand",
    ),
    (
        r"DefaultCPUAllocator: (?:can't|not enough) .*memory|^MemoryError",
        "not enough memory: choose a smaller size.width, or free some",
    ),
    (
        r"Unsupported (?:global|class)|not an allowed global|unsupported GLOBAL|Trying to (?:call reduce|instantiate)",
        "the weights hold Python objects that would run code on loading: prefer safetensors; if you trust where they "
        "come from, name the file in external.{model}.trust",
    ),
    (
        r"PytorchStreamReader failed|failed finding central directory|invalid load key|SafetensorError|"
        r"MetadataIncompleteBuffer|HeaderTooLarge|InvalidHeader|Ran out of input|pickle data was truncated|"
        r"unexpected EOF, expected|file is not a zip file|^EOFError|Unsupported operand",
        "the weights in external.{model}.weights are damaged or cut short: fetch them again",
    ),
    (
        r"No space left on device|Disk quota exceeded|File too large|File size limit exceeded|"
        r"\d+ requested and \d+ written",
        "no room left where results are written: make some, or choose another work folder",
    ),
    (
        r"not compiled with CUDA enabled|no NVIDIA driver|CUDA driver version is insufficient|"
        r"No CUDA GPUs are available|no kernel image is available|Invalid device",
        "device {device!r} cannot be used from there: choose another external.{model}.device, or a torch built for it",
    ),
    (
        r"size mismatch for|Missing key\(s\) in state_dict|Unexpected key\(s\) in state_dict",
        "the weights do not fit this model: look at external.{model}.weights and external.{model}.options",
    ),
    (
        r"cannot import name|has no attribute|compile_with_cache|undefined symbol|GLIBCXX|"
        r"compiled using NumPy 1|numpy\.dtype size changed|got an unexpected keyword argument",
        "library versions that do not fit together in {python}: docs/external.md has those it was tried with",
    ),
)
"""Pattern in the last lines of a worker, and what it means. The first that is found counts."""

SHOWN = 300
"""Characters of a worker's own words that are shown."""


def what_happened(ended: Ended, model: str, python: str, device: str, timeout: float) -> str | None:
    """One line about a worker that failed; None for one that did not.

    Args:
      ended: how it ended.
      model: its name in the settings.
      python: that it ran with.
      device: that it was to use.
      timeout: seconds that it had.
    """
    last = next((line for line in reversed(ended.stderr) if line.strip()), "")
    if ended.timed_out:
        said = f"; its last words: {last[:SHOWN]}" if last else ""
        return f"not finished after {timeout:g} s and ended: raise external.{model}.timeout (0: no limit){said}"
    if ended.code == 0:
        return None
    if last.startswith(ERROR):
        return last.removeprefix(ERROR)
    end = _ending(ended.code)
    # The exception comes last; what is above it in a long traceback only where that says nothing.
    for lines in (ended.stderr[-1:], ended.stderr[-15:], ended.stdout[-5:]):
        text = "\n".join(lines)
        for pattern, meaning in CAUSES:
            found = re.search(pattern, text, re.MULTILINE)
            if found:
                words = meaning.format(*found.groups(), model=model, python=python, device=device)
                said = next(line for line in reversed(lines) if re.search(pattern, line))
                return f"{words} ({end}: {said[:SHOWN]})"
    if ended.code == 128 + signal.SIGKILL:
        return f"{end}: killed from outside, most often because memory ran out; choose a smaller size.width"
    return f"{end}: {last[:SHOWN] or 'it said nothing'}"


def _ending(code: int) -> str:
    try:
        return f"ended by {signal.Signals(code - 128).name}"
    except ValueError:
        return f"exit code {code}"
