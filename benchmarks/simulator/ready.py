"""The requests that the simulator makes of a stream, before anyone is measured: ``… .ready FILE ROWS``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import msgspec

from benchmarks.simulator.ours import scenario, simulate
from simulator.sinks.kinesis import KinesisSink

#: A request's records: partition key and payload.
Request = list[tuple[str, bytes]]


class _Recorder:
    """A Kinesis client that keeps what it is asked to put, and takes everything."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def put_records(self, **request: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html"""
        self.requests.append([(record["PartitionKey"], record["Data"]) for record in request["Records"]])
        return {"Records": [{} for _ in request["Records"]]}


def requests(rows: int) -> list[Request]:
    """All requests of a run of so many readings, in their order."""
    client = _Recorder()
    simulate(scenario("calm"), rows, KinesisSink(cast("Any", client), "none"))
    return client.requests


def write(path: Path, rows: int) -> None:
    """Keep them in a file."""
    path.write_bytes(msgspec.msgpack.encode(requests(rows)))


def read(path: Path) -> list[Request]:
    """The requests in the file."""
    return msgspec.msgpack.decode(path.read_bytes(), type=list[Request])


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
