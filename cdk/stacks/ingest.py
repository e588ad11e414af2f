"""Ingest: the stream or topic, and the raw zone that keeps everything that arrives."""

from __future__ import annotations

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_kinesis as kinesis
from constructs import Construct

from cdk.constructs.delivery import Delivery
from cdk.constructs.kafka.cluster import KafkaCluster
from cdk.constructs.kafka.network import KafkaNetwork
from cdk.constructs.kafka.raw_channel import RawChannel
from cdk.constructs.kafka.readings_topic import ReadingsTopic
from cdk.constructs.kafka.source import KafkaSource
from cdk.constructs.lifecycle import raw_lifecycle
from cdk.constructs.readings_stream import ReadingsStream
from cdk.constructs.storage import AccessLogs, Bucket
from cdk.limits import has_msk
from cdk.settings import Settings
from cdk.target import Target
from dashboards.metrics import KafkaTopic
from pipeline.names import RAW_ERRORS_PREFIX, RAW_PREFIX, Names, cluster_name


class IngestStack(Stack):
    """The stream with Firehose, or the topic with MSK's channel, to the raw bucket; the access logs of all buckets.

    ``source`` is read by the detector, None where an emulator has none; ``watched`` is what the monitoring watches.
    """

    source: kinesis.IStream | KafkaSource | None
    watched: kinesis.IStream | KafkaTopic

    def __init__(self, scope: Construct, *, settings: Settings, names: Names, target: Target) -> None:
        super().__init__(scope, names.stack("ingest"), description="IoT pipeline: the stream and the raw zone")
        self.access_logs = AccessLogs(
            self,
            "AccessLogs",
            sources=names.prefix,
            retention_days=settings.log_retention_days,
            removal=settings.data_removal,
            target=target,
        )
        self.raw_bucket = Bucket(
            self,
            "Raw",
            access_logs=self.access_logs,
            retention_days=settings.raw_retention_days,
            removal=settings.data_removal,
            target=target,
            lifecycle=raw_lifecycle(settings),
        )
        if settings.ingest == "kinesis":
            self._add_stream(settings, names)
        else:
            self._add_topic(settings, names, target)
        CfnOutput(self, "Ingest", value=settings.ingest)

    def _add_stream(self, settings: Settings, names: Names) -> None:
        stream = ReadingsStream(self, "Stream", name=names.stream, settings=settings)
        delivery = Delivery(
            self,
            "Delivery",
            name=names.delivery_stream,
            source=stream,
            bucket=self.raw_bucket,
            prefix=RAW_PREFIX,
            errors_prefix=RAW_ERRORS_PREFIX,
            buffer_seconds=settings.raw_buffer_seconds,
            log_retention_days=settings.log_retention_days,
        )
        self.source = self.watched = stream
        CfnOutput(self, "StreamName", value=stream.stream_name)
        CfnOutput(self, "RawBucketName", value=self.raw_bucket.bucket_name)
        CfnOutput(self, "DeliveryStreamName", value=delivery.delivery_stream.ref)

    def _add_topic(self, settings: Settings, names: Names, target: Target) -> None:
        self.source = self._kafka_source(settings, names) if has_msk(self, target) else None
        self.watched = KafkaTopic(
            cluster=_cluster_name(settings, names),
            topic=settings.kafka_topic or names.topic,
            channel=names.channel,
            consumer_group=names.consumer_group,
        )
        if self.source is not None:
            CfnOutput(self, "KafkaClusterArn", value=self.source.cluster_arn)
        if settings.kafka_bootstrap is not None:
            CfnOutput(self, "KafkaBootstrap", value=settings.kafka_bootstrap)
        CfnOutput(self, "TopicName", value=self.watched.topic)
        CfnOutput(self, "KafkaPartitions", value=str(settings.kafka_partitions))
        CfnOutput(self, "StreamRetentionHours", value=str(settings.stream_retention_hours))
        CfnOutput(self, "ConsumerGroup", value=self.watched.consumer_group)
        CfnOutput(self, "ChannelName", value=self.watched.channel)
        CfnOutput(self, "RawBucketName", value=self.raw_bucket.bucket_name)

    def _kafka_source(self, settings: Settings, names: Names) -> KafkaSource:
        """Create the channel and, unless the settings name one that exists, the topic with its cluster."""
        topic = None
        cluster_arn = settings.kafka_cluster_arn
        if cluster_arn is None:
            network = KafkaNetwork(
                self,
                "Network",
                name=names.kafka_cluster,
                failure_queue_arn=self.format_arn(service="sqs", resource=names.failure_queue),
                log_retention_days=settings.log_retention_days,
            )
            cluster = KafkaCluster(self, "Kafka", name=names.kafka_cluster, network=network, settings=settings).cluster
            topic = ReadingsTopic(self, "Topic", name=names.topic, cluster=cluster, settings=settings)
            cluster_arn = cluster.attr_arn
        source = KafkaSource(
            cluster_arn=cluster_arn,
            topic=settings.kafka_topic or names.topic,
            partitions=settings.kafka_partitions,
            consumer_group=names.consumer_group,
        )
        channel = RawChannel(
            self,
            "Channel",
            name=names.channel,
            source=source,
            bucket=self.raw_bucket,
            freshness_seconds=settings.raw_buffer_seconds,
            log_retention_days=settings.log_retention_days,
        )
        if topic is not None:
            channel.channel.node.add_dependency(topic)
        return source


def _cluster_name(settings: Settings, names: Names) -> str:
    return cluster_name(settings.kafka_cluster_arn) if settings.kafka_cluster_arn else names.kafka_cluster
