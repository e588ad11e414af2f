"""Ends a process together with everything it started."""

import contextlib
import os
import signal
import time
from pathlib import Path

_SECONDS = 10.0


def end_group(group: int) -> bool:
    """Kill a process group of ours, wait until it is gone and say whether it is.

    By SIGKILL: the emulator has nothing to save, and a busy function or job of it outlives a SIGTERM.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(group, 0)
    deadline = time.monotonic() + _SECONDS
    while _is_alive(group):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _is_alive(group: int) -> bool:
    """Return whether a process of the group still lives; elsewhere than on Linux, the kill has to be proof enough.

    ``killpg(group, 0)`` cannot tell: it counts the dead too, for as long as init does not collect them.
    """
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # From the third field on, see proc_pid_stat(5); the second, a name in brackets, may hold anything.
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            state, its_group, threads = fields[0], int(fields[2]), int(fields[17])
            # A dead process whose threads are not all dead yet still holds its files and locks.
            if its_group == group and (state not in "ZX" or threads > 1):
                return True
    return False
