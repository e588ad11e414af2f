"""Firehose to a bucket: gzip JSON lines, foldered by arrival."""

from __future__ import annotations

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk.constructs.findings import acknowledge
from cdk.constructs.roles import ServiceRole, allow
from cdk.constructs.service_log import ServiceLog
from pipeline.names import ARRIVAL_PARTITION

#: Firehose delivers at this size, before compression, or after the buffer's seconds, whichever comes first.
#: The largest it takes: fewer objects are fewer requests for the curation and for Athena.
#: https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html
_BUFFER_MB = 128

_LOG_STREAM = "S3Delivery"

#: A newline (the default delimiter) after each record: a gateway's that lacks its last newline would otherwise run
#: into the first line of the next. Our own programs end each line, and get no blank ones. https://docs.aws.amazon.com/firehose/latest/APIReference/API_Processor.html
_NEWLINE_AFTER_EACH_RECORD = firehose.CfnDeliveryStream.ProcessingConfigurationProperty(
    enabled=True, processors=[firehose.CfnDeliveryStream.ProcessorProperty(type="AppendDelimiterToRecord")]
)

#: Firehose keeps records of a Kinesis source in that stream, and what is put to it directly itself.
#: https://docs.aws.amazon.com/firehose/latest/dev/encryption.html
_ENCRYPTED = firehose.CfnDeliveryStream.DeliveryStreamEncryptionConfigurationInputProperty(key_type="AWS_OWNED_CMK")


class Delivery(Construct):
    """A delivery stream, its role and its error log. It reads ``source``; without one, programs put records to it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        source: kinesis.IStream | None,
        bucket: s3.IBucket,
        prefix: str,
        errors_prefix: str,
        buffer_seconds: int,
        log_retention_days: int,
    ) -> None:
        super().__init__(scope, construct_id)
        # Where Firehose's console looks for it.
        log_name = f"/aws/kinesisfirehose/{name}"
        log = ServiceLog(self, "Errors", name=log_name, retention_days=log_retention_days)
        log.add_stream(_LOG_STREAM, log_stream_name=_LOG_STREAM).apply_removal_policy(RemovalPolicy.DESTROY)
        error_stream = Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"{log_name}:log-stream:{_LOG_STREAM}",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        written = [bucket.arn_for_objects(f"{folder}*") for folder in (prefix, errors_prefix)]
        role = ServiceRole(
            self,
            "Role",
            service="firehose.amazonaws.com",
            description=f"Firehose: writes {prefix} and {errors_prefix}",
            statements={
                **({"ReadStream": [_reading(source)]} if source else {}),
                "WriteObjects": [
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
            delivery_stream_name=name,
            delivery_stream_type="KinesisStreamAsSource" if source else "DirectPut",
            delivery_stream_encryption_configuration_input=None if source else _ENCRYPTED,
            kinesis_stream_source_configuration=firehose.CfnDeliveryStream.KinesisStreamSourceConfigurationProperty(
                kinesis_stream_arn=source.stream_arn, role_arn=role.role_arn
            )
            if source
            else None,
            extended_s3_destination_configuration=firehose.CfnDeliveryStream.ExtendedS3DestinationConfigurationProperty(
                bucket_arn=bucket.bucket_arn,
                role_arn=role.role_arn,
                prefix=f"{prefix}{ARRIVAL_PARTITION}",
                error_output_prefix=f"{errors_prefix}!{{firehose:error-output-type}}/{ARRIVAL_PARTITION}",
                compression_format="GZIP",
                processing_configuration=_NEWLINE_AFTER_EACH_RECORD if source else None,
                buffering_hints=firehose.CfnDeliveryStream.BufferingHintsProperty(
                    interval_in_seconds=buffer_seconds, size_in_m_bs=_BUFFER_MB
                ),
                cloud_watch_logging_options=firehose.CfnDeliveryStream.CloudWatchLoggingOptionsProperty(
                    enabled=True, log_group_name=log.log_group_name, log_stream_name=_LOG_STREAM
                ),
            ),
        )
        if source:
            acknowledge(
                self.delivery_stream,
                "KDF1",
                "its source is the encrypted stream; Firehose keeps nothing itself then, and refuses the setting",
            )


def _reading(stream: kinesis.IStream) -> iam.PolicyStatement:
    return allow(
        "kinesis:DescribeStream",
        "kinesis:GetRecords",
        "kinesis:GetShardIterator",
        "kinesis:ListShards",
        on=[stream.stream_arn],
    )
