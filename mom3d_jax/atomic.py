"""Files appear whole or not at all."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

PathLike = str | os.PathLike[str]

NO_ROOM = {errno.ENOSPC: "no space left", errno.EDQUOT: "quota used up", errno.EFBIG: "file size limit reached"}


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
        raise OSError(cannot_write(path, error.errno, str(error))) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def cannot_write(path: PathLike, number: int | None, words: str = "") -> str:
    """The line for something that could not be written.

    Args:
      path: what it was.
      number: of the operating system's error, where it is known.
      words: of the library that failed, for where it is not.
    """
    if number in NO_ROOM:
        return f"cannot write {path}: {NO_ROOM[number]}; make room, or choose another place"
    if number:
        return f"cannot write {path}: {os.strerror(number)}; choose a place that can be written to"
    reason = (words.strip().splitlines() or ["unknown reason"])[0]
    return f"cannot write {path}: {reason}; look at room and permissions there"
