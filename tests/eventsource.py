"""Lambda's Kinesis event source mapping, as it is documented, on a fake clock and without threads.

The sentences it is made of stand in the docstrings, with the pages they come from:

* https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html (polling, batching, order, parallelization)
* https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html (partial failures)
* https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html (retries, bisecting, giving up)

Time passes only by invocations, a second each: how long Lambda waits between retries is not documented.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from local.memory_aws.faults import Killed

SECOND = dt.timedelta(seconds=1)


class Record(NamedTuple):
    """One stream record; ``sequence`` grows along its shard.

    ``reshards`` is how often the stream was resharded before: then the keys are in other shards.
    """

    sequence: int
    key: str
    data: bytes
    arrived: dt.datetime
    reshards: int = 0

    def event(self) -> dict[str, Any]:
        """The record as a function receives it."""
        return {
            "eventSource": "aws:kinesis",
            "eventID": f"shardId-{self.reshards:012}:{self.sequence}",
            "kinesis": {
                "partitionKey": self.key,
                "sequenceNumber": str(self.sequence),
                "approximateArrivalTimestamp": self.arrived.timestamp(),
                "data": base64.b64encode(self.data).decode(),
            },
        }


class Settings(NamedTuple):
    """The mapping's parameters, by default as the CDK app sets them; ``shards`` is the stream's.

    ``halves_at_first`` is what the pages leave open: a partial failure from the first record on has no sequence
    number to be bisected at. True: the batch is halved, as after a function error. False: it is tried again whole.
    """

    shards: int = 1
    batch_size: int = 100
    parallelization: int = 2
    bisect: bool = True
    retries: int = 100
    max_age: dt.timedelta = dt.timedelta(hours=24)
    halves_at_first: bool = False


class Discarded(NamedTuple):
    """What the failure destination is told of one batch."""

    condition: Literal["RetryAttemptsExhausted", "RecordAgeExceeded"]
    records: tuple[Record, ...]


class Clock:
    """The time, which only :class:`EventSourceMapping` moves."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now


class _Batch(NamedTuple):
    records: Sequence[Record]
    retries: int = 0


class _Lane:
    """A part of a shard that is processed in order: what is to come, and before it the batches to deliver again."""

    def __init__(self) -> None:
        self.unread: deque[Record] = deque()
        self.again: deque[_Batch] = deque()


class EventSourceMapping:
    """Delivers ``records`` to ``function`` until all are processed or given up."""

    def __init__(
        self,
        records: Iterable[Record],
        settings: Settings,
        function: Callable[[dict[str, Any]], Mapping[str, Any] | None],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._function = function
        self._clock = clock
        self._lanes: dict[tuple[int, int, int], _Lane] = {}
        self.failure_destination: list[Discarded] = []
        for record in records:
            self._lanes.setdefault(self._lane(record), _Lane()).unread.append(record)

    def run(self, turns: Iterable[int] = ()) -> None:
        """Deliver everything; ``turns`` says whose turn it is among the lanes that have work, then the first's.

        Batches of one shard run concurrently, up to the parallelization factor. Here they take turns: they share
        no partition key, and so nothing that the function keeps. Shards that were split or merged come first.
        """
        order = iter(turns)
        while working := {key: lane for key, lane in self._lanes.items() if lane.again or lane.unread}:
            oldest = min(reshards for reshards, _, _ in working)
            lanes = [lane for (reshards, _, _), lane in working.items() if reshards == oldest]
            self._deliver(lanes[next(order, 0) % len(lanes)])

    def _lane(self, record: Record) -> tuple[int, int, int]:
        """Shard and part of the shard: "Lambda still ensures in-order processing at the partition-key level"."""
        key = record.key.encode()
        shard = int.from_bytes(hashlib.md5(key).digest()) % self._settings.shards
        return record.reshards, shard, zlib.crc32(key) % self._settings.parallelization

    def _deliver(self, lane: _Lane) -> None:
        """One invocation: the batch to try again if there is one (it blocks what comes after), or the next."""
        size = min(self._settings.batch_size, len(lane.unread))
        batch = lane.again.popleft() if lane.again else _Batch([lane.unread.popleft() for _ in range(size)])
        self._clock.now += SECOND
        batch = self._young(batch)
        if not batch.records:
            return
        failed_from: int | None = None
        with contextlib.suppress(Exception, Killed):
            response = self._function({"Records": [record.event() for record in batch.records]})
            failed_from = _first_failure(batch.records, response)
            if failed_from == len(batch.records):
                return
        self._deliver_again(lane, batch, failed_from)

    def _young(self, batch: _Batch) -> _Batch:
        """The batch without the records past ``max_age``, which go to the failure destination."""
        oldest = self._clock.now - self._settings.max_age
        expired = tuple(record for record in batch.records if record.arrived < oldest)
        if expired:
            self.failure_destination.append(Discarded("RecordAgeExceeded", expired))
        return _Batch([record for record in batch.records if record.arrived >= oldest], batch.retries)

    def _deliver_again(self, lane: _Lane, batch: _Batch, failed_from: int | None) -> None:
        """Put back what has to come again; ``failed_from`` is None after a function error.

        "If your invocation fails and BisectBatchOnFunctionError is turned on, the batch is bisected regardless of
        your ReportBatchItemFailures setting." With a partial response and both turned on, "the batch is bisected at
        the returned sequence number, and Lambda retries only the remaining records". Splitting a batch does not count
        towards the retry quota.
        """
        left = batch.records[failed_from or 0 :]
        if failed_from and self._settings.bisect:
            lane.again.appendleft(_Batch(left, batch.retries))
        elif self._halves(left, failed_from):
            middle = len(left) // 2
            lane.again.extendleft([_Batch(left[middle:], batch.retries), _Batch(left[:middle], batch.retries)])
        elif batch.retries < self._settings.retries:
            lane.again.appendleft(_Batch(left, batch.retries + 1))
        else:
            self.failure_destination.append(Discarded("RetryAttemptsExhausted", tuple(left)))

    def _halves(self, left: Sequence[Record], failed_from: int | None) -> bool:
        error = failed_from is None or self._settings.halves_at_first
        return self._settings.bisect and len(left) > 1 and error


def _first_failure(records: Sequence[Record], response: Mapping[str, Any] | None) -> int | None:
    """Where the records to retry begin: after the last one for a complete success, None for a complete failure.

    "If the batchItemFailures array contains multiple items, Lambda uses the record with the lowest sequence number
    as the checkpoint. Lambda then retries all records starting from that checkpoint." An empty response or list is a
    complete success; an empty or null itemIdentifier, or none, a complete failure. One that is not in the batch is not
    documented; it is taken for a complete failure.
    """
    failures = (response or {}).get("batchItemFailures") or []
    positions = {str(record.sequence): position for position, record in enumerate(records)}
    failed = [positions.get(failure.get("itemIdentifier")) for failure in failures]
    if None in failed:
        return None
    return min((position for position in failed if position is not None), default=len(records))
