"""The properties on which a reading's way depends where it is a Kafka topic: cluster, network, channel, mapping."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from aws_cdk.assertions import Template

from pipeline.deployment import Deployment
from tests.infra.conftest import app_for, only, resources, templates_for
from tests.infra.permissions import ACCOUNT, CLUSTER_UUID, REGION, Permissions, listed

THEIR_CLUSTER = f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/theirs/{CLUSTER_UUID}"
BROKER = "127.0.0.1:9092"

_KAFKA = f"arn:aws:kafka:{REGION}:{ACCOUNT}"
CLUSTER = f"{_KAFKA}:cluster/iot-dev/{CLUSTER_UUID}"
TOPIC = f"{_KAFKA}:topic/iot-dev/{CLUSTER_UUID}/iot-dev-readings"
GROUP = f"{_KAFKA}:group/iot-dev/{CLUSTER_UUID}/iot-dev-detector"
INTERFACE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
RAW, RAW_OBJECT = "arn:aws:s3:::Raw", "arn:aws:s3:::Raw/raw/dt=2026-11-23/hour=13/iot-dev-readings-7.gz-000000-1a"
CHANNEL_LOG = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/msk/data-delivery/iot-dev-raw:log-stream:a"


@pytest.fixture(scope="module")
def theirs() -> dict[str, Template]:
    return templates_for(app_for(ingest="msk", kafka_cluster_arn=THEIR_CLUSTER, kafka_topic="plant.readings"))


@pytest.fixture(scope="module")
def emulated() -> dict[str, Template]:
    return templates_for(app_for("ministack", ingest="msk", kafka_bootstrap=BROKER))


@pytest.fixture(scope="module")
def permissions(kafka_templates: dict[str, Template]) -> Permissions:
    return Permissions(kafka_templates)


def _mapping(templates: dict[str, Template]) -> dict[str, Any]:
    (found,) = (
        mapping["Properties"]
        for mapping in resources(templates["alerts"], "AWS::Lambda::EventSourceMapping").values()
        if "Topics" in mapping["Properties"]
    )
    properties: dict[str, Any] = found
    return properties


def _outputs(template: Template) -> dict[str, Any]:
    outputs = template.to_json()["Outputs"].items()
    return {name: output["Value"] for name, output in outputs if not name.startswith("Exports")}


def test_should_let_clients_in_with_iam_over_tls_only(kafka_templates: dict[str, Template]) -> None:
    cluster = only(kafka_templates["ingest"], "AWS::MSK::Cluster")

    assert cluster["ClientAuthentication"] == {
        "Sasl": {"Iam": {"Enabled": True}, "Scram": {"Enabled": False}},
        "Unauthenticated": {"Enabled": False},
    }
    assert cluster["EncryptionInfo"]["EncryptionInTransit"] == {"ClientBroker": "TLS", "InCluster": True}
    # Connections from other VPCs are refused at creation, so they are not even mentioned.
    assert cluster["BrokerNodeGroupInfo"]["ConnectivityInfo"] == {"PublicAccess": {"Type": "DISABLED"}}
    assert cluster["LoggingInfo"]["BrokerLogs"]["CloudWatchLogs"]["Enabled"] is True
    assert cluster["EnhancedMonitoring"] == "DEFAULT"


def test_should_spread_express_brokers_over_three_zones(kafka_templates: dict[str, Template]) -> None:
    subnets = resources(kafka_templates["ingest"], "AWS::EC2::Subnet")
    cluster = only(kafka_templates["ingest"], "AWS::MSK::Cluster")
    brokers = cluster["BrokerNodeGroupInfo"]

    zones = [subnet["Properties"]["AvailabilityZone"]["Fn::Select"][0] for subnet in subnets.values()]
    assert zones == [0, 1, 2]
    assert brokers["ClientSubnets"] == [{"Ref": name} for name in subnets]
    assert (brokers["InstanceType"], cluster["NumberOfBrokerNodes"]) == ("express.m7g.large", 3)


def test_should_create_the_brokers_that_are_set() -> None:
    app = app_for(ingest="msk", kafka_broker_type="express.m7g.xlarge", kafka_brokers="6", kafka_partitions="48")

    cluster = only(templates_for(app)["ingest"], "AWS::MSK::Cluster")
    assert cluster["BrokerNodeGroupInfo"]["InstanceType"] == "express.m7g.xlarge"
    assert cluster["NumberOfBrokerNodes"] == 6
    assert only(templates_for(app)["ingest"], "AWS::MSK::Topic")["PartitionCount"] == 48
    assert _mapping(templates_for(app))["ProvisionedPollerConfig"]["MaximumPollers"] == 48


def test_should_give_the_brokers_no_way_to_the_internet(kafka_templates: dict[str, Template]) -> None:
    kinds = {resource["Type"] for resource in kafka_templates["ingest"].to_json()["Resources"].values()}
    subnets = resources(kafka_templates["ingest"], "AWS::EC2::Subnet").values()

    assert not kinds & {
        "AWS::EC2::EIP",
        "AWS::EC2::InternetGateway",
        "AWS::EC2::NatGateway",
        "AWS::EC2::Route",
        "AWS::EC2::VPCGatewayAttachment",
    }
    assert {subnet["Properties"]["MapPublicIpOnLaunch"] for subnet in subnets} == {False}


def test_should_have_an_endpoint_for_the_failure_queue_alone(kafka_templates: dict[str, Template]) -> None:
    endpoint = only(kafka_templates["ingest"], "AWS::EC2::VPCEndpoint")
    (statement,) = endpoint["PolicyDocument"]["Statement"]

    assert endpoint["ServiceName"]["Fn::Join"][1][-1] == ".sqs"
    assert statement["Action"] == "sqs:SendMessage"
    queue = Permissions(kafka_templates).resolved("ingest", statement["Resource"])
    assert queue == f"arn:aws:sqs:{REGION}:{ACCOUNT}:iot-dev-detector-failures"


def test_should_let_members_of_the_brokers_group_connect_and_nobody_else(kafka_templates: dict[str, Template]) -> None:
    template = kafka_templates["ingest"]

    def rules(kind: str, other: str) -> set[tuple[str, str, int, int]]:
        found = [rule["Properties"] for rule in resources(template, f"AWS::EC2::SecurityGroup{kind}").values()]
        return {
            (rule["GroupId"]["Fn::GetAtt"][0][:-8], rule[other]["Fn::GetAtt"][0][:-8], rule["FromPort"], rule["ToPort"])
            for rule in found
        }

    assert rules("Ingress", "SourceSecurityGroupId") == {
        ("NetworkBrokers", "NetworkBrokers", 9098, 9098),
        ("NetworkFailureQueue", "NetworkBrokers", 443, 443),
    }
    assert rules("Egress", "DestinationSecurityGroupId") == {
        ("NetworkBrokers", "NetworkBrokers", 9098, 9098),
        ("NetworkBrokers", "NetworkFailureQueue", 443, 443),
    }
    groups = [group["Properties"] for group in resources(template, "AWS::EC2::SecurityGroup").values()]
    assert not any("SecurityGroupIngress" in group for group in groups)
    # What CloudFormation writes for "nothing": a rule that matches no address.
    assert {rule["CidrIp"] for group in groups for rule in group.get("SecurityGroupEgress", [])} <= {
        "255.255.255.255/32"
    }
    assert resources(template, "Custom::VpcRestrictDefaultSG")


def test_should_log_refused_connections(kafka_templates: dict[str, Template]) -> None:
    log = only(kafka_templates["ingest"], "AWS::EC2::FlowLog")

    assert (log["ResourceType"], log["TrafficType"], log["LogDestinationType"]) == ("VPC", "REJECT", "cloud-watch-logs")


def _configuration(templates: dict[str, Template]) -> dict[str, str]:
    decoded: dict[str, str] = json.loads(base64.b64decode(only(templates["ingest"], "AWS::MSK::Topic")["Configs"]))
    return decoded


def test_should_keep_records_as_long_as_a_stream_and_date_them_by_arrival(
    kafka_templates: dict[str, Template],
) -> None:
    topic = only(kafka_templates["ingest"], "AWS::MSK::Topic")

    assert (topic["TopicName"], topic["PartitionCount"], topic["ReplicationFactor"]) == ("iot-dev-readings", 6, 3)
    assert _configuration(kafka_templates) == {"message.timestamp.type": "LogAppendTime", "retention.ms": "86400000"}


def test_should_retry_no_record_longer_than_lambda_can() -> None:
    templates = templates_for(app_for(ingest="msk", stream_retention_hours="720"))

    assert _configuration(templates)["retention.ms"] == str(30 * 86_400_000)
    assert _mapping(templates)["MaximumRecordAgeInSeconds"] == 7 * 86_400


def test_should_read_the_topic_with_bounded_retries_and_a_place_for_what_fails(
    kafka_templates: dict[str, Template],
) -> None:
    (cluster,) = resources(kafka_templates["ingest"], "AWS::MSK::Cluster")
    mapping = _mapping(kafka_templates)

    assert cluster in mapping.pop("EventSourceArn")["Fn::ImportValue"]
    assert mapping.pop("FunctionName")["Ref"].startswith("DetectorFunction")
    assert mapping.pop("DestinationConfig")["OnFailure"]["Destination"]["Fn::GetAtt"][0].startswith("Failures")
    del mapping["Tags"]
    assert mapping == {
        "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "iot-dev-detector"},
        "BatchSize": 100,
        "BisectBatchOnFunctionError": True,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "MaximumBatchingWindowInSeconds": 1,
        "MaximumRecordAgeInSeconds": 86_400,
        "MaximumRetryAttempts": 100,
        "ProvisionedPollerConfig": {
            "MinimumPollers": 1,
            "MaximumPollers": 6,
            "PollerGroupName": "iot-dev-detector",
        },
        "StartingPosition": "TRIM_HORIZON",
        "Topics": ["iot-dev-readings"],
    }


def test_should_deliver_the_topics_bytes_into_the_folders_that_firehose_fills(
    kafka_templates: dict[str, Template], permissions: Permissions
) -> None:
    channel = only(kafka_templates["ingest"], "AWS::MSK::Channel")
    destination = channel["S3DestinationConfiguration"]
    (topic,) = channel["TopicConfigurationList"]

    assert channel["ChannelName"] == "iot-dev-raw"
    assert permissions.resolved("ingest", channel["ClusterArn"]) == CLUSTER
    assert permissions.resolved("ingest", topic["TopicArn"]) == TOPIC
    assert topic["RecordConverter"] == {"ValueConverter": "BYTE_ARRAY"}
    assert destination["DataFreshnessInSeconds"] == 300
    assert destination["Storage"].items() >= {
        "CompressionType": "GZIP",
        "OutputPrefix": "raw/",
        "OutputKeyTemplate": "dt=!{yyyy}-!{MM}-!{dd}/hour=!{HH}/!{topic-name}-!{sequence-number}.gz",
        "StorageClass": "STANDARD",
    }.items()  # fmt: skip
    assert destination["DeadLetterQueueS3"]["ErrorOutputPrefix"] == "raw-errors/"
    assert destination["DeadLetterQueueS3"]["BucketArn"] == destination["Storage"]["BucketArn"]
    assert channel["LoggingInfo"]["CloudWatchLogs"]["Enabled"] is True


def test_should_create_the_channel_after_the_topic_and_delete_all_with_the_stack(
    kafka_templates: dict[str, Template],
) -> None:
    (topic,) = resources(kafka_templates["ingest"], "AWS::MSK::Topic")
    (channel,) = resources(kafka_templates["ingest"], "AWS::MSK::Channel").values()
    kafka = [
        resource
        for kind in ("Cluster", "Topic", "Channel")
        for resource in resources(kafka_templates["ingest"], f"AWS::MSK::{kind}").values()
    ]

    assert channel["DependsOn"] == [topic]
    assert {resource["DeletionPolicy"] for resource in kafka} == {"Delete"}


def test_should_let_msk_take_the_channels_role_for_channels_of_this_account_only(
    kafka_templates: dict[str, Template],
) -> None:
    (role,) = (
        role["Properties"]
        for name, role in resources(kafka_templates["ingest"], "AWS::IAM::Role").items()
        if name.startswith("ChannelRole")
    )
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    conditions = statement["Condition"]

    assert statement["Principal"] == {"Service": "kafka.amazonaws.com"}
    assert conditions["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    source = Permissions(kafka_templates).resolved("ingest", conditions["ArnLike"]["aws:SourceArn"])
    assert source == f"{_KAFKA}:channel/*"


@pytest.mark.parametrize(
    ("user", "action", "arn"),
    [
        *(
            ("alerts.Detector", action, CLUSTER)
            for action in (
                "kafka-cluster:Connect",
                "kafka-cluster:DescribeClusterDynamicConfiguration",
                "kafka:DescribeClusterV2",
                "kafka:GetBootstrapBrokers",
            )
        ),
        *(("alerts.Detector", f"kafka-cluster:{name}", TOPIC) for name in ("DescribeTopic", "ReadData")),
        *(("alerts.Detector", f"kafka-cluster:{name}", GROUP) for name in ("AlterGroup", "DescribeGroup")),
        *(("alerts.Detector", f"ec2:{name}NetworkInterface", INTERFACE) for name in ("Create", "Delete")),
        *(
            ("alerts.Detector", f"ec2:Describe{name}", "*")
            for name in ("NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")
        ),
        ("alerts.Detector", "sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:iot-dev-detector-failures"),
        ("ingest.Channel", "s3:ListBucket", RAW),
        ("ingest.Channel", "s3:PutObject", RAW_OBJECT),
        ("ingest.Channel", "s3:PutObject", "arn:aws:s3:::Raw/raw-errors/a"),
        ("ingest.Channel", "logs:PutLogEvents", CHANNEL_LOG),
    ],
)
def test_should_allow(user: str, action: str, arn: str, permissions: Permissions) -> None:
    assert permissions.allows(user, action, arn)


@pytest.mark.parametrize(
    ("user", "action", "arn"),
    [
        ("alerts.Detector", "kafka-cluster:WriteData", TOPIC),
        ("alerts.Detector", "kafka-cluster:ReadData", f"{TOPIC}-other"),
        ("alerts.Detector", "kafka-cluster:ReadData", TOPIC.replace("/iot-dev/", "/other/")),
        ("alerts.Detector", "kafka-cluster:AlterGroup", GROUP.replace("-detector", "-other")),
        ("alerts.Detector", "kafka-cluster:Connect", CLUSTER.replace("/iot-dev/", "/other/")),
        ("alerts.Detector", "kafka-cluster:Connect", CLUSTER.replace(CLUSTER_UUID, "other")),
        ("alerts.Detector", "kinesis:GetRecords", f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/iot-dev-readings"),
        ("alerts.Detector", "ec2:DeleteNetworkInterface", INTERFACE.replace(ACCOUNT, "111122223333")),
        ("alerts.Watchdog", "kafka-cluster:Connect", CLUSTER),
        ("alerts.Notifier", "kafka-cluster:Connect", CLUSTER),
        ("ingest.Channel", "s3:PutObject", "arn:aws:s3:::Raw/elsewhere/a"),
        ("ingest.Channel", "s3:GetObject", RAW_OBJECT),
        ("ingest.Channel", "s3:DeleteObject", RAW_OBJECT),
        ("ingest.Channel", "s3:PutObject", "arn:aws:s3:::Lake/readings/a"),
    ],
)
def test_should_not_allow(user: str, action: str, arn: str, permissions: Permissions) -> None:
    assert not permissions.allows(user, action, arn)


def _statements(template: Template) -> Iterator[dict[str, Any]]:
    for name, role in resources(template, "AWS::IAM::Role").items():
        # The CDK's own, which restricts the VPC's default security group.
        if not name.startswith("Custom"):
            for policy in role["Properties"]["Policies"]:
                yield from policy["PolicyDocument"]["Statement"]


def test_should_name_every_action_and_any_resource_only_where_ec2_has_none(
    kafka_templates: dict[str, Template],
) -> None:
    statements = [*_statements(kafka_templates["ingest"]), *_statements(kafka_templates["alerts"])]

    assert not [action for statement in statements for action in listed(statement["Action"]) if "*" in action]
    anywhere = [statement["Action"] for statement in statements if "*" in listed(statement["Resource"])]
    assert anywhere == [[f"ec2:Describe{name}" for name in ("NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")]]


def test_should_leave_everything_after_the_stream_as_it_is(
    templates: dict[str, Template], kafka_templates: dict[str, Template]
) -> None:
    assert kafka_templates["lake"].to_json() == templates["lake"].to_json()
    assert kafka_templates["batch"].to_json() == templates["batch"].to_json()
    kinesis, kafka = (part["alerts"].to_json()["Resources"] for part in (templates, kafka_templates))
    assert kinesis.keys() == kafka.keys()
    changed = sorted(name[:-8] for name in kinesis if kinesis[name] != kafka[name])
    assert changed == ["DetectorFunctionReadings", "DetectorRole"]


def test_should_attach_to_a_cluster_that_exists_and_create_none(theirs: dict[str, Template]) -> None:
    kinds = {resource["Type"] for resource in theirs["ingest"].to_json()["Resources"].values()}
    channel = only(theirs["ingest"], "AWS::MSK::Channel")
    mapping = _mapping(theirs)

    assert not [kind for kind in kinds if kind.startswith("AWS::EC2::")]
    assert {kind for kind in kinds if kind.startswith("AWS::MSK::")} == {"AWS::MSK::Channel"}
    assert channel["ClusterArn"] == mapping["EventSourceArn"] == THEIR_CLUSTER
    topic = f"{_KAFKA}:topic/theirs/{CLUSTER_UUID}/plant.readings"
    assert channel["TopicConfigurationList"][0]["TopicArn"] == topic
    assert mapping["Topics"] == ["plant.readings"]
    permissions = Permissions(theirs)
    assert permissions.allows("alerts.Detector", "kafka-cluster:ReadData", topic)
    assert permissions.allows("alerts.Detector", "kafka:GetBootstrapBrokers", THEIR_CLUSTER)
    assert not permissions.allows("alerts.Detector", "kafka-cluster:ReadData", f"{topic}-other")


def test_should_leave_out_on_emulators_what_a_bridge_plays(emulated: dict[str, Template]) -> None:
    ingest = {resource["Type"] for resource in emulated["ingest"].to_json()["Resources"].values()}
    mappings = resources(emulated["alerts"], "AWS::Lambda::EventSourceMapping")
    functions = resources(emulated["alerts"], "AWS::Lambda::Function").values()

    assert ingest == {"AWS::S3::Bucket", "AWS::S3::BucketPolicy"}
    assert [name[:-8] for name in mappings] == ["NotifierFunctionTransitions"]
    assert "iot-dev-detector" in {function["Properties"]["FunctionName"] for function in functions}


@pytest.mark.parametrize("target", ["ministack", "localstack"])
def test_should_note_at_synth_that_emulators_have_no_msk(target: Any) -> None:
    assembly = app_for(target, ingest="msk", kafka_bootstrap=BROKER).synth()

    notes = [str(message.entry.data) for message in assembly.get_stack_by_name("iot-dev-ingest").messages]
    assert len(notes) == 1
    assert "there are no cluster, topic, channel and event source mapping; 'iot up --ingest msk'" in notes[0]


def test_should_hand_out_what_programs_look_for(
    kafka_templates: dict[str, Template], theirs: dict[str, Template], emulated: dict[str, Template]
) -> None:
    permissions = Permissions(kafka_templates)

    ours = _outputs(kafka_templates["ingest"])
    assert permissions.resolved("ingest", ours.pop("KafkaClusterArn")) == CLUSTER
    assert ours.pop("RawBucketName")["Ref"].startswith("Raw")
    assert ours == {
        "Ingest": "msk",
        "TopicName": "iot-dev-readings",
        "KafkaPartitions": "6",
        "StreamRetentionHours": "24",
        "ConsumerGroup": "iot-dev-detector",
        "ChannelName": "iot-dev-raw",
    }
    attached = _outputs(theirs["ingest"])
    assert (attached["KafkaClusterArn"], attached["TopicName"]) == (THEIR_CLUSTER, "plant.readings")
    local = _outputs(emulated["ingest"])
    assert local.pop("RawBucketName")
    assert local == {**ours, "KafkaBootstrap": BROKER}


def test_should_name_outputs_as_a_deployment_does(
    kafka_templates: dict[str, Template], emulated: dict[str, Template]
) -> None:
    known = {field.encode_name for field in msgspec.structs.fields(Deployment)}

    assert set(_outputs(kafka_templates["ingest"])) <= known
    assert set(_outputs(emulated["ingest"])) <= known
