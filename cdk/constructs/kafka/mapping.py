"""Lambda's event source mapping from a Kafka topic to the detector, in provisioned mode.

Bisecting, partial failures, bounded retries and the maximum age exist in that mode alone:
https://docs.aws.amazon.com/lambda/latest/dg/kafka-scaling-modes.html#services-kafka-advanced-features
"""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.constructs.kafka.source import KafkaSource
from cdk.constructs.roles import allow
from pipeline import event_source

#: Lambda adds pollers where the lag grows. One reads up to 5 MB/s, and ten of them are the unit that is billed:
#: https://docs.aws.amazon.com/lambda/latest/dg/kafka-scaling-modes.html#kafka-enhanced-epu-utilization
_MINIMUM_POLLERS = 1


def reading(scope: Construct, source: KafkaSource) -> tuple[list[iam.PolicyStatement], dict[str, str]]:
    """Return what the function's role needs to have the topic read, and the reasons for its wildcards.

    https://docs.aws.amazon.com/lambda/latest/dg/with-msk-permissions.html
    """
    stack = Stack.of(scope)
    interfaces = stack.format_arn(service="ec2", resource="*", resource_name="*")
    statements = [
        allow(
            "kafka-cluster:Connect",
            "kafka-cluster:DescribeClusterDynamicConfiguration",
            "kafka:DescribeClusterV2",
            "kafka:GetBootstrapBrokers",
            on=[source.cluster_arn],
        ),
        allow("kafka-cluster:DescribeTopic", "kafka-cluster:ReadData", on=[source.topic_arn]),
        allow("kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup", on=[source.group_arn]),
        allow("ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", on=[interfaces]),
        allow(
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
            on=["*"],
        ),
    ]
    wildcards = {
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
        interfaces: "interfaces have no names before they exist, and Lambda asks for all of the account and region",
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
        "*": "EC2 knows no resources for actions that describe",
    }
    return statements, wildcards


def map_topic(
    function: lambda_.Function, source: KafkaSource, *, retention_hours: int, failure_queue: sqs.IQueue
) -> None:
    """Have Lambda's pollers read ``source`` for ``function``, in the cluster's subnets and security groups.

    Topics have no parallelization factor: a partition is read in order, so partitions are the most at once.
    """
    function.add_event_source_mapping(
        "Readings",
        event_source_arn=source.cluster_arn,
        kafka_topic=source.topic,
        # Named, so that a mapping that is created again goes on where the one before stopped.
        kafka_consumer_group_id=source.consumer_group,
        # Where the group has no offsets: from the beginning, as with Kinesis.
        starting_position=lambda_.StartingPosition.TRIM_HORIZON,
        batch_size=event_source.BATCH_RECORDS,
        max_batching_window=Duration.seconds(event_source.BATCH_WINDOW_SECONDS),
        provisioned_poller_config=lambda_.ProvisionedPollerConfig(
            minimum_pollers=_MINIMUM_POLLERS,
            # More than one for each partition would have nothing to read.
            maximum_pollers=source.partitions,
            # Mappings of one group in one VPC share what is billed; a second function of the team joins by this name.
            poller_group_name=source.consumer_group,
        ),
        bisect_batch_on_error=True,
        report_batch_item_failures=True,
        retry_attempts=event_source.RETRIES,
        max_record_age=Duration.hours(min(retention_hours, event_source.MAX_RECORD_AGE_HOURS)),
        on_failure=sources.SqsDlq(failure_queue),
    )
