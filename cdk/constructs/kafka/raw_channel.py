"""MSK's own delivery of a topic to the raw bucket: gzip JSON lines, foldered by arrival."""

from __future__ import annotations

from aws_cdk import Aws, RemovalPolicy, Stack
from aws_cdk import aws_msk as msk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk.constructs.kafka.source import KafkaSource
from cdk.constructs.roles import ServiceRole, allow
from cdk.constructs.service_log import ServiceLog
from pipeline.names import RAW_ERRORS_PREFIX, RAW_PREFIX

#: The folders that Firehose writes too, in MSK's variables. MSK adds an identifier of its own to each key:
#: https://docs.aws.amazon.com/msk/latest/developerguide/msk-data-delivery-s3-output-key-template.html
ARRIVAL_KEY = "dt=!{yyyy}-!{MM}-!{dd}/hour=!{HH}/!{topic-name}-!{sequence-number}.gz"


class RawChannel(Construct):
    """The channel, its role and its log.

    MSK changes only the freshness of a channel. Anything else is a new channel, which starts with the records of that
    moment: https://docs.aws.amazon.com/msk/latest/developerguide/msk-data-delivery-s3-concepts.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        source: KafkaSource,
        bucket: s3.IBucket,
        freshness_seconds: int,
        log_retention_days: int,
    ) -> None:
        super().__init__(scope, construct_id)
        log = ServiceLog(self, "Log", name=f"/aws/msk/data-delivery/{name}", retention_days=log_retention_days)
        written = [bucket.arn_for_objects(f"{folder}*") for folder in (RAW_PREFIX, RAW_ERRORS_PREFIX)]
        # To IAM, most steps of an upload in parts are s3:PutObject.
        # https://docs.aws.amazon.com/msk/latest/developerguide/msk-data-delivery-s3-iam-service-role.html
        role = ServiceRole(
            self,
            "Role",
            service="kafka.amazonaws.com",
            description=f"MSK: writes {RAW_PREFIX} and {RAW_ERRORS_PREFIX}",
            conditions={
                "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                # MSK makes up the identifiers in the ARNs of channels.
                "ArnLike": {
                    "aws:SourceArn": Stack.of(self).format_arn(service="kafka", resource="channel", resource_name="*")
                },
            },
            statements={
                "WriteObjects": [
                    allow(
                        "s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads", on=[bucket.bucket_arn]
                    ),
                    allow("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject", on=written),
                ],
                "WriteLog": [allow("logs:CreateLogStream", "logs:PutLogEvents", on=[log.log_group_arn])],
            },
            wildcards=dict.fromkeys(written, "MSK makes up the names of its objects"),
        )
        self.channel = msk.CfnChannel(
            self,
            "Channel",
            channel_name=name,
            cluster_arn=source.cluster_arn,
            topic_configuration_list=[
                msk.CfnChannel.TopicConfigurationProperty(
                    topic_arn=source.topic_arn,
                    # The bytes as they are: JSON would send a line that is not JSON to the dead letters, and those
                    # have no content.
                    record_converter=msk.CfnChannel.RecordConverterProperty(value_converter="BYTE_ARRAY"),
                )
            ],
            s3_destination_configuration=msk.CfnChannel.S3DestinationConfigurationProperty(
                service_execution_role_arn=role.role_arn,
                data_freshness_in_seconds=freshness_seconds,
                storage=msk.CfnChannel.S3StorageProperty(
                    bucket_arn=bucket.bucket_arn,
                    expected_bucket_owner=Aws.ACCOUNT_ID,
                    compression_type="GZIP",
                    storage_class="STANDARD",
                    output_prefix=RAW_PREFIX,
                    output_key_template=ARRIVAL_KEY,
                ),
                dead_letter_queue_s3=msk.CfnChannel.DeadLetterQueueS3Property(
                    bucket_arn=bucket.bucket_arn,
                    expected_bucket_owner=Aws.ACCOUNT_ID,
                    error_output_prefix=RAW_ERRORS_PREFIX,
                ),
            ),
            logging_info=msk.CfnChannel.ChannelLoggingInfoProperty(
                cloud_watch_logs=msk.CfnChannel.CloudWatchLogsLogDestinationProperty(
                    enabled=True, log_group=log.log_group_name
                )
            ),
        )
        self.channel.apply_removal_policy(RemovalPolicy.DESTROY)
