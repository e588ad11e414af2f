"""From a reading to an alert and the raw zone on LocalStack, where one is up.

Says where by ``LOCALSTACK_ENDPOINT=http://127.0.0.1:4566``. What the free image lacks (Glue, Athena) is not
asked of it.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from localstack_client.session import Session

from local import deployment
from local.endpoint import local_environment
from pipeline.inbox import open_inbox
from telemetry.reading.codec import encode_batch
from telemetry.reading.model import Reading
from tests.waiting import wait_for

ENDPOINT = os.environ.get("LOCALSTACK_ENDPOINT", "")

pytestmark = pytest.mark.skipif(not ENDPOINT, reason="LOCALSTACK_ENDPOINT says where LocalStack is; it is not set")


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    for name, value in local_environment(ENDPOINT).items():
        monkeypatch.setenv(name, value)
    parts = urlsplit(ENDPOINT)
    monkeypatch.setenv("LOCALSTACK_HOST", f"{parts.hostname}:{parts.port}")
    localstack: boto3.Session = Session(localstack_host=parts.hostname)
    return localstack


def test_should_bring_a_reading_to_a_subscriber_and_to_the_raw_zone(session: boto3.Session, tmp_path: Path) -> None:
    cloudformation = session.client("cloudformation")
    deployment.deploy(cloudformation, "dev", lambda _progress: None, home=tmp_path)
    outputs = {
        output["OutputKey"]: output["OutputValue"]
        for stack in cloudformation.describe_stacks()["Stacks"]
        for output in stack.get("Outputs", [])
    }
    now = dt.datetime.now(dt.UTC)
    reading = Reading(device_id=f"device-{now:%H%M%S}", site="s", ts=now, seq=1, temperature=45.0, status="ok")
    with open_inbox(session, outputs["AlertsTopicArn"]) as inbox:
        session.client("kinesis").put_record(
            StreamName=outputs["StreamName"], PartitionKey="gw-1", Data=encode_batch([reading])
        )
        received = wait_for(lambda: inbox.receive(wait_seconds=5), "the alert", seconds=180)
        assert received[0].notification.alerts[0].device == reading.device_id

    s3 = session.client("s3")
    prefix = f"raw/dt={now:%Y-%m-%d}/"
    wait_for(
        lambda: s3.list_objects_v2(Bucket=outputs["RawBucketName"], Prefix=prefix)["KeyCount"],
        "the reading in the raw zone",
        seconds=180,
    )
