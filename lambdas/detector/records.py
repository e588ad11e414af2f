"""Records of a stream, from the event that Lambda's event source mapping delivers: one decoder per kind of stream.

To read another kind of stream, write its decoder and list it in ``_DECODERS``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from telemetry.alerting.state import Position

if TYPE_CHECKING:  # at run time it would load all of Powertools' batch utility
    from aws_lambda_powertools.utilities.batch.types import KafkaItemIdentifier

Event = Mapping[str, Any]


class Record(NamedTuple):
    """One gateway's batch of lines. ``identifier`` names the record in the answer to Lambda if it failed."""

    gateway: str
    position: Position
    data: bytes
    identifier: str | KafkaItemIdentifier

    @property
    def arrived(self) -> dt.datetime:
        """When the stream received the record (UTC)."""
        return self.position.arrived


def decode_event(event: Event) -> list[Record]:
    """Return the records of an event, those of a shard or partition in its order."""
    source = event["eventSource"] if "eventSource" in event else event["Records"][0]["eventSource"]
    return list(_DECODERS[source](event))


def _from_kinesis(event: Event) -> Iterator[Record]:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html"""
    for each in event["Records"]:
        record = each["kinesis"]
        sequence = record["sequenceNumber"]
        shard = each["eventID"].partition(":")[0]
        position = Position(sequence, _utc(record["approximateArrivalTimestamp"]), shard)
        yield Record(record["partitionKey"], position, _bytes(record["data"]), sequence)


def _from_kafka(event: Event) -> Iterator[Record]:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html

    A record without a key belongs to its partition as a whole, which is then the unit of order.
    """
    for partition, records in event["records"].items():
        for record in records:
            gateway = _bytes(record.get("key")).decode(errors="backslashreplace") or partition
            offset = record["offset"]
            position = Position(str(offset), _utc(record["timestamp"] / 1000), partition)
            yield Record(gateway, position, _bytes(record.get("value")), {"partition": partition, "offset": offset})


def _utc(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _bytes(base64: str | None) -> bytes:
    # msgspec's base64 takes a quarter of the standard library's time.
    return msgspec.convert(base64 or "", bytes)


#: The decoders, by the event source that events name.
_DECODERS: Mapping[str, Callable[[Event], Iterator[Record]]] = {
    "aws:kinesis": _from_kinesis,
    "aws:kafka": _from_kafka,
    "SelfManagedKafka": _from_kafka,
}
