"""Verbs of ``iot`` that find the topic by the deployment, with a real Kafka broker."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
import typer
from confluent_kafka.admin import AclOperation, ResourceType
from typer.testing import CliRunner, Result

from cli.target import Choice
from cli.verbs.quarantine import app as quarantine_app
from cli.verbs.replay import replay
from cli.verbs.simulate import simulate
from cli.verbs.status import status
from pipeline import deployment, kafka
from pipeline.deployment import Deployment
from simulator.run.manifest import Manifest
from simulator.sinks.msk import region_of
from telemetry.reading.codec import decode_batch
from tests.deployments import named_deployment
from tests.integration.secured_broker import SecuredBroker

CLUSTER = "arn:aws:kafka:eu-west-1:123456789012:cluster/iot-dev/0b2f1c3d-4e5f-6a7b-8c9d-0e1f2a3b4c5d-2"


@pytest.fixture
def broker(secured: SecuredBroker) -> SecuredBroker:
    return secured


@pytest.fixture
def deploy(broker: SecuredBroker, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Deployment]:
    """Make a deployment with a topic the one that is found."""

    def run(topic: str, cluster: str = "") -> Deployment:
        found = named_deployment(
            ingest="msk", topic_name=topic, kafka_cluster_arn=cluster, consumer_group=f"of-{topic}",
            kafka_bootstrap="" if cluster else broker.address,
        )  # fmt: skip
        monkeypatch.setattr(deployment, "find", lambda _session, stage: {"dev": found}[stage])
        return found

    return run


def iot(verb: Callable[..., Any] | typer.Typer, *words: object) -> Result:
    app = verb
    if not isinstance(app, typer.Typer):
        app = typer.Typer(pretty_exceptions_enable=False)
        app.command()(verb)
    choice = Choice(aws=True, stage="dev")
    return CliRunner().invoke(app, [str(word) for word in words], obj=choice, catch_exceptions=False)


def lines_by_gateway(broker: SecuredBroker, topic: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for message in broker.messages(topic):
        counts[(message.key() or b"").decode()] += (message.value() or b"").count(b"\n")
    return counts


def test_should_simulate_into_the_deployments_topic_from_several_processes(
    broker: SecuredBroker, deploy: Callable[..., Deployment], tmp_path: Path
) -> None:
    broker.create_topic("simulated", 3)
    deploy("simulated")
    manifest = tmp_path / "run.json"
    ran = iot(simulate, "--count", 3_000, "--no-pace", "--processes", 2, "--sink", "kafka", "--manifest", manifest)
    assert ran.exit_code == 0, ran.stderr
    counts = lines_by_gateway(broker, "simulated")
    assert counts.total() == msgspec.json.decode(manifest.read_bytes(), type=Manifest).sent == 3_000
    assert len(counts) > 1
    assert all("-gw-" in gateway for gateway in counts)


def test_should_log_in_by_properties_and_keep_the_password_to_itself(broker: SecuredBroker, tmp_path: Path) -> None:
    broker.create_topic("entrusted", 1)
    manifest = tmp_path / "run.json"
    login = [("--kafka-property", f"{name}={value}") for name, value in broker.access("writer").properties]
    words = [
        "--count", 20, "--no-pace", "--sink", f"kafka://{broker.relayed_address}/entrusted", "--manifest", manifest,
        *(word for option in login for word in option),
    ]  # fmt: skip
    refused = iot(simulate, *words)
    assert refused.exit_code == 1
    assert "not allowed to use the Kafka topic 'entrusted'" in refused.stderr
    broker.allow("writer", ResourceType.TOPIC, "entrusted", AclOperation.DESCRIBE, AclOperation.WRITE)
    ran = iot(simulate, *words)
    assert ran.exit_code == 0, ran.stderr
    assert lines_by_gateway(broker, "entrusted").total() == 20
    assert "w-secret" not in refused.stderr + ran.stderr + ran.stdout + manifest.read_text()


def test_should_replay_a_data_set_into_the_deployments_topic(
    broker: SecuredBroker, deploy: Callable[..., Deployment], tmp_path: Path
) -> None:
    broker.create_topic("replayed", 1)
    deploy("replayed")
    data = tmp_path / "data.csv"
    data.write_text("time,device,temperature\n" + "".join(f"2026-01-01T00:00:0{n}Z,d1,2{n}\n" for n in range(5)))
    ran = iot(replay, data, "--no-pace", "--sink", "kafka", "--kafka-property", "linger.ms=0")
    assert ran.exit_code == 0, ran.stderr
    assert lines_by_gateway(broker, "replayed").total() == 5


def test_should_put_repaired_lines_back_through_the_topic(
    broker: SecuredBroker, deploy: Callable[..., Deployment], tmp_path: Path
) -> None:
    broker.create_topic("repaired", 1)
    deploy("repaired")
    file = tmp_path / "lines.jsonl"
    ran = iot(simulate, "--count", 4, "--no-pace", "--sink", f"file:{file}")
    assert ran.exit_code == 0, ran.stderr
    ran = iot(quarantine_app, "replay", file)
    assert ran.exit_code == 0, ran.stderr
    (message,) = broker.messages("repaired")
    assert message.key() == b"replay"
    assert len(decode_batch(message.value() or b"").readings) == 4


def test_should_say_how_many_records_nobody_has_read_yet(
    broker: SecuredBroker, deploy: Callable[..., Deployment]
) -> None:
    broker.create_topic("watched", 2)
    deploy("watched")
    assert iot(simulate, "--count", 100, "--no-pace", "--sink", "kafka").exit_code == 0
    records = len(broker.messages("watched"))
    assert f"{records:,} records behind" in iot(status).stdout
    lag = json.loads(iot(status, "--json").stdout)["ConsumerLag"]
    assert (lag["Group"], lag["Behind"], len(lag["Partitions"])) == ("of-watched", records, 2)


class BootstrapBrokers(BaseHTTPRequestHandler):
    """The one operation of Amazon MSK's API that clients need."""

    brokers = ""

    def do_GET(self) -> None:
        assert unquote(self.path) == f"/v1/clusters/{CLUSTER}/bootstrap-brokers"
        assert f"/{region_of(CLUSTER)}/kafka/" in self.headers["Authorization"]
        body = json.dumps({"bootstrapBrokerStringSaslIam": self.brokers}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def msk(broker: SecuredBroker, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Amazon MSK with one cluster: the broker, which lets nobody in with credentials of AWS."""
    monkeypatch.setattr(BootstrapBrokers, "brokers", broker.relayed_address)
    server = HTTPServer(("127.0.0.1", 0), BootstrapBrokers)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_KAFKA", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("msk")
@pytest.mark.parametrize("processes", [1, 2])
def test_should_ask_amazon_msk_for_the_brokers_in_each_process(
    processes: int, broker: SecuredBroker, deploy: Callable[..., Deployment]
) -> None:
    deploy("simulated", CLUSTER)
    ran = iot(
        simulate, "--count", 10, "--no-pace", "--processes", processes, "--sink", "kafka",
        "--kafka-property", f"ssl.ca.location={broker.authority}",
    )  # fmt: skip
    assert ran.exit_code == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith(f"simulate: the Kafka brokers at {broker.relayed_address} refuse the log-in (")
    assert "kafka-cluster:Connect" in line


@pytest.mark.usefixtures("msk")
def test_should_show_the_deployment_whose_brokers_cannot_be_asked(
    deploy: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "ANSWER_SECONDS", 1.0)
    deploy("simulated", CLUSTER)
    shown = iot(status)
    assert shown.exit_code == 0
    assert "unknown: no Kafka broker answers at" in shown.stdout
    assert "the-dashboard-name" in shown.stdout
