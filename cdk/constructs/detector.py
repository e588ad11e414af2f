"""The detector: a function on the stream that turns readings into changes of alerts."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.constructs.alert_table import AlertTable
from cdk.constructs.function import Function, Shared
from cdk.constructs.roles import allow
from pipeline import event_source

#: A batch takes tens of milliseconds; this leaves room for a throttled DynamoDB or SQS to be tried again.
TIMEOUT = Duration.seconds(60)


class Detector(Function):
    """The function and its event source mapping on the stream.

    No concurrency is reserved: shards times the parallelization factor bound it already, and a new account
    has none to reserve.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shared: Shared,
        stream: kinesis.IStream,
        state_table: AlertTable,
        failure_queue: sqs.IQueue,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            service="detector",
            shared=shared,
            does="reads the stream, keeps alert states, tells what changed",
            timeout=TIMEOUT,
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
                "KeepStates": [
                    allow(
                        "dynamodb:BatchGetItem",
                        "dynamodb:PutItem",
                        "dynamodb:UpdateItem",
                        on=[state_table.table_arn],
                    )
                ],
                "ReportFailures": [allow("sqs:SendMessage", on=[failure_queue.queue_arn])],
            },
            environment={"STATE_TABLE": state_table.table_name},
        )
        self.function.add_event_source_mapping(
            "Readings",
            event_source_arn=stream.stream_arn,
            # The stream and the mapping are made together: from its beginning, nothing sent in between is
            # missed. Where the mapping is made anew, all that the stream still keeps is read again, and readings
            # seen before change no alert (event time decides).
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=event_source.BATCH_RECORDS,
            max_batching_window=Duration.seconds(event_source.BATCH_WINDOW_SECONDS),
            # Order holds per gateway at any factor; a batch that is tried again holds up half a shard. Four
            # shards, where an on-demand stream starts, then stay below the ten executions of a new account.
            parallelization_factor=2,
            bisect_batch_on_error=True,
            report_batch_item_failures=True,
            # A batch that goes on failing is given up in the end. One that only waits, because Lambda is throttled,
            # is not: that costs no retry, and no record is too old before the stream itself drops it.
            retry_attempts=event_source.RETRIES,
            max_record_age=Duration.hours(
                min(shared.settings.stream_retention_hours, event_source.MAX_RECORD_AGE_HOURS)
            ),
            on_failure=sources.SqsDlq(failure_queue),
        )
