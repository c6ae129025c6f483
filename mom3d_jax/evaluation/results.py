"""What is known about a scene under a variant: `result.json`, or `error.json` where it failed.

Both carry the hash of everything that they depend on. A file of another version, of other code or settings, or a
damaged one is as good as none: the scene is made again.
"""

import json
import traceback
from pathlib import Path
from typing import Any

from mom3d_jax import artifacts

VERSION = 1
"""Of the two files."""
TAIL = 12
"""Lines of a traceback that are kept."""


def result_file(folder: Path) -> Path:
    """Where the result of a scene lies."""
    return folder / "result.json"


def error_file(folder: Path) -> Path:
    """Where its failure lies."""
    return folder / "error.json"


def write_result(folder: Path, key: str, content: dict[str, Any]) -> None:
    """Write a result, whole, and remove an earlier failure."""
    artifacts.write_json(result_file(folder), {"version": VERSION, "hash": key, **content})
    error_file(folder).unlink(missing_ok=True)


def write_error(folder: Path, key: str, error: Exception, content: dict[str, Any]) -> None:
    """Write a failure: the first line of what was said, and the end of the traceback."""
    words = " ".join(str(error).splitlines()[:1]) or type(error).__name__
    line = words if isinstance(error, ValueError) else f"{type(error).__name__}: {words}"
    tail = "".join(traceback.format_exception(error)).splitlines()[-TAIL:]
    artifacts.write_json(
        error_file(folder), {"version": VERSION, "hash": key, **content, "error": line, "traceback": tail}
    )


def read(file: Path, key: str | None = None) -> dict[str, Any] | None:
    """A result or a failure; None where there is none of this version and, where it is given, of this hash."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("version") != VERSION:
        return None
    return content if key in (None, content.get("hash")) else None
