"""The Kinesis stream of readings."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kinesis as kinesis
from constructs import Construct

from cdk.settings import Settings


class ReadingsStream(kinesis.Stream):
    """Encrypted with the account's AWS managed key.

    It goes with its stack, unlike the buckets: what it holds is in the raw zone minutes later, and an idle
    stream is billed by the hour.
    """

    def __init__(self, scope: Construct, construct_id: str, *, name: str, settings: Settings) -> None:
        on_demand = settings.stream_mode == "on_demand"
        super().__init__(
            scope,
            construct_id,
            stream_name=name,
            stream_mode=kinesis.StreamMode.ON_DEMAND if on_demand else kinesis.StreamMode.PROVISIONED,
            shard_count=settings.shards,
            retention_period=Duration.hours(settings.stream_retention_hours),
            encryption=kinesis.StreamEncryption.MANAGED,
            removal_policy=RemovalPolicy.DESTROY,
        )
