"""The whole way of a reading on the embedded AWS, deployed with the real CDK command line."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pandas as pd
import pytest

from evaluation import scoring
from evaluation.audit import audit
from evaluation.raw_lines import count_raw_lines
from glue_jobs.curate.summary import Summary
from pipeline import athena, etl, named_queries, quarantine, registry, truth
from pipeline.deployment import Deployment
from pipeline.inbox import Inbox, Received, open_inbox
from simulator.faults.truth import InjectedFault
from simulator.models.devices import BUILT_IN
from simulator.models.sites import Site
from simulator.run.simulation import plan, simulate
from simulator.scenario.faults import BatteryDying, Duplicate, Malformed, Reorder, Spike, Step
from simulator.scenario.scenario import Group, Scenario
from simulator.sinks.kinesis import KinesisSink
from telemetry.notifying.message import NotifiedAlert
from tests.waiting import wait_for

UTC = dt.UTC

#: Within seconds, unless a run of the notifier is cut off, as on a machine that does much else: the queue gives its
#: messages again after three minutes.
TOLD_SECONDS = 240


class Pipeline:
    """A deployed pipeline, as a gateway, a subscriber and an analyst see it."""

    def __init__(self, session: boto3.Session, deployed: Deployment, inbox: Inbox) -> None:
        self.session = session
        self.deployed = deployed
        self.inbox = inbox
        self.received: list[Received] = []

    def put(self, *records: bytes, gateway: str = "gw-test") -> None:
        kinesis = self.session.client("kinesis")
        for record in records:
            kinesis.put_record(StreamName=self.deployed.stream_name, PartitionKey=gateway, Data=record)

    def told(self) -> list[NotifiedAlert]:
        """The alerts of every notification so far, in the order in which they were told."""
        self.received += self.inbox.receive(wait_seconds=1)
        return [alert for received in self.received for alert in received.notification.alerts]

    def alert_of(self, device: str, status: str) -> NotifiedAlert:
        """What was told of a device's alert when it was in that status."""

        def arrived() -> NotifiedAlert | None:
            return next((alert for alert in self.told() if (alert.device, alert.status) == (device, status)), None)

        found = wait_for(arrived, f"{device}'s alert, {status}", seconds=TOLD_SECONDS)
        assert found
        return found

    def curate(self, **arguments: str) -> Summary:
        return etl.run_job(self.session, self.deployed, arguments).summary

    def arrived(self, text: str, lines: int) -> None:
        """Wait until that many lines with the text are in the raw zone."""

        def all_there() -> bool:
            found = (line for content in self.raw() for line in content.split(b"\n") if text.encode() in line)
            return sum(1 for _ in found) >= lines

        wait_for(all_there, f"{lines} lines with {text} in the raw zone")

    def raw(self) -> Iterator[bytes]:
        """What is in the raw objects of this hour, and of the one before: the clock may strike after a put."""
        s3, bucket, now = self.session.client("s3"), self.deployed.raw_bucket_name, dt.datetime.now(UTC)
        for at in (now, now - dt.timedelta(hours=1)):
            prefix = f"raw/dt={at:%Y-%m-%d}/hour={at:%H}/"
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    yield s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()

    def query(self, sql: str) -> pd.DataFrame:
        return athena.query(self.session, self.deployed, sql)

    def by_the_hour(self, device: str) -> dict[str, Any]:
        """A device's hours as one, because the clock may strike in the middle of a test."""
        frame = self.query(
            "SELECT sum(received) AS received, sum(expected) AS expected, sum(duplicates) AS duplicates, "
            "min(temperature_min) AS temperature_min, max(temperature_max) AS temperature_max, "
            "sum(temperature_count) AS temperature_count, sum(humidity_count) AS humidity_count "
            f"FROM readings_hourly WHERE device_id = '{device}'"
        )
        return {str(name): value for name, value in frame.to_dict("records")[0].items()}

    def emf(self) -> list[dict[str, Any]]:
        """What the detector has emitted as metrics."""
        pages = (
            self.session.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=f"/aws/lambda/{self.deployed.detector_function_name}")
        )
        messages = [event["message"] for page in pages for event in page["events"]]
        return [json.loads(message) for message in messages if message.startswith("{") and '"_aws"' in message]


