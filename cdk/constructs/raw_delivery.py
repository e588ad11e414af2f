"""Firehose, from the stream to the raw zone: gzip JSON lines, foldered by arrival."""

from __future__ import annotations

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk.constructs.findings import acknowledge
from cdk.constructs.roles import ServiceRole, allow
from cdk.constructs.service_log import ServiceLog
from cdk.naming import RAW_ERRORS_PREFIX, RAW_PARTITION, RAW_PREFIX, Names
from cdk.settings import Settings

#: Firehose delivers at this size, before compression, or after the stage's seconds, whichever comes first.
#: The largest it takes: fewer objects are fewer requests for the curation and for Athena.
#: https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html
_BUFFER_MB = 128

_LOG_STREAM = "S3Delivery"

#: A newline (the default delimiter) after each record: one that lacks its last newline would otherwise run into
#: the first line of the next gateway's. https://docs.aws.amazon.com/firehose/latest/APIReference/API_Processor.html
_NEWLINE_AFTER_EACH_RECORD = firehose.CfnDeliveryStream.ProcessingConfigurationProperty(
    enabled=True, processors=[firehose.CfnDeliveryStream.ProcessorProperty(type="AppendDelimiterToRecord")]
)


class RawDelivery(Construct):
    """The delivery stream, its role and its error log."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Names,
        settings: Settings,
        stream: kinesis.IStream,
        bucket: s3.IBucket,
    ) -> None:
        super().__init__(scope, construct_id)
        log = ServiceLog(self, "Errors", name=names.delivery_log_group, retention_days=settings.log_retention_days)
        log.add_stream(_LOG_STREAM, log_stream_name=_LOG_STREAM).apply_removal_policy(RemovalPolicy.DESTROY)
        error_stream = Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"{names.delivery_log_group}:log-stream:{_LOG_STREAM}",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        written = [bucket.arn_for_objects(f"{prefix}*") for prefix in (RAW_PREFIX, RAW_ERRORS_PREFIX)]
        role = ServiceRole(
            self,
            "Role",
            service="firehose.amazonaws.com",
            description="Firehose: reads the stream of readings, writes the raw zone",
            statements={
                "ReadStream": [
                    allow(
                        "kinesis:DescribeStream",
                        "kinesis:GetRecords",
                        "kinesis:GetShardIterator",
                        "kinesis:ListShards",
                        on=[stream.stream_arn],
                    )
                ],
                "WriteRawZone": [
                    allow(
                        "s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads", on=[bucket.bucket_arn]
                    ),
                    allow("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject", on=written),
                ],
                "WriteErrorLog": [allow("logs:PutLogEvents", on=[error_stream])],
            },
            wildcards=dict.fromkeys(written, "Firehose makes up the names of its objects"),
        )
        self.delivery_stream = firehose.CfnDeliveryStream(
            self,
            "Stream",
            delivery_stream_name=names.delivery_stream,
            delivery_stream_type="KinesisStreamAsSource",
            kinesis_stream_source_configuration=firehose.CfnDeliveryStream.KinesisStreamSourceConfigurationProperty(
                kinesis_stream_arn=stream.stream_arn, role_arn=role.role_arn
            ),
            extended_s3_destination_configuration=firehose.CfnDeliveryStream.ExtendedS3DestinationConfigurationProperty(
                bucket_arn=bucket.bucket_arn,
                role_arn=role.role_arn,
                prefix=f"{RAW_PREFIX}{RAW_PARTITION}",
                error_output_prefix=f"{RAW_ERRORS_PREFIX}!{{firehose:error-output-type}}/{RAW_PARTITION}",
                compression_format="GZIP",
                processing_configuration=_NEWLINE_AFTER_EACH_RECORD,
                buffering_hints=firehose.CfnDeliveryStream.BufferingHintsProperty(
                    interval_in_seconds=settings.raw_buffer_seconds, size_in_m_bs=_BUFFER_MB
                ),
                cloud_watch_logging_options=firehose.CfnDeliveryStream.CloudWatchLoggingOptionsProperty(
                    enabled=True, log_group_name=log.log_group_name, log_stream_name=_LOG_STREAM
                ),
            ),
        )
        acknowledge(
            self.delivery_stream,
            "KDF1",
            "its source is the encrypted stream; Firehose keeps nothing itself then, and refuses the setting",
        )
