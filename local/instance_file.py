"""The file that names a running instance, locked for as long as one of its processes lives.

The kernel releases the lock with the last process, so that a file left over from a crash or a reboot is never mistaken
for a running instance, nor another process for ours.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def try_lock(file: Path) -> Iterator[IO[bytes] | None]:
    """Lock the file and yield it, None if an instance holds it. A child that inherits it keeps the lock."""
    with _lock(file, "ab", fcntl.LOCK_EX) as locked:
        yield locked


def content(file: Path) -> dict[str, Any] | None:
    """Return what the running instance has written into its file; None if there is none."""
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError), _lock(file, "rb", fcntl.LOCK_SH) as lock:
        if lock is None:
            found: dict[str, Any] = json.loads(file.read_text())
            return found
    return None


@contextlib.contextmanager
def _lock(file: Path, mode: str, kind: int) -> Iterator[IO[bytes] | None]:
    with file.open(mode) as opened:
        try:
            fcntl.flock(opened, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield opened


def last_lines(log: Path) -> str:
    """Return the end of a log, for a person."""
    with log.open(errors="replace") as lines:
        return "".join(collections.deque(lines, maxlen=10)) + f"(all of it: {log})"
