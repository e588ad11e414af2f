"""The part of the simulator's benchmark that needs a stream: everyone puts readings on it, and leaves none behind."""

from __future__ import annotations

from pathlib import Path

import boto3

from benchmarks.simulator.__main__ import stream_rounds
from benchmarks.simulator.putters import STREAM_NAMES


def test_should_put_readings_on_a_stream_and_delete_it(aws: boto3.Session, tmp_path: Path) -> None:
    (measured,) = stream_rounds(3_000, 1, tmp_path / "ready")
    assert measured.keys() == set(STREAM_NAMES)
    assert all(outcome.lines > 0 and outcome.seconds > 0 for outcome in measured.values())
    left = aws.client("kinesis").list_streams()["StreamNames"]
    assert not [name for name in left if name.startswith("benchmark-")]
