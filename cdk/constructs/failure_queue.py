"""Queue of messages that were given up on, kept until a person has looked at them."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.constructs.findings import acknowledge


class FailureQueue(sqs.Queue):
    """Encrypted, TLS only, with the longest retention that SQS has.

    The detector's says which part of the stream was given up (shard and sequence numbers, not the readings: those
    are in the stream for as long as its retention, and in the raw zone after that); the notifier's has whole messages.
    """

    def __init__(self, scope: Construct, construct_id: str, *, name: str) -> None:
        super().__init__(
            scope,
            construct_id,
            queue_name=name,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(self, "SQS3", "it is where failures end; an alarm watches it and a person empties it")
