"""The detector: a function on the stream that turns readings into alerts."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.bundling import detector_code, lambda_architecture
from cdk.constructs.findings import acknowledge
from cdk.constructs.roles import ServiceRole, allow
from cdk.constructs.service_log import ServiceLog
from cdk.naming import DETECTOR_SERVICE, METRICS_NAMESPACE, RULES_KEY, Names
from cdk.settings import Settings
from cdk.target import Target

#: A batch takes tens of milliseconds; this leaves room for a throttled DynamoDB or SNS to be tried again.
TIMEOUT = Duration.seconds(60)

#: The longest that Lambda lets a mapping wait for a record: seven days.
#: https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
_MAX_RECORD_AGE_HOURS = 7 * 24

_ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}


class Detector(Construct):
    """The function, its role, its log and its place on the stream.

    No concurrency is reserved: shards times the parallelization factor bound it already, and a new account
    has none to reserve. Tracing is off: the metric DetectionDelay says what a trace would, for every batch.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Names,
        settings: Settings,
        target: Target,
        stream: kinesis.IStream,
        state_table: dynamodb.ITable,
        alerts_topic: sns.ITopic,
        topic_key: kms.IKey,
        config_bucket: s3.IBucket,
        failure_queue: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        log = ServiceLog(self, "Log", name=names.detector_log_group, retention_days=settings.log_retention_days)
        role = ServiceRole(
            self,
            "Role",
            service="lambda.amazonaws.com",
            description="Detector: reads the stream, keeps alert states, publishes alerts",
            statements={
                "ReadStream": [
                    allow(
                        "kinesis:DescribeStream",
                        "kinesis:DescribeStreamSummary",
                        "kinesis:GetRecords",
                        "kinesis:GetShardIterator",
                        "kinesis:ListShards",
                        on=[stream.stream_arn],
                    )
                ],
                "KeepStates": [allow("dynamodb:BatchGetItem", "dynamodb:PutItem", on=[state_table.table_arn])],
                "PublishAlerts": [
                    allow("sns:Publish", on=[alerts_topic.topic_arn]),
                    allow("kms:Decrypt", "kms:GenerateDataKey", on=[topic_key.key_arn]),
                ],
                "ReadRules": [
                    allow("s3:GetObject", "s3:GetObjectVersion", on=[config_bucket.arn_for_objects(RULES_KEY)]),
                    # Without it S3 answers 403 and not 404 where there are no rules yet.
                    allow("s3:ListBucket", "s3:ListBucketVersions", on=[config_bucket.bucket_arn]),
                ],
                "ReportFailures": [allow("sqs:SendMessage", on=[failure_queue.queue_arn])],
                # On AWS a log group's ARN ends in ":*" by itself: the group and all its streams.
                "WriteLog": [allow("logs:CreateLogStream", "logs:PutLogEvents", on=[log.log_group_arn])],
            },
            wildcards={},
        )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=names.detector,
            description="Readings from the stream in, alerts to SNS out",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=_ARCHITECTURES[lambda_architecture(target)],
            handler="lambdas.detector.handler.handler",
            code=detector_code(target),
            memory_size=512,
            timeout=TIMEOUT,
            role=role.fixed,
            log_group=log,
            logging_format=lambda_.LoggingFormat.JSON,
            environment={
                "STAGE": settings.stage,
                "STATE_TABLE": state_table.table_name,
                "ALERTS_TOPIC_ARN": alerts_topic.topic_arn,
                "CONFIG_BUCKET": config_bucket.bucket_name,
                "RULES_KEY": RULES_KEY,
                "POWERTOOLS_SERVICE_NAME": DETECTOR_SERVICE,
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
            },
        )
        acknowledge(self.function, "L1", "the bundle's locked wheels are for this Python; both move together")
        self.function.add_event_source_mapping(
            "Readings",
            event_source_arn=stream.stream_arn,
            # The stream and the mapping are made together: from its beginning, nothing sent in between is
            # missed. Where the mapping is made anew, all that the stream still keeps is read again, and readings
            # seen before change no alert (event time decides).
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=100,
            max_batching_window=Duration.seconds(1),
            # Order holds per gateway at any factor; a batch that is tried again holds up half a shard. Four
            # shards, where an on-demand stream starts, then stay below the ten executions of a new account.
            parallelization_factor=2,
            bisect_batch_on_error=True,
            report_batch_item_failures=True,
            # A batch that goes on failing is given up in the end. One that only waits, because Lambda is throttled,
            # is not: that costs no retry, and no record is too old before the stream itself drops it.
            retry_attempts=100,
            max_record_age=Duration.hours(min(settings.stream_retention_hours, _MAX_RECORD_AGE_HOURS)),
            on_failure=sources.SqsDlq(failure_queue),
        )
