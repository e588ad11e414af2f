"""The notifier: a function on the transitions queue that groups changes of alerts and publishes notifications."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk.constructs.alert_table import AlertTable
from cdk.constructs.function import Function, Shared
from cdk.constructs.roles import allow

#: A batch takes well below a second, the largest some seconds. What there is no time for goes to the next execution at
#: once. Six times this is what a message waits after a try that failed.
TIMEOUT = Duration.seconds(30)

#: Lambda wants one for batches of more than ten:
#: https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
BATCHING_WINDOW = Duration.seconds(1)


class Notifier(Function):
    """The function and its event source mapping on the queue.

    Its concurrency is the smallest that SQS event sources have: executions that change the same group would
    conflict. The limit is the mapping's and reserves none of the account's.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shared: Shared,
        group_table: AlertTable,
        alerts_topic: sns.ITopic,
        alerts_text_topic: sns.ITopic,
        topic_key: kms.IKey,
        delivery_stream: firehose.CfnDeliveryStream,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            service="notifier",
            shared=shared,
            does="keeps what changed in the lake, groups it, publishes notifications",
            timeout=TIMEOUT,
            statements={
                "ReadTransitions": [
                    allow(
                        "sqs:ChangeMessageVisibility",
                        "sqs:DeleteMessage",
                        "sqs:GetQueueAttributes",
                        "sqs:ReceiveMessage",
                        on=[shared.transitions.queue_arn],
                    )
                ],
                "KeepGroups": [
                    allow(
                        "dynamodb:BatchGetItem",
                        "dynamodb:DeleteItem",
                        "dynamodb:PutItem",
                        on=[group_table.table_arn],
                    )
                ],
                "KeepHistory": [allow("firehose:PutRecordBatch", on=[delivery_stream.attr_arn])],
                "PublishNotifications": [
                    allow("sns:Publish", on=[alerts_topic.topic_arn, alerts_text_topic.topic_arn]),
                    allow("kms:Decrypt", "kms:GenerateDataKey", on=[topic_key.key_arn]),
                ],
            },
            environment={
                "GROUP_TABLE": group_table.table_name,
                "ALERTS_TOPIC_ARN": alerts_topic.topic_arn,
                "ALERTS_TEXT_TOPIC_ARN": alerts_text_topic.topic_arn,
                "ALERTS_DELIVERY_STREAM": delivery_stream.ref,
            },
        )
        self.function.add_event_source_mapping(
            "Transitions",
            event_source_arn=shared.transitions.queue_arn,
            batch_size=100,
            max_batching_window=BATCHING_WINDOW,
            max_concurrency=2,
            report_batch_item_failures=True,
        )
