"""Files appear whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """A temporary name beside `path`, moved over it at the end of the block and removed where the block fails.

    The folder is made; the temporary name keeps the suffix, which some encoders read.

    Raises:
      OSError: the file cannot be written; one line that names it.
    """
    path = Path(path)
    draft = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        os.replace(draft, path)
    except OSError as error:
        reason = error.strerror or (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OSError(f"cannot write {path}: {reason}") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
