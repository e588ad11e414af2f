"""The arithmetic of the audit and the counting of raw lines."""

from __future__ import annotations

import datetime as dt
import gzip

import boto3
import pytest
from moto import mock_aws

from pipeline.audit import Audit, count_raw_lines

START = dt.datetime(2026, 11, 23, 11, 59, 50, tzinfo=dt.UTC)
END = START + dt.timedelta(seconds=30)


def test_should_add_up_when_every_line_sent_is_somewhere() -> None:
    assert Audit(sent=10, raw=10, curated=7, duplicates=2, quarantined=1).adds_up


@pytest.mark.parametrize(
    ("curated", "raw", "lost"),
    [(6, 10, 1), (8, 10, -1), (7, 9, 0), (7, 11, 0)],
)
def test_should_not_add_up_when_lines_are_missing_or_too_many(curated: int, raw: int, lost: int) -> None:
    result = Audit(sent=10, raw=raw, curated=curated, duplicates=2, quarantined=1)
    assert result.lost == lost
    assert not result.adds_up


def test_should_count_raw_lines_plain_and_compressed_in_every_hour_of_the_span() -> None:
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="raw-zone")
        for key, body in {
            "raw/dt=2026-11-23/hour=10/before": b"1\n",
            "raw/dt=2026-11-23/hour=11/plain": b"1\n2\n",
            "raw/dt=2026-11-23/hour=11/compressed.gz": gzip.compress(b"3\n4\n\n5\n\n"),
            "raw/dt=2026-11-23/hour=12/cut": b"6\n7",
            "raw/dt=2026-11-23/hour=12/empty-record": b"",
            "raw/dt=2026-11-23/hour=13/after": b"1\n",
            "raw-errors/dt=2026-11-23/hour=11/failed": b"1\n",
        }.items():
            s3.put_object(Bucket="raw-zone", Key=key, Body=body)
        assert count_raw_lines(boto3.Session(), "raw-zone", START, END) == 8
