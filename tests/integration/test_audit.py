"""The audit of a run on the embedded AWS: by hand, so that every number is known."""

from __future__ import annotations

import datetime as dt
import uuid

import boto3
import msgspec
import pytest

from evaluation import audit
from evaluation.audit import Audit, DeviceRow
from evaluation.raw_lines import NOT_READABLE, Lateness, count_raw_lines
from pipeline import athena, etl
from pipeline.deployment import Deployment
from simulator.run.manifest import DeviceCounts, Manifest
from telemetry.reading.codec import encode_batch
from telemetry.reading.model import Reading
from tests.waiting import wait_for

UTC = dt.UTC
SEQS = range(50)


class Run:
    """A run of four devices of its own, whose lines are put on the stream one record after another."""

    def __init__(self, session: boto3.Session, deployed: Deployment) -> None:
        self.session, self.deployed = session, deployed
        self.name = f"audited-{uuid.uuid4().hex[:8]}"
        self.devices = [f"{self.name}-{number}" for number in range(4)]
        self.started_at = dt.datetime.now(UTC)
        self.sent = dict.fromkeys(self.devices, DeviceCounts())

    def line(self, device: str, seq: int) -> bytes:
        ts = self.started_at - dt.timedelta(seconds=len(SEQS) - seq)
        reading = Reading(device_id=device, site="audited", ts=ts, seq=seq, temperature=20.0, status="ok")
        return encode_batch([reading])

    def put(self, *lines: bytes) -> None:
        self.session.client("kinesis").put_record(
            StreamName=self.deployed.stream_name, PartitionKey=f"gw-{self.name}", Data=b"".join(lines)
        )

    def count(self, device: str, **more: int) -> None:
        """Have the manifest say so much more of a device."""
        before = msgspec.structs.asdict(self.sent[device])
        self.sent[device] = DeviceCounts(**{name: before[name] + more.get(name, 0) for name in before})

    def manifest(self) -> Manifest:
        now = dt.datetime.now(UTC)
        names = ("sent", "duplicates", "malformed", "late", "reordered", "refused")
        sums = {name: sum(getattr(counts, name) for counts in self.sent.values()) for name in names}
        return Manifest(
            scenario="by-hand", seed=0, devices=4, gateways=1, speed=1, started_at=self.started_at, ended_at=now,
            arrived_from=self.started_at, arrived_to=now, retried=0, refusal="", by_device=self.sent, **sums,
        )  # fmt: skip

    def raw_objects(self) -> dict[str, bytes]:
        """The raw objects with lines of these devices."""
        s3, bucket = self.session.client("s3"), self.deployed.raw_bucket_name
        listing = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="raw/")
        keys = [entry["Key"] for page in listing for entry in page.get("Contents", [])]
        bodies = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
        return {key: body for key, body in bodies.items() if self.name.encode() in body}

    def arrived(self, lines: int) -> None:
        """Wait until so many lines of these devices are in the raw zone."""
        name = self.name.encode()
        wait_for(lambda: sum(body.count(name) for body in self.raw_objects().values()) >= lines, f"{lines} raw lines")

    def curate(self) -> None:
        etl.run_job(self.session, self.deployed, {})

    def audit(self) -> Audit:
        return audit.audit(self.session, self.deployed, self.manifest())

    def row(self, device: str) -> DeviceRow:
        return next(row for row in self.audit().devices if row.device == device)


@pytest.fixture
def run(aws: boto3.Session, deployed: Deployment) -> Run:
    return Run(aws, deployed)


