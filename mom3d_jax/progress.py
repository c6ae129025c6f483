"""Progress of long work: a bar with rate and time left on a terminal, a log line now and then elsewhere."""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType

from tqdm import tqdm

log = logging.getLogger(__name__)

LOG_EVERY = 15.0
"""Seconds between log lines where there is no terminal."""


class Progress:
    """Count of finished pieces of a stage. Use as a context manager."""

    def __init__(self, name: str, total: int, done: int = 0):
        self._name, self._total, self._first = name, total, done
        self._started = self._logged = time.monotonic()
        self._bar = tqdm(total=total, initial=done, desc=name, leave=False) if sys.stderr.isatty() else None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, done: int, **values: float) -> None:
        """Say that `done` pieces are finished; `values` are shown beside."""
        shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        if self._bar is not None:
            self._bar.set_postfix_str(shown, refresh=False)
            self._bar.update(done - self._bar.n)
            return
        now = time.monotonic()
        if now - self._logged < LOG_EVERY and done < self._total:
            return
        self._logged = now
        rate = (done - self._first) / max(now - self._started, 1e-9)
        left = (self._total - done) / rate if rate > 0 else float("inf")
        log.info(
            "%s %d/%d, %.2f/s, %.0f s left%s", self._name, done, self._total, rate, left, f", {shown}" if shown else ""
        )


@contextlib.contextmanager
def still_at(name: str) -> Iterator[None]:
    """A log line now and then while something is under way that has no pieces to count."""
    done, started = threading.Event(), time.monotonic()

    def speak() -> None:
        while not done.wait(LOG_EVERY):
            log.info("%s: still at it after %.0f s", name, time.monotonic() - started)

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield
    finally:
        done.set()
        speaker.join()
