"""The data: what Firehose puts into the raw zone, made of the simulated fleet's readings.

``python -m benchmarks.curate.data FOLDER ROWS``. The same number of rows gives the same bytes.
"""

from __future__ import annotations

import datetime as dt
import gzip
import os
import shutil
import sys
import uuid
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.curate.dataset import REGISTRY_KEY, Contents, seal
from benchmarks.plants import encoder, plants, taken
from simulator.fleet.fleet import Fleet
from simulator.fleet.lines import Lines
from simulator.models.epoch import moment

_START = dt.datetime(2026, 11, 23, 9, 40, tzinfo=dt.UTC)
_ROUND = dt.timedelta(seconds=30)  # between two readings of a device
_MOST_DEVICES = 3_000
_FEWEST_ROUNDS = 120  # an hour, so that there is more than one however little data there is

#: Of the most devices, some 50,000 lines, collected for eight and a half minutes.
_ROUNDS_AN_OBJECT = 17

_DUPLICATES, _MALFORMED, _LATE = 0.002, 0.001, 0.0005

#: A late reading waits for so many objects: an hour and three quarters.
_OBJECTS_LATE = 12

#: Objects compressed at once.
_AHEAD = 4


def write(folder: Path, rows: int) -> Contents:
    """Make the data of exactly so many readings in a folder, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    devices = min(_MOST_DEVICES, max(1, rows // _FEWEST_ROUNDS))
    fleet = plants(devices, _ROUND.total_seconds())
    encode = encoder(fleet).encode
    _write_registry(folder / REGISTRY_KEY, fleet)
    objects = _Objects(np.random.default_rng(0))
    humidity = 0.0
    compressed: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for number, readings in enumerate(_collected(fleet, rows)):
            humidity += float(readings.humidity.round(2).sum())
            began = _START + number * _ROUNDS_AN_OBJECT * _ROUND
            until = moment(int(readings.taken[-1]))
            last = (number + 1) * _ROUNDS_AN_OBJECT * devices >= rows
            text, begins = encode(readings)
            lines = [text[begin:end] for begin, end in pairwise(begins.tolist())]
            compressed.append(pool.submit(_put, folder / objects.key(began), objects.text(lines, last=last), until))
            if len(compressed) > _AHEAD:
                compressed.popleft().result()
        while compressed:
            compressed.popleft().result()
    made = Contents(
        rows=rows,
        duplicates=objects.duplicates,
        malformed=objects.malformed,
        late=objects.late,
        objects=number + 1,
        humidity=humidity,
        until=until,
    )
    seal(folder, made)
    return made


def _collected(fleet: Fleet, rows: int) -> Iterator[Lines]:
    """The readings of one object after another."""
    since = _START
    while rows:
        until = since + _ROUNDS_AN_OBJECT * _ROUND
        readings = taken(fleet, since, until)
        readings = readings.rows(np.arange(len(readings.taken)) < rows)
        rows -= len(readings.taken)
        since = until
        yield readings


class _Objects:
    """Takes lines of readings, and has some of them come twice, cut off or late."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self._again: list[bytes] = []
        self._held: deque[list[bytes]] = deque()
        self.duplicates = self.malformed = self.late = 0

    def text(self, lines: list[bytes], *, last: bool) -> bytes:
        """The text of an object; whatever waits comes with the last one."""
        places = np.arange(len(lines), dtype=np.float64)
        twice, cut, held = (self._some(len(lines), rate) for rate in (_DUPLICATES, _MALFORMED, _LATE))
        soon = twice if last else twice[::2]
        more = [
            *(lines[place] for place in soon),
            *(_cut(lines[place], part) for place, part in zip(cut, self._random.random(len(cut)), strict=True)),
            *self._again,
            *self._released([] if last else [lines[place] for place in held], last=last),
        ]
        # A copy comes after what it is a copy of; anything else, anywhere.
        among = np.r_[np.array(soon), np.zeros(len(more) - len(soon))]
        among += self._random.random(len(more)) * (len(lines) - among)
        if not last:
            self._again = [lines[place] for place in twice[1::2]]
            places[held] = np.inf
            self.late += len(held)
        self.duplicates += len(twice)
        self.malformed += len(cut)
        every = np.r_[places, among]
        order = np.argsort(every, kind="stable")[: np.count_nonzero(np.isfinite(every))]
        every_line = lines + more
        return b"".join([every_line[place] for place in order.tolist()])

    def key(self, began: dt.datetime) -> str:
        """The key Firehose gives to an object begun at that moment."""
        name = uuid.UUID(bytes=self._random.bytes(16), version=4)
        return f"raw/dt={began:%Y-%m-%d}/hour={began:%H}/iot-dev-raw-1-{began:%Y-%m-%d-%H-%M-%S}-{name}.gz"

    def _some(self, count: int, rate: float) -> list[int]:
        places: list[int] = np.flatnonzero(self._random.random(count) < rate).tolist()
        return places

    def _released(self, held: list[bytes], *, last: bool) -> list[bytes]:
        self._held.append(held)
        released = []
        while self._held and (last or len(self._held) > _OBJECTS_LATE):
            released += self._held.popleft()
        return released


def _cut(line: bytes, part: float) -> bytes:
    """The beginning of a line, as a gateway leaves it that loses its power; no beginning is JSON."""
    return line[: 10 + int(part * (len(line) - 12))] + b"\n"


def _put(path: Path, text: bytes, arrived: dt.datetime) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text, 6, mtime=0))
    os.utime(path, (arrived.timestamp(), arrived.timestamp()))


def _write_registry(path: Path, fleet: Fleet) -> None:
    """Every device with all that the curation looks up."""
    path.parent.mkdir(parents=True)
    interval = f"{_ROUND.total_seconds():g}"
    lines = ["device,site,model,latitude,longitude,installed,interval,calibration_offset"]
    for number, device in enumerate(sorted(fleet.devices)):
        place = f"{53 + number % 100 / 100:.2f},{9 + number % 70 / 100:.2f}"
        offset = f"{number % 7 / 10 - 0.3:.1f}"
        lines.append(f"{device.id},{device.site},th-{number % 3},{place},2026-01-01,{interval},{offset}")
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