def test_should_account_for_every_line_by_device_and_stage(run: Run) -> None:
    plain, repeated, damaged, reordered = run.devices
    for device in run.devices:
        seqs = list(SEQS)
        if device == reordered:
            seqs[10], seqs[11] = seqs[11], seqs[10]
        for number in range(0, len(seqs), 10):
            run.put(*(run.line(device, seq) for seq in seqs[number : number + 10]))
        run.count(device, sent=len(seqs))
    run.put(run.line(repeated, 3), run.line(repeated, 4))
    run.count(repeated, sent=2, duplicates=2)
    cut = run.line(damaged, 50)[:-20] + b"\n"
    run.put(cut, b'{"device_id":"aud\n', run.line(damaged, 51).replace(b"20.0", b'"warm"'))
    run.count(damaged, sent=3, malformed=3)
    run.put(run.line(f"stranger-{uuid.uuid4().hex}", 0))
    run.arrived(204)
    run.curate()

    result = run.audit()
    assert result.adds_up
    assert result.foreign >= 1
    rows = {row.device: msgspec.structs.replace(row, lateness=None, reordered=0) for row in result.devices}
    assert rows == {
        plain: DeviceRow(device=plain, sent=50, raw=50, curated=50),
        repeated: DeviceRow(device=repeated, sent=52, raw=52, curated=50, duplicates=2),
        damaged: DeviceRow(device=damaged, sent=53, unreadable=1, raw=52, curated=50, quarantined=2),
        reordered: DeviceRow(device=reordered, sent=50, raw=50, curated=50),
        NOT_READABLE: DeviceRow(device=NOT_READABLE, sent=1, raw=1, quarantined=1),
    }
    assert {row.device: row.reordered for row in result.devices if row.reordered} == {reordered: 1}

    table = athena.query(run.session, run.deployed, f"SELECT arrived, ts FROM readings WHERE device_id = '{plain}'")
    late = (table["arrived"] - table["ts"]).dt.total_seconds()
    measured = next(row.lateness for row in result.devices if row.device == plain)
    assert isinstance(measured, Lateness)
    assert measured.max == pytest.approx(late.max(), abs=0.002)
    assert measured.p50 == pytest.approx(late.quantile(0.5), abs=0.002)
    assert measured.p95 == pytest.approx(late.quantile(0.95), abs=0.002)


def test_should_find_a_loss_at_its_stage_and_device(run: Run) -> None:
    plain, other, *_ = run.devices
    for device in (plain, other):
        run.put(*(run.line(device, seq) for seq in SEQS))
        run.count(device, sent=len(SEQS))
    run.arrived(100)
    run.curate()
    assert run.audit().adds_up

    run.put(run.line(other, 50))
    run.count(other, sent=1)
    run.arrived(101)
    not_curated = run.audit()
    assert not not_curated.adds_up
    assert {row.device: row.lost_in_curation for row in not_curated.devices if row.lost} == {other: 1}
    run.curate()
    assert run.audit().adds_up

    run.count(plain, sent=1)
    result = run.audit()
    assert not result.adds_up
    assert {row.device: row.lost_in_delivery for row in result.devices if row.lost} == {plain: 1}
    run.count(plain, sent=-1)

    ((key, body),) = [each for each in run.raw_objects().items() if run.line(other, 7) in each[1]]
    run.session.client("s3").put_object(
        Bucket=run.deployed.raw_bucket_name, Key=key, Body=body.replace(run.line(other, 7), b"")
    )
    row = run.row(other)
    assert (row.lost_in_delivery, row.lost_in_curation, row.surplus_in_curation) == (1, 0, 1)
    assert run.row(plain).lost == 0


def test_should_take_a_record_that_was_delivered_twice_for_no_loss(run: Run) -> None:
    device = run.devices[0]
    batch = [run.line(device, seq) for seq in SEQS]
    run.put(*batch)
    run.put(*batch)
    run.count(device, sent=len(SEQS))
    run.arrived(100)
    run.curate()
    result = run.audit()
    assert result.adds_up
    row = run.row(device)
    assert (row.sent, row.raw, row.redelivered, row.curated, row.duplicates) == (50, 100, 50, 50, 50)
    assert count_raw_lines(run.session, run.deployed.raw_bucket_name, run.manifest()) >= 100
