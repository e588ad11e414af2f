"""Amazon MSK: where a cluster's brokers are, and the log-in with IAM."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.exceptions import BotoCoreError, TokenRetrievalError
from botocore.stub import Stubber

from simulator.sinks.kafka import KafkaTopic
from simulator.sinks.kafka_access import Access
from simulator.sinks.msk import find_brokers, iam_settings
from simulator.sinks.sink import SinkError

CLUSTER = "arn:aws:kafka:eu-west-1:123456789012:cluster/iot-dev/0b2f1c3d-4e5f-6a7b-8c9d-0e1f2a3b4c5d-2"
BROKERS = "b-1.iot.c2.kafka.eu-west-1.amazonaws.com:9098,b-2.iot.c2.kafka.eu-west-1.amazonaws.com:9098"


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Stubber:
    """Amazon MSK's API: what is added is checked against botocore's model of it, both ways."""
    client = boto3.client("kafka", region_name="eu-west-1")
    asked: list[str] = []

    def stubbed(service: str, *, region_name: str) -> Any:
        assert service == "kafka"
        asked.append(region_name)
        return client

    monkeypatch.setattr(boto3, "client", stubbed)
    stubber = Stubber(client)
    stubber.activate()
    return stubber


def answer(kafka: Stubber, found: dict[str, str]) -> None:
    kafka.add_response("get_bootstrap_brokers", found, {"ClusterArn": CLUSTER})


def test_should_find_the_brokers_for_iam(kafka: Stubber) -> None:
    answer(kafka, {"BootstrapBrokerStringTls": "b-1:9094", "BootstrapBrokerStringSaslIam": BROKERS})
    assert find_brokers(CLUSTER) == BROKERS


def test_should_say_that_a_cluster_has_no_brokers_for_iam(kafka: Stubber) -> None:
    answer(kafka, {"BootstrapBrokerStringTls": "b-1:9094"})
    with pytest.raises(SinkError, match=f"{CLUSTER} has no brokers for clients with IAM; wait until it is active"):
        find_brokers(CLUSTER)


@pytest.mark.parametrize("code", ["ForbiddenException", "AccessDeniedException", "UnauthorizedException"])
def test_should_say_that_it_may_not_ask(kafka: Stubber, code: str) -> None:
    kafka.add_client_error("get_bootstrap_brokers", code, "No.")
    with pytest.raises(SinkError, match=f"not allowed to ask for the brokers of .* \\({code}\\); allow it kafka:Get"):
        find_brokers(CLUSTER)


@pytest.mark.parametrize("code", ["BadRequestException", "NotFoundException", "ConflictException"])
def test_should_say_in_one_line_what_amazon_msk_says(kafka: Stubber, code: str) -> None:
    kafka.add_client_error("get_bootstrap_brokers", code, "You can't get them for a cluster\nin DELETING state.")
    with pytest.raises(SinkError) as caught:
        find_brokers(CLUSTER)
    assert str(caught.value) == (
        f"the MSK cluster {CLUSTER} names no brokers ({code}: You can't get them for a cluster in DELETING state.); "
        "check with 'aws kafka describe-cluster-v2' that it exists and is active"
    )


def test_should_find_them_when_the_sink_is_opened(kafka: Stubber) -> None:
    answer(kafka, {"BootstrapBrokerStringSaslIam": BROKERS})
    topic = KafkaTopic(topic="readings", msk_iam=True, cluster_arn=CLUSTER)
    assert topic.access() == Access(BROKERS, msk_iam=True, region="eu-west-1")


def test_should_say_that_there_is_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ValueError, match="--msk-iam needs the cluster's AWS region"):
        iam_settings(None)


def test_should_say_that_there_are_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(SinkError, match="--msk-iam found no AWS credentials"):
        iam_settings("eu-west-1")


def test_should_say_at_once_that_credentials_are_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    def expired(_region: str) -> tuple[str, int]:
        raise TokenRetrievalError(provider="sso", error_msg="Token has expired and refresh failed")

    monkeypatch.setattr(MSKAuthTokenProvider, "generate_auth_token", expired)
    with pytest.raises(BotoCoreError, match="Token has expired"):
        iam_settings("eu-west-1")


def test_should_sign_tokens_for_the_clusters_region() -> None:
    settings = iam_settings("eu-west-1")
    assert (settings["security.protocol"], settings["sasl.mechanisms"]) == ("SASL_SSL", "OAUTHBEARER")
    token, expires = settings["oauth_cb"]("")
    assert token
    assert 1_700_000_000 < expires < 10_000_000_000  # seconds, not milliseconds