@pytest.fixture
def pipeline(aws: boto3.Session, deployed: Deployment) -> Iterator[Pipeline]:
    with open_inbox(aws, deployed.alerts_topic_arn) as inbox:
        yield Pipeline(aws, deployed, inbox)


@pytest.fixture
def device() -> str:
    return f"device-{uuid.uuid4().hex[:8]}"


def reading(device: str, seq: int, temperature: Any = 21.0, *, ago: float = 60.0, **more: Any) -> bytes:
    ts = dt.datetime.now(UTC) - dt.timedelta(seconds=ago - seq)
    # A site of its own is a group of its own: what other tests cause makes no message wait.
    fields = {"device_id": device, "site": f"site of {device}", "ts": ts.isoformat(), "seq": seq, "status": "ok"}
    return json.dumps(fields | {"temperature": temperature} | more).encode() + b"\n"


def _now() -> str:
    return f"{dt.datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def test_should_bring_a_reading_to_a_subscriber_the_raw_zone_and_a_table(pipeline: Pipeline, device: str) -> None:
    lines = reading(device, 1, 41.5, ago=200) + reading(device, 2, 42.0)
    pipeline.put(lines)
    firing = pipeline.alert_of(device, "firing")
    assert (firing.rule, firing.severity, firing.value, firing.sequence) == ("too-hot", "critical", 42.0, 2)
    pipeline.put(reading(device, 3, 20.25, humidity=55.5, battery=3.0))
    resolved = pipeline.alert_of(device, "resolved")
    assert (resolved.value, resolved.alert_id, resolved.fired_at) == (20.25, firing.alert_id, firing.fired_at)

    wait_for(lambda: lines in pipeline.raw(), "the record in the raw zone")
    pipeline.curate()
    table = pipeline.query(f"SELECT temperature, humidity, ts FROM readings WHERE device_id = '{device}' ORDER BY seq")
    assert table["temperature"].tolist() == [41.5, 42.0, 20.25]
    assert table["humidity"].isna().tolist() == [True, True, False]
    assert table["ts"].is_monotonic_increasing
    hourly = pipeline.by_the_hour(device)
    assert (hourly["received"], hourly["expected"], hourly["duplicates"]) == (3, 3, 0)
    assert (hourly["temperature_min"], hourly["temperature_max"], hourly["humidity_count"]) == (20.25, 42.0, 1)


def test_should_keep_each_reading_once_however_often_the_window_is_run(pipeline: Pipeline, device: str) -> None:
    pipeline.put(reading(device, 1) + reading(device, 2), reading(device, 1) + reading(device, 2) + reading(device, 4))
    counts = (
        "SELECT (SELECT count(*) FROM readings) AS readings, (SELECT count(*) FROM quarantine) AS quarantined, "
        "(SELECT sum(duplicates) FROM readings_hourly) AS duplicates"
    )
    pipeline.arrived(device, 5)
    pipeline.curate()
    first = pipeline.query(counts).to_dict("records")
    an_hour_ago = dt.datetime.now(UTC) - dt.timedelta(hours=1)
    again = pipeline.curate(window_from=f"{an_hour_ago:%Y-%m-%dT%H:00:00Z}", window_to=_now())
    assert again.objects > 0
    assert pipeline.query(counts).to_dict("records") == first
    (hourly,) = pipeline.query(
        f"SELECT received, expected, duplicates FROM readings_hourly WHERE device_id = '{device}'"
    ).to_dict("records")
    assert hourly["received"] == 3
    assert hourly["expected"] == 4


def test_should_register_every_partition_it_writes(pipeline: Pipeline, device: str) -> None:
    pipeline.put(reading(device, 1))
    pipeline.arrived(device, 1)
    pipeline.curate()
    glue, s3 = pipeline.session.client("glue"), pipeline.session.client("s3")
    for table in ("readings", "readings_hourly", "site_daily", "device_health"):
        partitions = glue.get_partitions(DatabaseName=pipeline.deployed.database_name, TableName=table)["Partitions"]
        assert partitions
        for partition in partitions:
            bucket, _, prefix = partition["StorageDescriptor"]["Location"].removeprefix("s3://").partition("/")
            (day,) = partition["Values"]
            assert prefix.startswith(f"{table}/dt={day}/")
            assert s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"] > 0


