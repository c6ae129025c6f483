"""Stands between the project and a worker: ends the worker, and all that it started, when either of the two is gone.

    python -I -S guard.py COMMAND...

It runs as a process of its own, in a session of its own. Its standard input is a pipe whose other end the project
holds: when that end closes, because the project wants no more of it or was killed, the worker is ended. When the worker
ends, whatever it left behind is ended too; on Linux also what moved to a session of its own, since orphans of the
worker become children of the guard. The exit code is the worker's, 128 + n after signal n.

Standard library only, and no import of the project: it has to start at once.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

GRACE = 2.0
"""Seconds between asking a worker to end and ending it."""
PATIENCE = 10.0
"""Seconds to wait for killed processes to go; one that is stuck in the kernel is left to it."""
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LINUX = sys.platform == "linux"


def tell_kernel(option: int, value: int) -> None:
    """Linux's prctl; elsewhere there is none."""
    if LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main() -> int:
    """Run the command to its end."""
    tell_kernel(PR_SET_CHILD_SUBREAPER, 1)
    try:
        worker = subprocess.Popen(
            sys.argv[1:],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # Should even the guard be killed. Safe: there is no other thread yet.
            preexec_fn=lambda: tell_kernel(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509
        )
    except OSError as error:
        print(f"cannot start {sys.argv[1]}: {error.strerror}", file=sys.stderr)
        return 127
    threading.Thread(target=end_with_the_caller, args=(worker,), daemon=True).start()
    code = worker.wait()
    end_what_is_left(worker.pid)
    return code if code >= 0 else 128 - code


def end_with_the_caller(worker: subprocess.Popen) -> None:
    """Wait until the pipe closes, then end the worker."""
    while os.read(0, 4096):
        pass
    worker.terminate()
    try:
        worker.wait(GRACE)
    except subprocess.TimeoutExpired:
        worker.kill()


def end_what_is_left(group: int) -> None:
    """Kill and reap everything that the worker started."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        for child in children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            # Children of what ends here come to us, until there are none.
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def children() -> list[int]:
    """Processes whose parent this one is."""
    found = []
    for entry in os.listdir("/proc") if LINUX else ():
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{int(entry)}/stat", "rb") as file:
                # pid (name) state parent ...; the name may hold anything.
                parent = int(file.read().rpartition(b")")[2].split()[1])
            if parent == os.getpid():
                found.append(int(entry))
    return found


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the thread that waits for the caller is not waited for
