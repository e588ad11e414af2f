"""The deployment of a stage, read from the outputs of its stacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from pipeline.errors import PipelineError
from pipeline.names import Ingest, Names

if TYPE_CHECKING:
    import boto3


#: What a deployment has by the kind of its stream. Those from before there was a choice have no ``Ingest``: Kinesis.
_NEEDED: dict[Ingest, tuple[str, ...]] = {
    "kinesis": ("StreamName", "DeliveryStreamName"),
    "msk": ("TopicName", "KafkaPartitions", "StreamRetentionHours", "ConsumerGroup", "ChannelName"),
}
_BROKERS = ("KafkaClusterArn", "KafkaBootstrap")


class Deployment(msgspec.Struct, frozen=True, rename="pascal", kw_only=True):
    """The names and addresses of one stage's resources, as the stacks give them out.

    With ``ingest`` ``kinesis`` there are ``stream_name`` and ``delivery_stream_name``. With ``msk`` there are
    ``topic_name``, ``kafka_partitions``, ``stream_retention_hours``, ``consumer_group``, ``channel_name`` and, on AWS,
    ``kafka_cluster_arn``, on an emulator the broker's ``kafka_bootstrap`` (``HOST:PORT``).
    """

    ingest: Ingest = "kinesis"
    stream_name: str = ""
    delivery_stream_name: str = ""
    topic_name: str = ""
    kafka_partitions: int = 0
    stream_retention_hours: int = 0
    consumer_group: str = ""
    channel_name: str = ""
    kafka_cluster_arn: str = ""
    kafka_bootstrap: str = ""
    raw_bucket_name: str
    alerts_topic_arn: str
    state_table_name: str
    group_table_name: str
    config_bucket_name: str
    rules_key: str
    registry_key: str
    transitions_queue_url: str
    alerts_delivery_stream_name: str
    detector_function_name: str
    watchdog_function_name: str
    notifier_function_name: str
    failure_queue_url: str
    lake_bucket_name: str
    database_name: str
    work_group_name: str
    query_results_bucket_name: str
    curate_job_name: str
    curate_state_table_name: str
    dashboard_name: str


def find(session: boto3.Session, stage: str) -> Deployment:
    """Return the deployment of ``stage``; raises :class:`PipelineError` where there is none or only a part of it."""
    prefix = f"{Names(stage).prefix}-"
    outputs: dict[str, str] = {}
    pages = session.client("cloudformation").get_paginator("describe_stacks").paginate()
    for stack in (stack for page in pages for stack in page["Stacks"]):
        if stack["StackName"].startswith(prefix):
            outputs |= {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    if not outputs:
        raise PipelineError(f"no stack {prefix}* is deployed here; run 'iot deploy', or 'make demo' for everything")
    try:
        deployed = msgspec.convert(outputs, Deployment, strict=False)
    except msgspec.ValidationError as error:
        raise PipelineError(f"the stacks {prefix}* are incomplete ({error}); deploy them again") from error
    if missing := _missing(deployed.ingest, outputs):
        raise PipelineError(
            f"the stacks {prefix}* are incomplete (with ingest={deployed.ingest} there must be {', '.join(missing)}); "
            "deploy them again"
        )
    return deployed


def _missing(ingest: Ingest, outputs: Mapping[str, str]) -> list[str]:
    """Return the outputs about the stream that are not there."""
    missing = [name for name in _NEEDED[ingest] if not outputs.get(name)]
    if ingest == "msk" and not any(outputs.get(name) for name in _BROKERS):
        missing.append(" or ".join(_BROKERS))
    return missing