def test_should_take_only_what_is_new_and_say_before_what_that_is(pipeline: Pipeline, device: str) -> None:
    pipeline.curate()
    assert pipeline.curate().objects == 0
    late = 3 * 86_400.0
    pipeline.put(reading(device, 1), reading(device, 2, ago=late) + reading(device, 2, ago=late))
    pipeline.arrived(device, 3)
    plan = pipeline.curate(dry_run="true")
    assert pipeline.query(f"SELECT * FROM readings WHERE device_id = '{device}'").empty
    done = pipeline.curate()
    assert done.objects == plan.objects > 0
    assert done.hours == len(plan.would_change) >= 2
    assert sum(touch.readings for touch in plan.would_change) >= 3
    rows = pipeline.query(f"SELECT seq, dt, copies FROM readings WHERE device_id = '{device}' ORDER BY seq")
    days = [(dt.datetime.now(UTC) - dt.timedelta(seconds=ago)).strftime("%Y-%m-%d") for ago in (59, late - 2)]
    # The time of the second is taken for each of its copies anew: the later contradicts the first.
    assert rows["seq"].tolist() == [1, 2]
    assert rows["dt"].tolist() == days


def test_should_quarantine_a_contradiction_and_take_a_repaired_line_from_the_stream(
    pipeline: Pipeline, device: str
) -> None:
    first = reading(device, 1, 20.0)
    pipeline.put(first, first.replace(b"20.0", b"30.0"), reading(device, 2, "warm"))
    pipeline.arrived(device, 3)
    pipeline.curate()
    bad = pipeline.query(
        f"SELECT reason, line, raw_offset FROM quarantine WHERE line LIKE '%{device}%' ORDER BY reason"
    )
    assert bad["reason"].tolist() == ["conflict", "wrong_type"]
    assert bad["line"][0].encode() == first.replace(b"20.0", b"30.0").strip()
    repaired = bad["line"][1].replace('"warm"', "21.5")
    sink = KinesisSink(pipeline.session.client("kinesis"), pipeline.deployed.stream_name)
    quarantine.send(sink, [repaired.encode()])
    pipeline.arrived(repaired, 1)
    pipeline.curate()
    rows = pipeline.query(f"SELECT seq, temperature FROM readings WHERE device_id = '{device}' ORDER BY seq")
    assert rows["temperature"].tolist() == [20.0, 21.5]


def test_should_calibrate_and_enrich_by_the_registry_and_give_it_out_as_a_table(
    pipeline: Pipeline, device: str
) -> None:
    text = f"device,site,model,interval,calibration_offset\n{device},site of {device},freezer,60,-0.5\n"
    registry.apply(pipeline.session, pipeline.deployed, text.encode())
    pipeline.put(reading(device, 1, 20.0))
    pipeline.arrived(device, 1)
    pipeline.curate()
    (row,) = pipeline.query(
        f"SELECT temperature, temperature_raw, model FROM readings WHERE device_id = '{device}'"
    ).to_dict("records")
    assert row == {"temperature": 19.5, "temperature_raw": 20.0, "model": "freezer"}
    (known,) = pipeline.query("SELECT device_id, model, interval_seconds FROM devices").to_dict("records")
    assert known == {"device_id": device, "model": "freezer", "interval_seconds": 60.0}
    (health,) = pipeline.query(f"SELECT received, expected FROM device_health WHERE device_id = '{device}'").to_dict(
        "records"
    )
    assert health == {"received": 1, "expected": 1}


@pytest.mark.parametrize("name", sorted(query.name for query in named_queries.load()))
def test_should_answer_the_named_queries(pipeline: Pipeline, name: str) -> None:
    (chosen,) = (query for query in named_queries.load() if query.name == name)
    pipeline.query(chosen.sql)


#: A line that is no reading, and the reason that the quarantine gives.
BAD_LINES: dict[str, bytes] = {
    "not_json": b'{"device_id": "cut o\n',
    "not_utf8": b'{"note": "\xff\xfe"}\n',
    "missing_field": b'{"device_id": "d", "site": "s"}\n',
    "wrong_type": reading("bad", 1, "warm"),
    "out_of_bounds": reading("bad", 2, 999),
    "from_future": reading("bad", 3, ago=-7 * 86_400),
    "too_late": reading("bad", 4, ago=40 * 86_400),
}


