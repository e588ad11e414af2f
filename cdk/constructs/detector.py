"""The detector: a function on the stream that turns readings into changes of alerts."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.constructs import kinesis_mapping
from cdk.constructs.alert_table import AlertTable
from cdk.constructs.function import Function, Shared
from cdk.constructs.kafka import mapping as kafka_mapping
from cdk.constructs.kafka.source import KafkaSource
from cdk.constructs.roles import allow

#: A batch takes tens of milliseconds; this leaves room for a throttled DynamoDB or SQS to be tried again.
TIMEOUT = Duration.seconds(60)


class Detector(Function):
    """The function and its event source mapping on the stream or topic; without a ``source`` others invoke it.

    No concurrency is reserved: shards times the parallelization factor, or partitions, bound it already, and a new
    account has none to reserve.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shared: Shared,
        source: kinesis.IStream | KafkaSource | None,
        state_table: AlertTable,
        failure_queue: sqs.IQueue,
    ) -> None:
        reading, wildcards = _reading(scope, source)
        super().__init__(
            scope,
            construct_id,
            service="detector",
            shared=shared,
            does="reads the stream, keeps alert states, tells what changed",
            timeout=TIMEOUT,
            statements={
                **({"ReadStream": reading} if reading else {}),
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
            wildcards=wildcards,
        )
        retention_hours = shared.settings.stream_retention_hours
        if isinstance(source, KafkaSource):
            kafka_mapping.map_topic(self.function, source, retention_hours=retention_hours, failure_queue=failure_queue)
        elif source is not None:
            kinesis_mapping.map_stream(
                self.function, source, retention_hours=retention_hours, failure_queue=failure_queue
            )


def _reading(
    scope: Construct, source: kinesis.IStream | KafkaSource | None
) -> tuple[list[iam.PolicyStatement], dict[str, str]]:
    if isinstance(source, KafkaSource):
        return kafka_mapping.reading(scope, source)
    return ([], {}) if source is None else (kinesis_mapping.reading(source), {})
