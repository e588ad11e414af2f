"""Records of a stream, from the event that Lambda's event source mapping delivers: one decoder per kind of stream.

To read another kind of stream, write its decoder and list it in ``_DECODERS``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from telemetry.alerting.state import Position

if TYPE_CHECKING:  # at run time it would load all of Powertools' batch utility
    from aws_lambda_powertools.utilities.batch.types import KafkaItemIdentifier

Event = Mapping[str, Any]
Clock = Callable[[], dt.datetime]

#: The longest name of a gateway, in characters: that of a partition key of Kinesis. It is part of the keys of DynamoDB,
#: which refuses whole requests with a key of more than 2,048 bytes. Keys of Kafka have no limit.
#: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_GATEWAY_LENGTH = 256

#: The last day that a datetime can express, in milliseconds: producers write what they like into a timestamp.
_END_OF_TIME = int(dt.datetime(9999, 12, 31, tzinfo=dt.UTC).timestamp() * 1000)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Record(NamedTuple):
    """One gateway's batch of lines.

    ``arrived`` is when the stream received it (UTC). ``identifier`` names the record in the answer to Lambda if it
    failed.
    """

    gateway: str
    position: Position
    arrived: dt.datetime
    data: bytes
    identifier: str | KafkaItemIdentifier


class UnknownSourceError(ValueError):
    """The event comes from a source that has no decoder; the message names it."""


def decode_event(event: Event, clock: Clock) -> list[Record]:
    """Return the records of an event, those of a shard or partition in its order.

    ``clock`` is asked where the stream does not say when a record arrived.
    """
    source = event["eventSource"] if "eventSource" in event else event["Records"][0]["eventSource"]
    decoder = _DECODERS.get(source)
    if decoder is None:
        raise UnknownSourceError(f"events of {source!r} cannot be read: map {', '.join(_DECODERS)} to this function")
    return list(decoder(event, clock))


def _from_kinesis(event: Event, _: Clock) -> Iterator[Record]:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html"""
    for each in event["Records"]:
        record = each["kinesis"]
        sequence = record["sequenceNumber"]
        shard = each["eventID"].partition(":")[0]
        arrived = _utc(record["approximateArrivalTimestamp"])
        # msgspec's base64 takes a quarter of the standard library's time.
        data = msgspec.convert(record["data"], bytes)
        yield Record(record["partitionKey"], Position(sequence, arrived, shard), arrived, data, sequence)


class _KafkaRecord(msgspec.Struct):
    """A record of an event, with the fields that matter; bytes are base64. Headers and schemas are left unread."""

    offset: int
    timestamp: int | None = None
    timestamp_type: str = msgspec.field(name="timestampType", default="")
    key: bytes | None = None
    value: bytes | None = None


_KafkaRecords = dict[str, list[_KafkaRecord]]


def _from_kafka(event: Event, clock: Clock) -> Iterator[Record]:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html

    A record without a key belongs to its partition as a whole, which is then the unit of order. A failed record is
    named by the topic and partition under which the event has it, and its offset:
    https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html#kafka-partial-batch-response
    """
    now = clock()
    # Converted at once: two thirds of the time of one conversion per key and value.
    for partition, records in msgspec.convert(event["records"], _KafkaRecords).items():
        for record in records:
            offset, stamped = record.offset, _stamped(record.timestamp)
            arrived = stamped or now
            if arrived > now and record.timestamp_type != "LOG_APPEND_TIME":
                arrived = now  # the producer's clock is ahead: nothing arrives in the future
            yield Record(
                _gateway(record.key) if record.key else partition,
                # Of a record without a time, only the offset says whether it was processed before.
                Position(str(offset), stamped or _EPOCH, partition),
                arrived,
                record.value or b"",
                {"partition": partition, "offset": offset},
            )


def _stamped(milliseconds: int | None) -> dt.datetime | None:
    """Return a record's timestamp; None where it has none (-1, from producers before Kafka 0.10) or a senseless one.

    https://cwiki.apache.org/confluence/display/KAFKA/KIP-32+-+Add+timestamps+to+Kafka+message
    """
    if milliseconds is None or not 0 <= milliseconds < _END_OF_TIME:
        return None
    return _utc(milliseconds / 1000)


def _gateway(key: bytes) -> str:
    """Return the gateway of a key, whatever its bytes; one that is too long for a name is told apart by its digest."""
    name = key.decode(errors="backslashreplace")
    if len(name) <= MAX_GATEWAY_LENGTH:
        return name
    digest = hashlib.sha256(key).hexdigest()[:32]
    return f"{name[: MAX_GATEWAY_LENGTH - len(digest) - 1]}~{digest}"


def _utc(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


#: The decoders, by the event source that events name.
_DECODERS: Mapping[str, Callable[[Event, Clock], Iterator[Record]]] = {
    "aws:kinesis": _from_kinesis,
    "aws:kafka": _from_kafka,
    "SelfManagedKafka": _from_kafka,
}