def test_should_count_and_quarantine_bad_lines_and_leave_the_rest_alone(pipeline: Pipeline, device: str) -> None:
    for reason, line in BAD_LINES.items():
        name = f"{device}-{reason}"
        batch = reading(name, 1, 41, ago=200) + line + reading(name, 2, 41, ago=100) + reading(name, 3, 20)
        pipeline.put(batch, gateway=f"gw-{device}-{reason}")
    for reason in BAD_LINES:
        # It fired and ended while its group waited, and so is told once.
        assert pipeline.alert_of(f"{device}-{reason}", "resolved").fired_at
    wait_for(lambda: {blob.get("reason") for blob in pipeline.emf()} >= BAD_LINES.keys(), "a metric for each reason")

    pipeline.curate()
    good = pipeline.query(
        f"SELECT device_id, count(*) AS n FROM readings WHERE device_id LIKE '{device}-%' GROUP BY device_id"
    )
    assert dict(zip(good["device_id"], good["n"], strict=True)) == {f"{device}-{reason}": 3 for reason in BAD_LINES}
    bad = pipeline.query(
        "SELECT DISTINCT readings.device_id, quarantine.reason, quarantine.raw_line FROM readings "
        f"JOIN quarantine ON readings.raw_object = quarantine.raw_object WHERE readings.device_id LIKE '{device}-%'"
    )
    assert sorted(bad.itertuples(index=False, name=None)) == sorted(
        (f"{device}-{reason}", reason, 2) for reason in BAD_LINES
    )


def test_should_take_a_device_it_has_never_seen_and_a_metric_that_is_null(pipeline: Pipeline, device: str) -> None:
    pipeline.put(reading(device, 1, None, humidity=None) + reading(device, 2, 41, ago=200) + reading(device, 3, 41))
    pipeline.alert_of(device, "firing")
    pipeline.curate()
    hourly = pipeline.by_the_hour(device)
    assert (hourly["received"], hourly["temperature_count"], hourly["humidity_count"]) == (3, 2, 0)


def test_should_count_an_empty_record_and_a_record_of_one_mebibyte(pipeline: Pipeline, device: str) -> None:
    gateway = f"gw-{uuid.uuid4().hex}"
    huge = b"x" * (2**20 - len(gateway) - 1) + b"\n"
    hot = reading(device, 1, 41, ago=200) + reading(device, 2, 41)
    pipeline.put(b"", huge, b"\n" + hot + b"\n", gateway=gateway)
    pipeline.alert_of(device, "firing")
    wait_for(lambda: {blob.get("reason") for blob in pipeline.emf()} >= {"empty", "not_json"}, "a metric for each")
    pipeline.curate()
    assert len(pipeline.query(f"SELECT * FROM readings WHERE device_id = '{device}'")) == 2
    sizes = pipeline.query("SELECT reason, max(length(line)) AS size FROM quarantine GROUP BY reason")
    assert dict(zip(sizes["reason"], sizes["size"], strict=True))["not_json"] == len(huge) - 1
    assert 0 in pipeline.query("SELECT length(line) AS size FROM quarantine WHERE reason = 'empty'")["size"].tolist()


