"""The rules of Lambda's event source mapping from Kafka: what is retried, split, given up, and committed when.

As documented, without a consumer, a function or a clock of its own:

* https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html (retries, age, splitting, answers)
* https://docs.aws.amazon.com/lambda/latest/dg/kafka-on-failure.html (batches that are given up)

Where the pages say nothing, it does what they say of Kinesis: splitting a batch costs no retry, nor does an invocation
that did not reach the function. An offset is committed when nothing before it is still to be delivered.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from local.kafka.records import Record, Source
from pipeline import event_source

Condition = Literal["RetryAttemptsExhausted", "RecordAgeExceeded", "MaximumPayloadSizeExceeded"]


class Settings(NamedTuple):
    """Parameters of the mapping, by default as the CDK app sets them."""

    batch_records: int = event_source.BATCH_RECORDS
    window_seconds: float = event_source.BATCH_WINDOW_SECONDS
    event_bytes: int = event_source.EVENT_BYTES
    retries: int = event_source.RETRIES
    max_age: dt.timedelta = dt.timedelta(hours=event_source.MAX_RECORD_AGE_HOURS)


class Item(NamedTuple):
    """A record, and its entry in an event."""

    record: Record
    entry: msgspec.Raw


class Batch(NamedTuple):
    """Records of one invocation; ``invocations`` of them came before, ``retries`` of those count."""

    items: Sequence[Item]
    retries: int = 0
    invocations: int = 0

    def event(self, source: Source) -> bytes:
        """Return the event with the records."""
        return source.event((item.record.partition, item.entry) for item in self.items)


class Outcome(NamedTuple):
    """Result of an invocation: ``answer`` where the function returned, ``error`` is its kind where it failed.

    Neither: it was not reached, for ``reason``.
    """

    answer: Mapping[str, Any] | None = None
    error: str = ""
    reason: str = ""
    request_id: str = ""

    @property
    def reached(self) -> bool:
        """Whether the function ran."""
        return not self.reason


class Discarded(NamedTuple):
    """A batch that is given up; without ``outcome`` it was never tried."""

    condition: Condition
    batch: Batch
    outcome: Outcome | None = None


class Pending:
    """The records that were read and are still to be delivered, in the order of their invocations."""

    def __init__(self, source: Source, settings: Settings, clock: Callable[[], dt.datetime]) -> None:
        self._source = source
        self._settings = settings
        self._clock = clock
        self._batches: deque[Batch] = deque()
        #: By partition: the offset after the last record that was read.
        self._read: dict[int, int] = {}

    def add(self, records: Iterable[Record]) -> list[Discarded]:
        """Add records, in batches that fit into an event; return the records that are too large for any event."""
        too_large: list[Discarded] = []
        names = self._settings.batch_records * (len(self._source.name(0)) + 10)  # as if each had its own partition
        room = self._settings.event_bytes - len(self._source.event([])) - names
        batch: list[Item] = []
        size = 0
        for record in records:
            self._read[record.partition] = record.offset + 1
            item = Item(record, self._source.entry(record))
            length = memoryview(item.entry).nbytes + 1
            if length > room:
                too_large.append(Discarded("MaximumPayloadSizeExceeded", Batch([item])))
                continue
            if batch and (size + length > room or len(batch) == self._settings.batch_records):
                self._batches.append(Batch(batch))
                batch, size = [], 0
            batch.append(item)
            size += length
        if batch:
            self._batches.append(Batch(batch))
        return too_large

    def next(self) -> tuple[Batch | None, list[Discarded]]:
        """Return the next batch to deliver, if there is one, and the records before it that are too old."""
        discarded: list[Discarded] = []
        while self._batches:
            batch = self._batches[0]
            oldest = (self._clock() - self._settings.max_age).timestamp() * 1000
            old = [item for item in batch.items if item.record.timestamp < oldest]
            if not old:
                return batch, discarded
            discarded.append(Discarded("RecordAgeExceeded", batch._replace(items=old)))
            self._batches.popleft()
            if young := [item for item in batch.items if item.record.timestamp >= oldest]:
                self._batches.appendleft(batch._replace(items=young))
        return None, discarded

    def settle(self, batch: Batch, outcome: Outcome) -> list[Discarded]:
        """Apply the outcome of the invocation with the batch that :meth:`next` returned; return what is given up."""
        if not outcome.reached:
            return []
        self._batches.popleft()
        tried = batch._replace(invocations=batch.invocations + 1)
        if outcome.error:
            return self._after_error(tried, outcome)
        failed = _failed(self._source, tried.items, outcome.answer)
        return self._again(tried._replace(items=failed), outcome) if failed else []

    def forget(self, partitions: Collection[int]) -> None:
        """Drop the records of lost partitions: the member that has these now reads the records again."""
        for partition in partitions:
            self._read.pop(partition, None)
        kept: deque[Batch] = deque()
        for batch in self._batches:
            items = [item for item in batch.items if item.record.partition not in partitions]
            if len(items) == len(batch.items):
                kept.append(batch)
            elif items:
                kept.append(batch._replace(items=items))
        self._batches = kept

    def done(self) -> dict[int, int]:
        """Return by partition the offset from which on records are still to be delivered."""
        offsets = dict(self._read)
        for batch in self._batches:
            for item in batch.items:
                partition, offset = item.record.partition, item.record.offset
                offsets[partition] = min(offsets[partition], offset)
        return offsets

    def _after_error(self, batch: Batch, outcome: Outcome) -> list[Discarded]:
        """When the function returns an error, split the batch into two smaller ones and retry each."""
        if len(batch.items) == 1:
            return self._again(batch, outcome)
        middle = len(batch.items) // 2
        halves = (batch._replace(items=batch.items[:middle]), batch._replace(items=batch.items[middle:]))
        self._batches.extendleft(reversed(halves))
        return []

    def _again(self, batch: Batch, outcome: Outcome) -> list[Discarded]:
        if batch.retries >= self._settings.retries:
            return [Discarded("RetryAttemptsExhausted", batch, outcome)]
        self._batches.appendleft(batch._replace(retries=batch.retries + 1))
        return []


def _failed(source: Source, items: Sequence[Item], answer: Mapping[str, Any] | None) -> Sequence[Item]:
    """Return the records to deliver again: just those that the answer names.

    None for an empty answer or one that is null; all of them where it names one that is not in the event.
    """
    failures = (answer or {}).get("batchItemFailures") or []
    named = set(_identifiers(failures))
    known = {(source.name(item.record.partition), item.record.offset): item for item in items}
    if not named <= known.keys():
        return items
    return [item for identifier, item in known.items() if identifier in named]


def _identifiers(failures: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    for failure in failures:
        identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        found = (identifier.get("partition"), identifier.get("offset")) if isinstance(identifier, dict) else None
        match found:
            case (str(), int()):
                yield found
            case _:
                yield None, None
