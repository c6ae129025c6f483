"""One worker process: started without a shell, heard, timed, and ended with everything that it started."""

import collections
import dataclasses
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from mom3d_jax.external import guard

PROGRESS = "progress "
"""A line on standard output that begins so is shown to the user."""
LONGEST_LINE = 2000
KEPT_LINES = 200
ENDING = guard.GRACE + guard.PATIENCE + 3.0
"""Seconds after which a guard that was asked to end is given up."""


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a worker ended."""

    code: int
    """Exit code; 128 + n after signal n."""
    timed_out: bool
    seconds: float
    stdout: tuple[str, ...]
    """Last lines; carriage returns of progress bars count as line ends."""
    stderr: tuple[str, ...]


def run_guarded(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    timeout: float,
    progress: Callable[[str], None],
) -> Ended:
    """Run a command to its end, and end whatever it started.

    On KeyboardInterrupt and any other exception the worker is ended before it goes on; where this process is killed,
    the guard sees its pipe close and does the same.

    Args:
      command: program and arguments.
      folder: working folder.
      environment: all of its variables.
      timeout: seconds that it may take; 0: any time.
      progress: called with each line of progress, from another thread.

    Raises:
      OSError: no process can be started at all.
    """
    began, timed_out = time.monotonic(), False
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__, *command],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C in the terminal reaches us only; we end the worker
    )
    assert process.stdin and process.stdout and process.stderr
    out, err = _Listener(process.stdout, progress), _Listener(process.stderr)
    try:
        process.wait(timeout or None)
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:
        process.stdin.close()
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        out.finish()
        err.finish()
    return Ended(process.returncode, timed_out, time.monotonic() - began, out.lines(), err.lines())


class _Listener:
    """Reads a pipe to its end in a thread of its own, and keeps the last lines."""

    def __init__(self, pipe: IO[bytes], progress: Callable[[str], None] | None = None):
        self._pipe, self._progress = pipe, progress
        self._lines: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
        self._rest = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while data := os.read(self._pipe.fileno(), 65536):
            *whole, self._rest = re.split(rb"[\r\n]+", self._rest + data)
            for line in whole:
                self._take(line)
            if len(self._rest) > LONGEST_LINE:  # garbage without line ends
                self._take(self._rest)
                self._rest = b""
        self._take(self._rest)

    def _take(self, raw: bytes) -> None:
        # Control characters would act on the user's terminal.
        line = re.sub(r"[^\x20-\x7e\xa0-\U0010ffff]", "", raw[:LONGEST_LINE].decode(errors="replace")).rstrip()
        if line and self._progress and line.startswith(PROGRESS):
            self._progress(line.removeprefix(PROGRESS))
        elif line:
            self._lines.append(line)

    def finish(self) -> None:
        """Wait for the end of the pipe; one that somebody still holds open is left to them."""
        self._thread.join(5.0)
        if not self._thread.is_alive():
            self._pipe.close()

    def lines(self) -> tuple[str, ...]:
        """What was kept."""
        return tuple(self._lines)
