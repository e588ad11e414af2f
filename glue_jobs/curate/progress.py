"""Progress of a run, written every second for whoever waits for it."""

from __future__ import annotations

import time

from glue_jobs.curate.summary import Progress
from glue_jobs.curate.zones.ledger import Ledger

#: Between two reports; a new phase is told at once.
_SECONDS = 1.0


class Reporter:
    """Counts what was done and has it written down."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._progress = Progress()
        self._told = float("-inf")

    @property
    def rows(self) -> int:
        """Lines read so far."""
        return self._progress.rows

    def phase(self, name: str) -> None:
        """Tell that something else begins."""
        self._progress.phase = name
        self._tell()

    def expect(self, objects: int) -> None:
        """Say how many raw objects there are to read; of those that come with their hours nobody knows before."""
        self._progress.objects_total = objects

    def count(self, *, objects: int, rows: int) -> None:
        """Count what was read."""
        self._progress.objects += objects
        self._progress.rows += rows
        if time.monotonic() - self._told >= _SECONDS:
            self._tell()

    def end(self, summary: str) -> None:
        """Tell how it ended, in JSON."""
        self._progress.phase = "done"
        self._tell(summary)

    def _tell(self, summary: str = "") -> None:
        self._told = time.monotonic()
        self._ledger.report(self._progress, summary)
