"""URLs of sinks: what each means, and what is said of a wrong one."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.deployment import Deployment
from simulator.sinks.destination import Destination
from simulator.sinks.firehose import DeliveryStream
from simulator.sinks.kafka import KafkaTopic
from simulator.sinks.kafka_access import parse_properties
from simulator.sinks.kinesis import KinesisStream
from simulator.sinks.lines import LinesFile, StandardOutput
from simulator.sinks.mqtt import MqttBroker
from simulator.sinks.raw_zone import RawZone
from simulator.sinks.schemes import parse_sink
from tests.deployments import named_deployment

CLUSTER = "arn:aws:kafka:eu-west-1:123456789012:cluster/iot-dev/0b2f1c3d-4e5f-6a7b-8c9d-0e1f2a3b4c5d-2"

KINESIS = named_deployment(stream_name="iot-dev-readings", raw_bucket_name="iot-dev-raw")
ON_MSK = named_deployment(ingest="msk", topic_name="iot-dev-readings", kafka_cluster_arn=CLUSTER, kafka_bootstrap="")
ON_A_BROKER = named_deployment(
    ingest="msk", topic_name="iot-dev-readings", kafka_cluster_arn="", kafka_bootstrap="127.0.0.1:9092"
)


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("stdout", StandardOutput()),
        ("file:lines.jsonl", LinesFile(Path("lines.jsonl"))),
        ("file:///tmp/what?#@.gz", LinesFile(Path("/tmp/what?#@.gz"))),
        ("kinesis", KinesisStream()),
        ("kinesis://readings", KinesisStream("readings")),
        ("firehose://Raw-1", DeliveryStream("Raw-1")),
        ("raw-zone", RawZone()),
        ("raw-zone://my-bucket", RawZone("my-bucket")),
        ("kafka", KafkaTopic()),
        ("kafka:?auth=msk-iam", KafkaTopic(msk_iam=True)),
        ("kafka://localhost:9092/readings", KafkaTopic("localhost:9092", "readings")),
        ("kafka://[::1]:9092,[::1],b-1/readings", KafkaTopic("[::1]:9092,[::1],b-1", "readings")),
        ("kafka://b-1:9098,b-2:9098/readings?auth=msk-iam", KafkaTopic("b-1:9098,b-2:9098", "readings", msk_iam=True)),
        ("mqtt://localhost/readings/", MqttBroker(host="localhost", prefix="readings", port=1883, tls=False)),
        (
            "mqtts://abc-ats.iot.eu-west-1.amazonaws.com:443/$aws/rules/all?cert=c.pem&key=c%20.key&ca=ca.pem",
            MqttBroker(
                host="abc-ats.iot.eu-west-1.amazonaws.com",
                prefix="$aws/rules/all",
                port=443,
                certificate=Path("c.pem"),
                key=Path("c .key"),
                ca=Path("ca.pem"),
            ),
        ),
    ],
)
def test_should_read_a_url_to_plain_values_for_another_process(url: str, meant: Destination) -> None:
    assert parse_sink(url) == meant
    assert pickle.loads(pickle.dumps(parse_sink(url))) == meant


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("pigeon", "--sink: unknown sink 'pigeon'; write stdout, file:PATH, kinesis or kinesis://STREAM, firehose://"),
        ("lines.jsonl", "unknown sink 'lines.jsonl'; write stdout, file:PATH, "),
        ("stdout:here", "--sink stdout: standard output has no name; write stdout"),
        ("file", "--sink file: the path is missing; write file:PATH"),
        ("file:", "the path is missing"),
        ("kinesis:readings", "'//' is missing after the colon; write kinesis or kinesis://STREAM"),
        ("kinesis://readings/1", "a name cannot have a slash"),
        ("kinesis://readings?region=x", "unknown parameter 'region'"),
        ("firehose", "--sink firehose: the delivery stream is missing; write firehose://STREAM"),
        ("kafka://b-1:9092", "--sink kafka: the topic is missing; write kafka or kafka://HOST:PORT/TOPIC"),
        ("kafka:///readings", "a broker is missing"),
        ("kafka://b-1:9092,/readings", "a broker is missing"),
        ("kafka://b-1:99999/readings", "invalid port '99999' of a broker"),
        ("kafka://b-1:x/readings", "invalid port 'x' of a broker"),
        ("kafka://b-1:9092/readings?auth=scram", "the parameter 'auth' can only be msk-iam"),
        ("kafka://b-1:9092/readings?auth=", "the parameter 'auth' has no value"),
        ("mqtts:///readings", "the broker is missing"),
        ("mqtts://h", "invalid topic prefix ''"),
        ("mqtts://h/readings/#", "invalid topic prefix 'readings/#'"),
        ("mqtts://h:port/readings", "--sink mqtts: "),
        ("mqtts://h/readings?cert=c.pem", "give cert and key"),
        ("mqtts://h/readings?key=c.key", "give cert and key"),
        ("mqtt://broker.example.com/readings", "without TLS is for brokers on this machine only; write mqtts://"),
        ("mqtt://localhost/readings?ca=ca.pem", "certificates are for TLS, which is mqtts://"),
        ("mqtts://abc-ats.iot.eu-west-1.amazonaws.com/readings", "AWS IoT Core requires a client certificate"),
    ],
)
def test_should_say_in_one_line_what_is_wrong_and_what_to_write(url: str, words: str) -> None:
    with pytest.raises(ValueError, match="write ") as caught:
        parse_sink(url)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "kinesis://me:hunter2@readings",
        "kinesis:me:hunter2@readings",
        "kafka://me:hunter2@b-1:9092/readings",
        "mqtts://me:hunter2@h/readings",
        "mqtts://h/readings?password=hunter2",
        "amqps://me:hunter2@h/readings",
    ],
)
def test_should_not_print_a_secret(url: str) -> None:
    with pytest.raises(ValueError, match="--sink") as caught:
        parse_sink(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("sasl.password hunter2", "a name or '=' is missing; write NAME=VALUE"),
        ("=hunter2", "a name or '=' is missing; write NAME=VALUE"),
        ("acks=hunter2", "--kafka-property acks: the sink sets it, as it loses, repeats and reorders no records"),
        ("partitioner=hunter2", "leave it out"),
        ("bootstrap.servers=hunter2", "brokers are in --sink kafka://HOST:PORT/TOPIC"),
        ("error_cb=hunter2", "--kafka-property error_cb: its value cannot be given as text"),
        ("client.id=hunter2", "--kafka-property client.id=… is there twice"),
    ],
)
def test_should_refuse_properties_that_the_sink_rests_on_and_print_no_value(given: str, words: str) -> None:
    with pytest.raises(ValueError, match="--kafka-property") as caught:
        parse_properties(["client.id=me", given])
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_should_keep_properties_and_out_of_sight() -> None:
    properties = parse_properties(["sasl.password = hunter2=3 ", "security.protocol=SASL_SSL"])
    assert properties == (("sasl.password", "hunter2=3"), ("security.protocol", "SASL_SSL"))
    topic = KafkaTopic("b-1:9096", "readings", properties=properties)
    assert "hunter2" not in repr(topic)
    assert pickle.loads(pickle.dumps(topic)) == topic


def test_should_refuse_a_second_log_in() -> None:
    with pytest.raises(ValueError, match=r"--kafka-property sasl\.username: the log-in with IAM sets it") as caught:
        KafkaTopic("b-1:9098", "readings", msk_iam=True, properties=(("sasl.username", "hunter2"),))
    assert "hunter2" not in str(caught.value)


def test_should_leave_to_the_deployment_only_the_names_that_a_url_does_not_have() -> None:
    assert parse_sink("kinesis").completed(lambda: KINESIS) == KinesisStream("iot-dev-readings")
    assert parse_sink("raw-zone").completed(lambda: KINESIS) == RawZone("iot-dev-raw")
    for url in ("kinesis://mine", "raw-zone://mine", "stdout", "firehose://mine", "kafka://mine:9092/readings"):
        assert parse_sink(url).completed(lambda: pytest.fail("asked for")) == parse_sink(url)


def test_should_find_the_topic_by_the_deployment() -> None:
    topic = parse_sink("kafka").completed(lambda: ON_MSK)
    assert topic == KafkaTopic(topic="iot-dev-readings", msk_iam=True, cluster_arn=CLUSTER)
    assert pickle.loads(pickle.dumps(topic)) == topic
    assert parse_sink("kafka").completed(lambda: ON_A_BROKER) == KafkaTopic("127.0.0.1:9092", "iot-dev-readings")


@pytest.mark.parametrize(
    ("url", "in_aws"), [("kafka", True), ("kafka://b-1:9092/readings", False), ("kinesis", True), ("stdout", False)]
)
def test_should_ask_for_a_deployment_only_where_one_is_needed(url: str, in_aws: bool) -> None:
    assert parse_sink(url).in_aws is in_aws


@pytest.mark.parametrize(
    ("url", "deployed", "words"),
    [
        ("kinesis", ON_MSK, "--sink kinesis: readings come into this deployment by Kafka; write --sink kafka"),
        ("kafka", KINESIS, "--sink kafka: readings come into this deployment by Kinesis; write --sink kinesis"),
    ],
)
def test_should_say_what_to_write_for_the_stream_that_there_is(url: str, deployed: Deployment, words: str) -> None:
    with pytest.raises(ValueError, match="write --sink") as caught:
        parse_sink(url).completed(lambda: deployed)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_should_not_load_the_clients_of_sinks_that_are_not_used() -> None:
    script = "import sys, simulator.sinks.schemes as s; s.parse_sink('kafka://h:1/t')"
    script += "; print([name for name in sys.modules if name.split('.')[0] in ('confluent_kafka', 'paho')])"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
