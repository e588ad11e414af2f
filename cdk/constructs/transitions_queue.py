"""SQS queue of alert transitions from the detector, the watchdog and operators, consumed by the notifier."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_sqs as sqs
from constructs import Construct

#: A message that failed this often is given up.
_MAX_RECEIVES = 10

#: Less than the failure queue's: there, too, a message's age counts from when it was first sent.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/setting-up-dead-letter-queue-retention.html
_RETENTION = Duration.days(4)


class TransitionsQueue(sqs.Queue):
    """Encrypted and TLS only. A message that was not processed is delivered again after six times ``consumer_timeout``.

    The factor is AWS' advice for a function's event source, plus the batching window:
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        failures: sqs.IQueue,
        consumer_timeout: Duration,
        batching_window: Duration,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            queue_name=name,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            visibility_timeout=Duration.seconds(6 * consumer_timeout.to_seconds() + batching_window.to_seconds()),
            retention_period=_RETENTION,
            dead_letter_queue=sqs.DeadLetterQueue(queue=failures, max_receive_count=_MAX_RECEIVES),
            removal_policy=RemovalPolicy.DESTROY,
        )
