"""Lambda's event source mapping from a stream of Kinesis or a topic of Kafka, as it is documented.

On a fake clock and without threads. The sentences it is made of stand in the docstrings, with the pages they come from:

* https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html (polling, batching, order, parallelization)
* https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html (partial failures)
* https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html (retries, bisecting, giving up)
* https://docs.aws.amazon.com/lambda/latest/dg/with-msk-configure.html (polling, batching, order)
* https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html (partial failures, retries, bisecting)

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


#: The kinds of stream.
Stream = Literal["kinesis", "kafka"]
STREAMS: tuple[Stream, ...] = ("kinesis", "kafka")


class Record(NamedTuple):
    """One stream record; ``sequence`` grows along its shard or partition.

    ``reshards`` is how often the stream was resharded before, or the topic got more partitions: then the keys are in
    other ones.
    """

    sequence: int
    key: str
    data: bytes
    arrived: dt.datetime
    reshards: int = 0


class Settings(NamedTuple):
    """The mapping's parameters, by default as the CDK app sets them; ``shards`` is the stream's, or its partitions.

    ``parallelization`` is the factor of Kinesis; Kafka has none: there it is the number of pollers, which share the
    partitions. What the pages leave open:

    - ``halves_at_first``: a partial failure from the first record on has no sequence number to be bisected at. True:
      the batch is halved, as after a function error. False: it is tried again whole.
    - ``only_failed``: what Kafka's pollers deliver again. True: the records that failed, as the page says. False: all
      from the first failure of each partition on, as Kinesis.
    """

    shards: int = 1
    batch_size: int = 100
    parallelization: int = 2
    bisect: bool = True
    retries: int = 100
    max_age: dt.timedelta = dt.timedelta(hours=24)
    halves_at_first: bool = False
    stream: Stream = "kinesis"
    only_failed: bool = True

    def shard_of(self, record: Record) -> int:
        """Return the number of the shard or partition of a record: that of its key."""
        shard = int.from_bytes(hashlib.md5(record.key.encode()).digest()) * self.shards >> 128
        return shard + record.reshards * self.shards

    def event(self, records: Iterable[Record]) -> dict[str, Any]:
        """Return the event with which a function receives records."""
        if self.stream == "kinesis":
            return {"Records": [self._of_kinesis(record) for record in records]}
        partitions: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            partitions.setdefault(f"{TOPIC}-{self.shard_of(record)}", []).append(self._of_kafka(record))
        return {"eventSource": "aws:kafka", "eventSourceArn": "arn", "bootstrapServers": "b-1", "records": partitions}

    def _of_kinesis(self, record: Record) -> dict[str, Any]:
        return {
            "eventSource": "aws:kinesis",
            "eventID": f"shardId-{self.shard_of(record):012}:{record.sequence}",
            "kinesis": {
                "partitionKey": record.key,
                "sequenceNumber": str(record.sequence),
                "approximateArrivalTimestamp": record.arrived.timestamp(),
                "data": _base64(record.data),
            },
        }

    def _of_kafka(self, record: Record) -> dict[str, Any]:
        return {
            "topic": TOPIC,
            "partition": self.shard_of(record),
            "offset": record.sequence,
            "timestamp": round(record.arrived.timestamp() * 1000),
            "timestampType": "LOG_APPEND_TIME",
            "key": _base64(record.key.encode()),
            "value": _base64(record.data) if record.data else None,
            "headers": [{"trace": list(b"1")}],
        }


#: The topic of the events.
TOPIC = "readings"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


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
        """Shard and part of the shard: "Lambda still ensures in-order processing at the partition-key level".

        Of Kafka, the poller: "Lambda reads messages sequentially for each Kafka topic partition. A single Lambda
        payload can contain messages from multiple partitions."
        """
        shard = self._settings.shard_of(record)
        if self._settings.stream == "kafka":
            return record.reshards, 0, shard % self._settings.parallelization
        return record.reshards, shard, zlib.crc32(record.key.encode()) % self._settings.parallelization

    def _deliver(self, lane: _Lane) -> None:
        """One invocation: the batch to try again if there is one (it blocks what comes after), or the next."""
        size = min(self._settings.batch_size, len(lane.unread))
        batch = lane.again.popleft() if lane.again else self._batch([lane.unread.popleft() for _ in range(size)])
        self._clock.now += SECOND
        batch = self._young(batch)
        if not batch.records:
            return
        left: list[Record] | None = None
        with contextlib.suppress(Exception, Killed):
            left = self._failed(batch.records, self._function(self._settings.event(batch.records)))
            if left == []:
                return
        self._deliver_again(lane, batch, left)

    def _batch(self, records: list[Record]) -> _Batch:
        """A new batch, in the order of its event: that of Kafka has one partition after the other."""
        if self._settings.stream == "kinesis":
            return _Batch(records)
        partitions = dict.fromkeys(map(self._settings.shard_of, records))
        return _Batch(
            [record for shard in partitions for record in records if self._settings.shard_of(record) == shard]
        )

    def _young(self, batch: _Batch) -> _Batch:
        """The batch without the records past ``max_age``, which go to the failure destination."""
        oldest = self._clock.now - self._settings.max_age
        expired = tuple(record for record in batch.records if record.arrived < oldest)
        if expired:
            self.failure_destination.append(Discarded("RecordAgeExceeded", expired))
        return _Batch([record for record in batch.records if record.arrived >= oldest], batch.retries)

    def _deliver_again(self, lane: _Lane, batch: _Batch, failed: Sequence[Record] | None) -> None:
        """Put back what has to come again; ``failed`` is None after a function error.

        "If your invocation fails and BisectBatchOnFunctionError is turned on, the batch is bisected regardless of
        your ReportBatchItemFailures setting." With a partial response and both turned on, "the batch is bisected at
        the returned sequence number, and Lambda retries only the remaining records". Splitting a batch does not count
        towards the retry quota. Of Kafka, only an error splits: "When your function returns an error, split the batch
        into two smaller batches and retry each separately."
        """
        left = batch.records if failed is None else failed
        is_part = self._settings.stream == "kinesis" and len(left) < len(batch.records)
        if is_part and self._settings.bisect:
            lane.again.appendleft(_Batch(left, batch.retries))
        elif self._halves(left, is_error=failed is None):
            middle = len(left) // 2
            lane.again.extendleft([_Batch(left[middle:], batch.retries), _Batch(left[:middle], batch.retries)])
        elif batch.retries < self._settings.retries:
            lane.again.appendleft(_Batch(left, batch.retries + 1))
        else:
            self.failure_destination.append(Discarded("RetryAttemptsExhausted", tuple(left)))

    def _halves(self, left: Sequence[Record], *, is_error: bool) -> bool:
        at_first = self._settings.halves_at_first and self._settings.stream == "kinesis"
        return self._settings.bisect and len(left) > 1 and (is_error or at_first)

    def _failed(self, records: Sequence[Record], response: Mapping[str, Any] | None) -> list[Record] | None:
        """Return the records to deliver again; none after a complete success, None after a complete failure.

        An empty response or list is a complete success. Of Kinesis: "If the batchItemFailures array contains multiple
        items, Lambda uses the record with the lowest sequence number as the checkpoint. Lambda then retries all records
        starting from that checkpoint." An empty or null itemIdentifier, or none, is a complete failure. One that is not
        in the batch is not documented; it is taken for a complete failure. Of Kafka: "the handler returns identifiers
        only for the failed messages, allowing Lambda to retry just those specific items", and a partition or offset
        that is not in the event "will be treated as failure and entire batch will be retried".
        """
        failures = [failure.get("itemIdentifier") for failure in (response or {}).get("batchItemFailures") or []]
        names = [self._identifier(record) for record in records]
        if any(failure not in names for failure in failures):
            return None
        first: dict[int, int] = {}
        for number, (record, name) in enumerate(zip(records, names, strict=True)):
            if name in failures:
                first.setdefault(self._settings.shard_of(record), number)
        if self._settings.stream == "kafka" and self._settings.only_failed:
            return [record for record, name in zip(records, names, strict=True) if name in failures]
        return [
            record
            for number, record in enumerate(records)
            if number >= first.get(self._settings.shard_of(record), len(records))
        ]

    def _identifier(self, record: Record) -> object:
        if self._settings.stream == "kinesis":
            return str(record.sequence)
        return {"partition": f"{TOPIC}-{self._settings.shard_of(record)}", "offset": record.sequence}
