"""Who is measured, by name, and what a contender is: something that writes so many readings to a file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

from benchmarks import measuring

#: The fleet of every contender: so many devices, each of which reports every so many seconds, from then on.
DEVICES = 5_000
INTERVAL = 10.0
START = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


class Contender(NamedTuple):
    """Writes at least so many readings to a new file; ``packages`` are those whose versions matter."""

    write: Callable[[Path, int], object]
    packages: tuple[str, ...] = ()


OURS, OURS_FAULTY, OURS_SMALL = "ours", "ours, dirty-network", "ours, 5 lines a record"
PEERS = ("random + json.dumps", "numpy + json.dumps")
FLOOR = "floor"

#: Where each is made. Only the one that runs is imported: its memory is measured.
_MAKERS = {
    OURS: "ours:calm",
    OURS_FAULTY: "ours:dirty_network",
    OURS_SMALL: "ours:small_records",
    PEERS[0]: "plain:contender",
    PEERS[1]: "with_numpy:contender",
    FLOOR: "floor:contender",
}

NAMES = tuple(_MAKERS)


def contender(name: str) -> Contender:
    """Make the contender of this name."""
    return cast("Contender", measuring.contender("simulator", _MAKERS, name))
