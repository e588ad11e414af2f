"""Records of a topic, and the event that Lambda makes of them.

The event: https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

#: As Lambda spells them.
TimestampType = Literal["CREATE_TIME", "LOG_APPEND_TIME", "NO_TIMESTAMP_TYPE"]


class Record(NamedTuple):
    """A record of a topic; ``timestamp`` is in milliseconds since 1970."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp_type: TimestampType = "LOG_APPEND_TIME"


class Source(NamedTuple):
    """The topic that events name as their source."""

    topic: str
    bootstrap: str
    arn: str

    def name(self, partition: int) -> str:
        """Return the name of a partition in events."""
        return f"{self.topic}-{partition}"

    def entry(self, record: Record) -> msgspec.Raw:
        """Return a record as it stands in an event, in JSON."""
        entry = _Entry(
            topic=self.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=record.timestamp,
            timestamp_type=record.timestamp_type,
            headers=[{name: _signed(value or b"")} for name, value in record.headers],
            key=_base64(record.key),
            value=_base64(record.value),
        )
        return msgspec.Raw(msgspec.json.encode(entry))

    def event(self, entries: Iterable[tuple[int, msgspec.Raw]]) -> bytes:
        """Return the event of partitions and their entries, in JSON."""
        records = defaultdict[str, list[msgspec.Raw]](list)
        for partition, entry in entries:
            records[self.name(partition)].append(entry)
        return msgspec.json.encode(
            {
                "eventSource": "aws:kafka",
                "eventSourceArn": self.arn,
                "bootstrapServers": self.bootstrap,
                "records": records,
            }
        )


class _Entry(msgspec.Struct, rename="camel", omit_defaults=True):
    """A record in an event: a key or value that is null is left out."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: TimestampType
    headers: list[dict[str, list[int]]]
    key: str | None = None
    value: str | None = None


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _signed(data: bytes) -> list[int]:
    """Return bytes as numbers from -128 to 127, as Java has them and the libraries for Lambda read them.

    https://github.com/aws/aws-lambda-go/blob/main/events/kafka.go
    """
    return [byte - 256 if byte > 127 else byte for byte in data]
