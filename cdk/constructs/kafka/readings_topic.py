"""The Kafka topic of readings."""

from __future__ import annotations

import base64
import json

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_msk as msk
from constructs import Construct

from cdk.kafka_settings import REPLICATION_FACTOR
from cdk.settings import Settings


class ReadingsTopic(msk.CfnTopic):
    """Its records' timestamps are the broker's, which is when they arrived, and not the producer's.

    ``min.insync.replicas`` is 2 on Express brokers, which let nobody set it:
    https://docs.aws.amazon.com/msk/latest/developerguide/msk-configuration-express-read-write.html
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, name: str, cluster: msk.CfnCluster, settings: Settings
    ) -> None:
        retention = Duration.hours(settings.stream_retention_hours)
        configuration = {
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(retention.to_milliseconds()),
        }
        super().__init__(
            scope,
            construct_id,
            cluster_arn=cluster.attr_arn,
            topic_name=name,
            partition_count=settings.kafka_partitions,
            replication_factor=REPLICATION_FACTOR,
            # A JSON object of strings in base64. AWS' pages say base64 only; this is what Terraform's provider sends:
            # https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/kafka/topic.go
            configs=base64.b64encode(json.dumps(configuration).encode()).decode(),
        )
        self.apply_removal_policy(RemovalPolicy.DESTROY)
