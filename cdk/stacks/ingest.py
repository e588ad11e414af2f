"""Ingest: the stream, and the raw zone that keeps everything that arrives."""

from __future__ import annotations

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from cdk.constructs.delivery import Delivery
from cdk.constructs.lifecycle import raw_lifecycle
from cdk.constructs.readings_stream import ReadingsStream
from cdk.constructs.storage import AccessLogs, Bucket
from cdk.settings import Settings
from cdk.target import Target
from pipeline.names import RAW_ERRORS_PREFIX, RAW_PREFIX, Names


class IngestStack(Stack):
    """The stream, Firehose to the raw bucket, and the access logs of all buckets."""

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
        self.stream = ReadingsStream(self, "Stream", name=names.stream, settings=settings)
        delivery = Delivery(
            self,
            "Delivery",
            name=names.delivery_stream,
            source=self.stream,
            bucket=self.raw_bucket,
            prefix=RAW_PREFIX,
            errors_prefix=RAW_ERRORS_PREFIX,
            buffer_seconds=settings.raw_buffer_seconds,
            log_retention_days=settings.log_retention_days,
        )
        CfnOutput(self, "StreamName", value=self.stream.stream_name)
        CfnOutput(self, "RawBucketName", value=self.raw_bucket.bucket_name)
        CfnOutput(self, "DeliveryStreamName", value=delivery.delivery_stream.ref)
