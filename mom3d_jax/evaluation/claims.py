"""One process at a time for each scene of a work folder, without a trace of one that died."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def claimed(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold the claim of a folder.

    The claim is a lock of the operating system on the file `claim` in it, which ends with the process however that
    ends; the file says who holds it, for people.

    Args:
      folder: made if it is not there.
      wait: until another process gives it up.

    Yields:
      Whether the claim is ours; False where another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "claim").open("a+") as file:
        if not _lock(file, wait):
            yield False
            return
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield True


def holder(folder: Path) -> str:
    """Who held the claim last."""
    file = folder / "claim"
    return file.read_text().strip() if file.is_file() else ""


def _lock(file: IO[str], wait: bool) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
