"""The handler as Lambda calls it, on moto's DynamoDB, SQS and S3."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdas.bootstrap import LAMBDA, Handler, Runtime, bootstrap
from lambdas.detector.function import DetectorFunction, Settings
from tests.unit.store.tables import create_state_table

CONTEXT: Any = SimpleNamespace(
    function_name="detector",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:::detector",
    aws_request_id="1",
)


def wired(environ: dict[str, str], runtime: Runtime = LAMBDA) -> Handler:
    return bootstrap(DetectorFunction, Settings, environ=environ, runtime=runtime)


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The environment that the CDK app deploys."""
    with mock_aws():
        create_state_table()
        boto3.client("s3").create_bucket(Bucket="rules-bucket")
        queue = boto3.client("sqs").create_queue(QueueName="transitions")["QueueUrl"]
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "detector")
        monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "IoTPipeline")
        (tmp_path / "rules.yaml").write_text("rules: [{name: too-hot, when: temperature > 40, severity: critical}]")
        monkeypatch.chdir(tmp_path)
        yield {
            "STAGE": "dev",
            "STATE_TABLE": "states",
            "TRANSITIONS_QUEUE_URL": queue,
            "CONFIG_BUCKET": "rules-bucket",
            "RULES_KEY": "rules.yaml",
            "REGISTRY_KEY": "registry/devices.csv",
        }


@pytest.fixture
def handler(environ: dict[str, str]) -> Handler:
    return wired(environ)


def record(sequence: int, *lines: str, gateway: str = "gw") -> dict[str, Any]:
    return {
        "eventSource": "aws:kinesis",
        "eventID": f"shardId-0:{sequence}",
        "kinesis": {
            "partitionKey": gateway,
            "sequenceNumber": str(sequence),
            "approximateArrivalTimestamp": time.time(),
            "data": base64.b64encode("".join(line + "\n" for line in lines).encode()).decode(),
        },
    }


def line(seq: int, temperature: float, device: str = "d") -> str:
    ts = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps(
        {"device_id": device, "site": "s", "ts": ts, "seq": seq, "temperature": temperature, "status": "ok"}
    )


def metrics(output: str) -> dict[str, float]:
    """The totals in the EMF lines of a function's output (those with a reason or severity of their own apart)."""
    totals: dict[str, float] = {}
    for blob in (json.loads(text) for text in output.splitlines() if '"_aws"' in text):
        if {"reason", "severity"} & blob.keys():
            continue
        for definition in blob["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            (totals[definition["Name"]],) = blob[definition["Name"]]
    return totals


def test_should_alert_and_report_nothing_to_retry(handler, capsys: pytest.CaptureFixture[str]) -> None:
    response = handler({"Records": [record(1, line(1, 41), "nonsense"), record(2, line(2, 20))]}, CONTEXT)
    assert response == {"batchItemFailures": []}
    seen = metrics(capsys.readouterr().out)
    assert seen["Records"] == 2
    assert seen["Readings"] == 2
    assert seen["RejectedReadings"] == 1
    assert seen["Transitions"] == 2
    assert seen["RulesRejected"] == 0


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_should_fail_the_whole_batch_when_a_state_cannot_be_read(handler) -> None:
    table = boto3.client("dynamodb")
    item: Any = {"gateway": {"S": "gw"}, "part": {"S": "alerts"}, "version": {"N": "1"}, "state": {"B": b"x\x9c"}}
    table.put_item(TableName="states", Item=item)
    with pytest.raises(Exception, match="incomplete or truncated stream"):
        handler({"Records": [record(1, line(1, 41))]}, CONTEXT)


class RefusingQueue:
    """Refuses one gateway's transitions."""

    def send_message_batch(self, *, Entries: list[dict[str, str]], **_: str) -> dict[str, Any]:  # noqa: N803
        if any('"gateway":"bad"' in entry["MessageBody"] for entry in Entries):
            raise ConnectionError("refused")
        return {"Successful": []}


def refusing(environ: dict[str, str]) -> Handler:
    def client(service: str) -> Any:
        return RefusingQueue() if service == "sqs" else LAMBDA.client(service)

    return wired(environ, LAMBDA._replace(client=client))


def test_should_retry_only_the_failed_gateway(environ: dict[str, str]) -> None:
    records = [
        record(1, line(1, 41)),
        record(2, line(1, 41, "e"), gateway="bad"),
        record(3, line(2, 20, "e"), gateway="bad"),
    ]
    response = refusing(environ)({"Records": records}, CONTEXT)
    assert response == {"batchItemFailures": [{"itemIdentifier": "2"}, {"itemIdentifier": "3"}]}


def test_should_retry_only_the_failed_gateway_of_each_partition(environ: dict[str, str]) -> None:
    """The failed gateway's later record waits for the first; other gateways and partitions go on."""

    def kafka(offset: int, gateway: str, *lines: str) -> dict[str, Any]:
        key, value = (base64.b64encode(text.encode()).decode() for text in (gateway, "\n".join(lines)))
        stamp = {"timestamp": int(time.time() * 1000), "timestampType": "LOG_APPEND_TIME"}
        return {"topic": "t", "offset": offset, **stamp, "key": key, "value": value, "headers": []}

    records = {
        "t-0": [kafka(7, "bad", line(1, 41, "e")), kafka(8, "gw", line(1, 41)), kafka(9, "bad", line(2, 20, "e"))],
        "t-1": [kafka(0, "gw-2", line(1, 41, "f")), kafka(1, "gw-2", line(2, 20, "f"))],
    }
    response = refusing(environ)({"eventSource": "aws:kafka", "records": records}, CONTEXT)
    assert response == {
        "batchItemFailures": [
            {"itemIdentifier": {"partition": "t-0", "offset": 7}},
            {"itemIdentifier": {"partition": "t-0", "offset": 9}},
        ]
    }
    assert json.loads(json.dumps(response)) == response


def test_should_say_that_the_rules_are_broken(handler, capsys: pytest.CaptureFixture[str]) -> None:
    boto3.client("s3").put_object(Bucket="rules-bucket", Key="rules.yaml", Body=b"rules: 7")
    assert handler({"Records": [record(1, line(1, 41))]}, CONTEXT) == {"batchItemFailures": []}
    seen = metrics(capsys.readouterr().out)
    assert (seen["RulesRejected"], seen["Transitions"]) == (1, 1)


def test_should_count_an_empty_record_and_go_on(handler, capsys: pytest.CaptureFixture[str]) -> None:
    empty = record(1)
    assert empty["kinesis"]["data"] == ""
    assert handler({"Records": [empty, record(2, line(1, 41))]}, CONTEXT) == {"batchItemFailures": []}
    seen = metrics(capsys.readouterr().out)
    assert (seen["RejectedReadings"], seen["Transitions"]) == (1, 1)
