"""The record that sinks deliver: a batch of one gateway."""

from __future__ import annotations

from typing import NamedTuple

#: The most bytes in a record. Kinesis accepts more, but what Firehose reads from the stream may not be larger:
#: https://docs.aws.amazon.com/firehose/latest/dev/limits.html
MAX_RECORD_BYTES = 1_000 * 1024

#: Records that are ready go to the sink together up to this size, bytes, unless the sink asks for more.
OUTBOX_BYTES = 1024 * 1024


class Record(NamedTuple):
    """A gateway's batch, how many lines it has, and when it is sent: Unix time, of a simulation the simulated one."""

    gateway: str
    payload: bytes
    lines: int
    at: float = 0.0
