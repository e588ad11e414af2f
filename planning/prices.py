"""Prices of AWS, each once: list prices of us-east-1 in US dollars, the first tier, without the free tier.

The pages at ``page`` are AWS' own; they could not be read live. What was read are stored texts, and ``seen`` says
which and of when: "page" a stored copy of AWS' page, "price list" one of its price list, "quoted" a text that quotes
the page. A price whose text is older or second-hand is to be looked up before much depends on it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

#: A GB, a MB and a KB of a bill are powers of two, as AWS' own examples count: Firehose's 1,048,576 KB a GB, S3's and
#: CloudWatch's 1,024 GB a TB.
KIB = 1024
MIB = 1024**2
GIB = 1024**3

#: Of AWS' months; its examples have 30 or 31 days.
DAYS_A_MONTH = 30
HOURS_A_MONTH = 24 * DAYS_A_MONTH
SECONDS_A_MONTH = 3600 * HOURS_A_MONTH


class Price(NamedTuple):
    """``usd`` for every ``per`` of a ``unit``; where it stands, and which text of when was read."""

    usd: float
    per: int
    unit: str
    page: str
    seen: str

    def of(self, quantity: float) -> float:
        """US dollars for so many units; parts of ``per`` count as parts."""
        return quantity * self.usd / self.per


_KINESIS = "https://aws.amazon.com/kinesis/data-streams/pricing/"
_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_FIREHOSE = "https://aws.amazon.com/firehose/pricing/"
_S3 = "https://aws.amazon.com/s3/pricing/"
_GLUE = "https://aws.amazon.com/glue/pricing/"
_ATHENA = "https://aws.amazon.com/athena/pricing/"
_DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
_SNS = "https://aws.amazon.com/sns/pricing/"
_SQS = "https://aws.amazon.com/sqs/pricing/"
_CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/"
_KMS = "https://aws.amazon.com/kms/pricing/"
_MSK = "https://aws.amazon.com/msk/pricing/"
_PRIVATELINK = "https://aws.amazon.com/privatelink/pricing/"

_MILLION = 1_000_000

KINESIS_SHARD_HOUR = Price(0.015, 1, "shard-hours", _KINESIS, "quoted, 2026-10")
KINESIS_PUT_UNIT = Price(0.014, _MILLION, "PUT units", _KINESIS, "quoted, 2026-10")
KINESIS_STREAM_HOUR = Price(0.04, 1, "stream-hours", _KINESIS, "quoted, 2026-08")
KINESIS_GB_IN = Price(0.08, 1, "GB", _KINESIS, "quoted, 2026-08")
KINESIS_GB_OUT = Price(0.04, 1, "GB", _KINESIS, "quoted, 2026-08")

LAMBDA_REQUEST = Price(0.20, _MILLION, "invocations", _LAMBDA, "price list, 2026-08")
LAMBDA_ARM_GB_SECOND = Price(0.0000133334, 1, "GB-seconds", _LAMBDA, "price list, 2026-08")
#: No function of ours runs on it: AWS' examples do.
LAMBDA_X86_GB_SECOND = Price(0.0000166667, 1, "GB-seconds", _LAMBDA, "page, undated")
#: A unit of pollers of a Kafka topic: an event source mapping in provisioned mode.
LAMBDA_POLLER_UNIT_HOUR = Price(0.185, 1, "EPU-hours", _LAMBDA, "page, undated (2025 or later)")

#: From a Kinesis stream or put directly: each record is rounded up to 5 KB.
FIREHOSE_GB = Price(0.029, 1, "GB", _FIREHOSE, "quoted, 2026-08")

S3_STANDARD_GB = Price(0.023, 1, "GB-months", _S3, "quoted, 2026-10")
S3_PUT = Price(0.005, 1_000, "requests", _S3, "quoted, 2026-10")
S3_GET = Price(0.0004, 1_000, "requests", _S3, "quoted, 2026-10")
S3_GLACIER_INSTANT_GB = Price(0.004, 1, "GB-months", _S3, "page, undated (2025 or later)")
S3_GLACIER_INSTANT_TRANSITION = Price(0.02, 1_000, "objects", _S3, "page, undated (2025 or later)")

#: Python shell, and Spark up to Glue 5; Glue 6.0 is quoted at 0.308.
GLUE_DPU_HOUR = Price(0.44, 1, "DPU-hours", _GLUE, "quoted, 2026-10")

ATHENA_TB = Price(5.0, 1, "TB", _ATHENA, "quoted, 2026-08")

DYNAMODB_WRITE_UNIT = Price(0.625, _MILLION, "write units", _DYNAMODB, "quoted, 2026-10")
DYNAMODB_READ_UNIT = Price(0.125, _MILLION, "read units", _DYNAMODB, "quoted, 2026-10")

SNS_PUBLISH = Price(0.50, _MILLION, "publishes", _SNS, "quoted, 2026-08")
SNS_EMAIL = Price(2.00, 100_000, "e-mails", _SNS, "quoted, 2026-06")
SQS_REQUEST = Price(0.40, _MILLION, "requests", _SQS, "quoted, 2026-08")

CLOUDWATCH_ALARM = Price(0.10, 1, "alarm metrics", _CLOUDWATCH, "quoted, 2026-08")
CLOUDWATCH_METRIC = Price(0.30, 1, "metrics", _CLOUDWATCH, "quoted, 2026-06")
CLOUDWATCH_DASHBOARD = Price(3.00, 1, "dashboards", _CLOUDWATCH, "quoted, 2026-06")
CLOUDWATCH_LOGS_GB = Price(0.50, 1, "GB", _CLOUDWATCH, "quoted, 2026-08")

KMS_KEY = Price(1.00, 1, "keys", _KMS, "quoted, 2026-08")

#: Of express.m7g.large; a size that takes twice as much costs twice as much. AWS' own sizing script has the price of
#: each: https://github.com/aws/agent-toolkit-for-aws, ``managing-amazon-msk/scripts/msk_sizing.py``.
MSK_EXPRESS_HOUR = Price(0.408, 1, "express.m7g.large-hours", _MSK, "AWS' sizing script, 2026-08")
MSK_EXPRESS_GB_IN = Price(0.01, 1, "GB", _MSK, "AWS' sizing script, 2026-08")
#: For one copy of the records, as the script counts.
MSK_STORAGE_GB = Price(0.10, 1, "GB-months", _MSK, "AWS' sizing script, 2026-08")
#: No text has the price of MSK's own delivery to S3. This is the price of Kinesis' own, which works the same way.
MSK_DELIVERED_GB = Price(0.0275, 1, "GB", _MSK, "assumed: as Kinesis' own delivery, quoted second-hand, 2026-10")
VPC_ENDPOINT_HOUR = Price(0.01, 1, "endpoint-hours", _PRIVATELINK, "quoted second-hand, undated: one zone")

#: When the texts were looked up.
READ = "2026-11"

# What is rounded, and how. Kinesis and Firehose round each record, not each request.

#: https://aws.amazon.com/kinesis/data-streams/pricing/
KINESIS_PUT_UNIT_BYTES = 25 * KIB
KINESIS_ON_DEMAND_BYTES = KIB
#: 5,120 bytes: https://aws.amazon.com/firehose/pricing/
FIREHOSE_BYTES = 5 * KIB
#: https://aws.amazon.com/dynamodb/pricing/on-demand/
DYNAMODB_WRITE_BYTES = KIB
DYNAMODB_READ_BYTES = 4 * KIB
#: Each query by the megabyte, and at least ten of them: https://aws.amazon.com/athena/pricing/
#: Whether its TB has 10^12 bytes or a tenth more, the page does not say: the smaller one makes the higher price.
ATHENA_MEGABYTES_AT_LEAST = 10
ATHENA_BYTES_A_MEGABYTE = 1_000_000
ATHENA_MEGABYTES_A_TB = 1_000_000
#: Glue bills a run as a minute at least: https://aws.amazon.com/glue/pricing/
GLUE_SECONDS_AT_LEAST = 60

# Limits that decide how much of something is needed.

#: What a shard takes in a second; its consumers together read twice as many bytes.
#: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
SHARD_BYTES = MIB
SHARD_RECORDS = 1_000

#: What an express.m7g.large broker takes in a second (15.6 MB); its consumers read twice as much.
#: https://docs.aws.amazon.com/msk/latest/developerguide/bestpractices-express.html
EXPRESS_BYTES = 15.6 * MIB
#: The brokers of a cluster with ZooKeeper, by default, and the clients that connect to one of them by IAM.
#: https://docs.aws.amazon.com/msk/latest/developerguide/limits.html
CLUSTER_BROKERS = 30
BROKER_CONNECTIONS = 3_000

#: What a poller reads in a second, and its invocations at once. The most pollers of a mapping. A unit's pollers, and
#: what they read.
#: https://docs.aws.amazon.com/lambda/latest/dg/kafka-scaling-modes.html
POLLER_BYTES = 5 * MIB
POLLER_INVOCATIONS = 5
MAPPING_POLLERS = 2_000
POLLER_UNIT_POLLERS = 10
POLLER_UNIT_BYTES = 20 * MIB


def blocks(size: float, block: int) -> int:
    """Return how many blocks of so many bytes are billed for ``size`` bytes: begun ones count whole."""
    return math.ceil(size / block)


def athena_query(scanned_bytes: int) -> float:
    """Return US dollars for an Athena query that scans ``scanned_bytes``."""
    megabytes = max(blocks(scanned_bytes, ATHENA_BYTES_A_MEGABYTE), ATHENA_MEGABYTES_AT_LEAST)
    return ATHENA_TB.of(megabytes / ATHENA_MEGABYTES_A_TB)


def table() -> dict[str, Price]:
    """Return every price by its name."""
    return {name: value for name, value in globals().items() if isinstance(value, Price)}
