"""One of those who put on a stream, in a process of its own: ``… .stream_trial NAME ROWS READY``. Prints JSON.

The stream is at ``AWS_ENDPOINT_URL``, is made for this and deleted after.
"""

from __future__ import annotations

import resource
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import msgspec

from benchmarks.measuring import peak_memory_mb
from benchmarks.simulator.putters import PUTTERS, Putter
from benchmarks.simulator.trial import Outcome

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

_SHARDS = 4


def measure(put: Putter, client: KinesisClient) -> Outcome:
    """Put once on a stream of its own, from nothing to the last answer."""
    with _stream(client) as stream:
        began, processor = time.perf_counter(), time.process_time()
        readings = put(client, stream)
        seconds, processor = time.perf_counter() - began, time.process_time() - processor
    return Outcome(readings, seconds, processor, peak_memory_mb(resource.RUSAGE_SELF), {"boto3": boto3.__version__})


@contextmanager
def _stream(client: KinesisClient) -> Iterator[str]:
    name = f"benchmark-{uuid.uuid4()}"
    client.create_stream(StreamName=name, ShardCount=_SHARDS)
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    try:
        yield name
    finally:
        client.delete_stream(StreamName=name)


if __name__ == "__main__":
    out = sys.stdout
    chosen = PUTTERS[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
    out.write(msgspec.json.encode(measure(chosen, boto3.client("kinesis"))).decode())
