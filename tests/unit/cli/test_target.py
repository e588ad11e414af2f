"""Without --aws, every command stays on this machine."""

from __future__ import annotations

import boto3
import pytest

from cli.target import Choice, find
from local.endpoint import LocalError
from pipeline import deployment
from tests.deployments import named_deployment

LOCAL, AWS = Choice(aws=False, stage="dev"), Choice(aws=True, stage="dev")


@pytest.mark.parametrize("broker", ["192.0.2.7:9092", ""])
def test_should_refuse_a_local_deployment_whose_broker_is_not_on_this_machine(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployment, "find", lambda *_: named_deployment(ingest="msk", kafka_bootstrap=broker))
    with pytest.raises(LocalError, match="a Kafka broker on this machine only"):
        find(boto3.Session(), LOCAL)


@pytest.mark.parametrize(
    ("found", "choice"),
    [
        (named_deployment(ingest="msk", kafka_bootstrap="127.0.0.1:9092"), LOCAL),
        (named_deployment(ingest="msk", kafka_bootstrap=""), AWS),
        (named_deployment(), LOCAL),
    ],
    ids=["broker on this machine", "MSK", "Kinesis"],
)
def test_should_find_any_other(found: deployment.Deployment, choice: Choice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "find", lambda *_: found)
    assert find(boto3.Session(), choice) is found
