"""Puts records by requests of many entries, any of which may fail: cuts the requests and puts again what failed."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from simulator.sinks.batches import Record
from simulator.sinks.sink import Delivery, SinkError

#: How often a record is put before it is given up, and the waits between: some 8 s in all, on average.
MAX_ATTEMPTS = 10
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.05, 3.0  # seconds

#: Errors of a whole request that say no more than that it came too soon.
_BUSY = frozenset({"ProvisionedThroughputExceededException", "ServiceUnavailableException", "ThrottlingException"})

#: Puts one request; returns the records that failed and why the last of them did. Raises :class:`SinkError`.
Put = Callable[[list[Record]], tuple[list[Record], str]]


class Limits(NamedTuple):
    """What a request may hold: how many entries, of how many bytes together, and of how many each."""

    entries: int
    request_bytes: int
    entry_bytes: int


class Putter:
    """Puts records in requests; only the entries that fail are put again, ever later.

    A request holds one record of a gateway at most, and the gateway's next goes out when that one is
    accepted or given up: entries that fail and are put again cannot overtake one another.
    """

    def __init__(
        self,
        put: Put,
        limits: Limits,
        *,
        size: Callable[[Record], int],
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._put, self._limits, self._size = put, limits, size
        self._sleep, self._chance = sleep, chance

    def send(self, records: Sequence[Record]) -> Delivery:
        """Put the records. Raises :class:`SinkError` with all that were not delivered if nothing more can be."""
        fitting = [record for record in records if self._size(record) <= self._limits.entry_bytes]
        refused = [record for record in records if self._size(record) > self._limits.entry_bytes]
        reason = f"larger than {self._limits.entry_bytes:,} bytes" if refused else ""
        retried = 0
        requests = list(self._requests(fitting))
        for number, request in enumerate(requests):
            try:
                delivery = self._deliver(request)
            except SinkError as error:
                later = [record for left in requests[number + 1 :] for record in left]
                error.unsent = [*refused, *error.unsent, *later]
                raise
            retried += delivery.retried
            refused += delivery.refused
            reason = delivery.reason or reason
        return Delivery(retried, tuple(refused), reason)

    def _deliver(self, request: list[Record]) -> Delivery:
        retried = 0
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                failed, reason = self._put(request)
            except SinkError as error:
                error.unsent = request
                raise
            if not failed or attempt == MAX_ATTEMPTS:
                break
            self._sleep(backoff(attempt, self._chance))
            retried += len(failed)
            request = failed
        return Delivery(retried, tuple(failed), f"{reason}, {MAX_ATTEMPTS} times" if failed else "")

    def _requests(self, records: Sequence[Record]) -> Iterator[list[Record]]:
        """Cut records into requests within the limits: first each gateway's first record, then the second."""
        seen: Counter[str] = Counter()
        turns: defaultdict[int, list[Record]] = defaultdict(list)
        for record in records:
            turns[seen[record.gateway]].append(record)
            seen[record.gateway] += 1
        for turn in turns.values():
            request: list[Record] = []
            size = 0
            for record in turn:
                entry = self._size(record)
                if request and (len(request) == self._limits.entries or size + entry > self._limits.request_bytes):
                    yield request
                    request, size = [], 0
                request.append(record)
                size += entry
            yield request


def backoff(attempt: int, chance: Callable[[], float]) -> float:
    """The seconds to wait after the ``attempt``-th failure, the first being 1: a random part of an ever longer time.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    longest: float = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2**attempt)
    return chance() * longest


def failures(request: list[Record], results: Iterable[Mapping[str, Any]]) -> tuple[list[Record], str]:
    """The records of a request whose results, one each in their order, are errors; and the last error."""
    failed, reason = [], ""
    for record, result in zip(request, results, strict=True):
        if code := result.get("ErrorCode"):
            failed.append(record)
            reason = f"{code}: {result.get('ErrorMessage', '')}"
    return failed, reason


def busy(error: ClientError) -> str:
    """Why a whole request should be put again a little later; empty if it should not."""
    detail = error.response["Error"]
    return f"{detail['Code']}: {detail.get('Message', '')}" if detail["Code"] in _BUSY else ""