def test_should_use_edited_rules_without_a_deployment_and_keep_them_when_an_edit_is_broken(
    pipeline: Pipeline, device: str
) -> None:
    s3, bucket, key = pipeline.session.client("s3"), pipeline.deployed.config_bucket_name, pipeline.deployed.rules_key
    # The value goes up and down until the edit is seen, however often that is: it must not count as flapping.
    waits = "group_wait: 1s, group_interval: 2s, flapping: {changes: 100, window: 1s}"
    rule = f"{{name: quite-humid, when: humidity > 70, match: {{device: {device}}}, {waits}}}"
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=f"rules: [{rule}]".encode())
        seq = 0

        def fires() -> bool:
            nonlocal seq
            seq += 1
            pipeline.put(reading(device, seq, humidity=71 if seq % 2 else 50))
            return any(alert.rule == "quite-humid" for alert in pipeline.told())

        wait_for(fires, "an alert by the edited rule", seconds=TOLD_SECONDS)
        s3.put_object(Bucket=bucket, Key=key, Body=b"rules: [{name: quite-humid}]")

        def reported() -> bool:
            pipeline.put(reading(device, 0))
            return any(blob.get("RulesRejected") == [1.0] for blob in pipeline.emf())

        wait_for(reported, "the metric for broken rules")
        before = {alert.alert_id for alert in pipeline.told()}
        seq += 100
        # All of now, however often the value had to go up and down: a reading of far ahead would be none. And down
        # before it goes up: where it was up when the edit was seen, that alert goes on, and was told already.
        last = ((seq, 50), (seq + 1, 71), (seq + 2, 50))
        pipeline.put(b"".join(reading(device, number, humidity=value, ago=number) for number, value in last))
        wait_for(
            lambda: any(alert.device == device and alert.alert_id not in before for alert in pipeline.told()),
            "an alert by the last good rules",
            seconds=TOLD_SECONDS,
        )
    finally:
        for version in s3.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", []):
            s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])

    def back_to_the_default_rules() -> bool:
        after = f"{device}-after"
        pipeline.put(reading(after, 1, 41, ago=100) + reading(after, 2, 41, ago=0))
        return any(alert.rule == "too-hot" for alert in pipeline.told())

    wait_for(back_to_the_default_rules, "an alert by the default rules", seconds=TOLD_SECONDS)


def test_should_account_for_every_line_and_alert_of_a_fleet(pipeline: Pipeline) -> None:
    # Of its own devices: in the same lake, another run of the demo's would have sent the same lines.
    models = {"plant": BUILT_IN["indoor"]}
    # Odd readings are rare and nothing comes more than 30 s after its time: a minute without one good reading, which
    # "too-hot" is rightly told of, would take seven of them in a row. The last lines of a device are in order.
    faults = (
        Step(start="4m", duration="10m", count=5, size=30, expect=("too-hot",)),
        BatteryDying(start="1m", duration="18m", count=3, to=2.0, expect=("battery-low",)),
        Spike(start="1m", duration="18m", count=5, size=40, chance=0.05),
        Duplicate(start="0s", duration="18m", chance=0.01, within="30s"),
        Malformed(start="0s", duration="18m", chance=0.01),
        Reorder(start="0s", duration="18m", chance=0.02, within="30s"),
    )
    site = Site(name="shared", gateways=10)
    scenario = Scenario(
        name="account", seed=7, length="20m", interval="10s", sites=(site,), models=models,
        devices=(Group(model="plant", count=100),), faults=faults,
    )  # fmt: skip
    injected: list[InjectedFault] = []
    manifest = simulate(
        plan(scenario, length=scenario.duration, speed=200),
        KinesisSink(pipeline.session.client("kinesis"), pipeline.deployed.stream_name),
        on_injected=injected.append,
    )
    assert (manifest.sent > 12_000, manifest.refused) == (True, 0)
    clock = scoring.wall_clock(manifest)

    def scored() -> scoring.Score:
        pipeline.told()
        ours = [each for each in pipeline.received if each.notification.group.get("site") == "shared"]
        return scoring.score(injected, ours, manifest.ended_at, clock=clock)

    wait_for(lambda: scored().total.recall == 1, "every expected alert", seconds=TOLD_SECONDS)
    assert scored().good
    assert (scored().total.expected, scored().total.false) == (8, 0)
    wait_for(
        lambda: count_raw_lines(pipeline.session, pipeline.deployed.raw_bucket_name, manifest) >= manifest.sent,
        "all lines in the raw zone",
    )
    pipeline.curate()
    found = audit(pipeline.session, pipeline.deployed, manifest)
    assert found.adds_up
    totals = found.totals
    assert (totals.sent, totals.duplicates, totals.quarantined, totals.reordered, totals.redelivered) == (
        manifest.sent, manifest.duplicates, manifest.malformed, manifest.reordered, 0,
    )  # fmt: skip
    assert truth.put(pipeline.session, pipeline.deployed, manifest.scenario, manifest.started_at, injected) > 300
    table = pipeline.query("SELECT id, expects FROM ground_truth WHERE scenario = 'account' AND kind = 'step'")
    assert set(table["expects"]) == {"too-hot"}
    assert len(table) == 5
