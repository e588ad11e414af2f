"""Lambda's event source mapping from a Kinesis stream to the detector."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs

from cdk.constructs.roles import allow
from pipeline import event_source


def reading(stream: kinesis.IStream) -> list[iam.PolicyStatement]:
    """Return what the function's role needs to have the stream read."""
    return [
        allow(
            "kinesis:DescribeStream",
            "kinesis:DescribeStreamSummary",
            "kinesis:GetRecords",
            "kinesis:GetShardIterator",
            "kinesis:ListShards",
            on=[stream.stream_arn],
        )
    ]


def map_stream(
    function: lambda_.Function, stream: kinesis.IStream, *, retention_hours: int, failure_queue: sqs.IQueue
) -> None:
    """Have Lambda read ``stream`` for ``function``."""
    function.add_event_source_mapping(
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
        max_record_age=Duration.hours(min(retention_hours, event_source.MAX_RECORD_AGE_HOURS)),
        on_failure=sources.SqsDlq(failure_queue),
    )
