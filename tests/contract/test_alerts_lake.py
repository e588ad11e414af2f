"""What the notifier hands to Firehose is what the table of alerts reads."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

from cdk.constructs.delivery import Delivery
from lambdas.store.lake import AlertsLake
from telemetry.alerting.transitions import Transition
from telemetry.tables.alerts import ALERTS

if TYPE_CHECKING:
    from mypy_boto3_firehose import FirehoseClient

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
#: How a column's values look in JSON.
JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "bigint": (int,),
    "double": (int, float),
    "boolean": (bool,),
}


class RecordingFirehose:
    """Takes every record and keeps it."""

    def __init__(self) -> None:
        self.records: list[bytes] = []

    def put_record_batch(self, *, Records: Sequence[dict[str, bytes]], **_: str) -> dict[str, Any]:  # noqa: N803
        self.records += [record["Data"] for record in Records]
        return {"FailedPutCount": 0, "RequestResponses": [{"RecordId": "1"} for _ in Records]}


@pytest.fixture
def records() -> list[bytes]:
    """What is put for two transitions."""
    firing = Transition(
        alert_id="3f2a",
        sequence=1,
        change="firing",
        status="firing",
        rule="too-hot",
        severity="critical",
        device="device-1",
        site="plant-1",
        gateway="gateway-1",
        held=None,
        flapping=False,
        metric="temperature",
        value=41.5,
        threshold=40,
        condition="temperature > 40",
        summary="device-1 is hot",
        runbook="docs/hot.md",
        active_at=NOON,
        fired_at=NOON,
        changed_at=NOON,
        recorded_at=NOON,
    )
    pending = msgspec.structs.replace(firing, change="pending", status="pending", fired_at=None, threshold=None)
    client = RecordingFirehose()
    AlertsLake(cast("FirehoseClient", client), "iot-dev-alerts").put([firing, pending])
    return client.records


def test_should_have_the_tables_columns_with_their_types_in_every_line(records: list[bytes]) -> None:
    lines = [json.loads(line) for record in records for line in record.splitlines()]

    assert len(lines) == 2
    for line in lines:
        assert tuple(line) == ALERTS.column_names
        for column in ALERTS.columns:
            assert line[column.name] is None or isinstance(line[column.name], JSON_TYPES[column.type])


def test_should_end_every_line_because_firehose_does_not(records: list[bytes]) -> None:
    stack = Stack(App(analytics_reporting=False, builtin_cloud_formation_validation=False), "test")
    Delivery(
        stack,
        "Delivery",
        name="iot-test-alerts",
        source=None,
        bucket=s3.Bucket(stack, "Lake"),
        prefix="alerts/",
        errors_prefix="alerts-errors/",
        buffer_seconds=60,
        log_retention_days=14,
    )
    (delivery,) = Template.from_stack(stack).find_resources("AWS::KinesisFirehose::DeliveryStream").values()

    assert "ProcessingConfiguration" not in delivery["Properties"]["ExtendedS3DestinationConfiguration"]
    assert all(record.endswith(b"\n") for record in records)
