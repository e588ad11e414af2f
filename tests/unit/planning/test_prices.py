"""Prices, roundings and limits against the worked examples of AWS' own pricing pages.

Each example is quoted from a stored copy of its page, or where there was none from a text that quotes it and says so.
Of MSK, DynamoDB's requests, SNS, SQS and KMS no stored text had an example: their prices stand in no test but that
of their form.
"""

from __future__ import annotations

import math

import pytest

from planning import prices
from planning.prices import GIB, KIB
from planning.traffic import Flow

#: Of a month of 31 days, as in Kinesis' example; others have 30.
SECONDS_OF_31_DAYS = 31 * 86_400


def test_should_bill_kinesis_as_in_its_example() -> None:
    """ "100 records per second in aggregate, and each record is 35KB … 3.4MB/sec".

    https://aws.amazon.com/kinesis/data-streams/pricing/; four shards for 31 days are $44.64, and 535,680,000 units
    $7.50, as a course of 2026-10 quotes it.
    """
    flow = Flow(((100, 35 * KIB),))
    assert flow.payload / prices.SHARD_BYTES == pytest.approx(3.4, abs=0.02)
    # The example fills its four shards; ours would be half full.
    assert (math.ceil(flow.payload / prices.SHARD_BYTES), flow.shards) == (4, 7)
    units = flow.blocks(prices.KINESIS_PUT_UNIT_BYTES) * SECONDS_OF_31_DAYS
    assert units == 535_680_000
    assert prices.KINESIS_PUT_UNIT.of(units) == pytest.approx(7.50, abs=0.005)
    assert prices.KINESIS_SHARD_HOUR.of(4 * 24 * 31) == pytest.approx(44.64)


@pytest.mark.parametrize(("size", "units"), [(5 * KIB, 1), (45 * KIB, 2), (1000 * KIB, 40)])
def test_should_count_put_units_by_25_kb(size: int, units: int) -> None:
    """ "a 5KB record contains one PUT Payload Unit, a 45KB record contains two", and "a 1MB record contains 40".

    https://aws.amazon.com/kinesis/data-streams/pricing/; its MB has 1,000 KB here.
    """
    assert prices.blocks(size, prices.KINESIS_PUT_UNIT_BYTES) == units


def test_should_round_what_an_on_demand_stream_takes_to_1_kb() -> None:
    """ "if your data records are 4.5 KB each, Kinesis Data Streams will count each record as 5 KB of data ingested".

    https://aws.amazon.com/kinesis/data-streams/pricing/
    """
    assert prices.blocks(4.5 * KIB, prices.KINESIS_ON_DEMAND_BYTES) == 5


def test_should_bill_firehose_as_in_its_example() -> None:
    """ "1,000 records of streaming data per second for a month, each record 3KB in size": 12,359.62 GB, $358.

    https://aws.amazon.com/firehose/pricing/, as an undated comparison quotes it: "Record size of 3KB rounded up to
    5KB", "1,048,576 KB/GB", "30days/month", "$0.029 per GB".
    """
    ingested = Flow(((1_000, 3 * KIB),)).blocks(prices.FIREHOSE_BYTES) * prices.FIREHOSE_BYTES
    gigabytes = ingested * prices.SECONDS_A_MONTH / GIB
    assert gigabytes == pytest.approx(12_359.62, abs=0.01)
    assert prices.FIREHOSE_GB.of(gigabytes) == pytest.approx(358, abs=0.5)


@pytest.mark.parametrize(("kb", "billed"), [(3, 5), (12, 15), (42, 45)])
def test_should_round_a_record_of_firehose_to_5_kb(kb: int, billed: int) -> None:
    """A record of 3 KB is billed as 5, of 12 KB as 15, of 42 KB as 45: https://aws.amazon.com/firehose/pricing/."""
    assert prices.blocks(kb * KIB, prices.FIREHOSE_BYTES) * 5 == billed


def test_should_bill_lambda_as_in_its_example_of_a_fleet() -> None:
    """ "10,000 * 24 * 31 = 7,440,000 messages", 1 GB, two seconds, x86: "$1.49 + $248.00 = $249.49".

    https://aws.amazon.com/lambda/pricing/, "Enriching streaming telemetry with additional metadata".
    """
    messages = 10_000 * 24 * 31
    assert prices.LAMBDA_REQUEST.of(messages) == pytest.approx(1.49, abs=0.005)
    assert prices.LAMBDA_X86_GB_SECOND.of(messages * 2) == pytest.approx(248.00, abs=0.005)


def test_should_bill_lambda_as_in_its_first_example() -> None:
    """Three million of 120 ms at 1,536 MB, less the free tier: 140,000 GB-s are $2.33, 2 million requests $0.40.

    https://aws.amazon.com/lambda/pricing/
    """
    gb_seconds = 3_000_000 * 0.120 * 1536 / 1024
    assert gb_seconds == pytest.approx(540_000)
    assert prices.LAMBDA_X86_GB_SECOND.of(gb_seconds - 400_000) == pytest.approx(2.33, abs=0.005)
    assert prices.LAMBDA_REQUEST.of(2_000_000) == pytest.approx(0.40)


def test_should_take_a_fifth_off_on_arm() -> None:
    """No example has Arm; its price is four fifths of the other one's on every list."""
    assert prices.LAMBDA_ARM_GB_SECOND.usd == pytest.approx(0.8 * prices.LAMBDA_X86_GB_SECOND.usd, rel=1e-4)


def test_should_bill_glue_as_in_its_example() -> None:
    """A Spark job of 15 minutes with 6 DPU at $0.44 an hour is $0.66.

    https://aws.amazon.com/glue/pricing/, its first example, read in the page's Turkish version.
    """
    assert prices.GLUE_DPU_HOUR.of(6 * 0.25) == pytest.approx(0.66)


@pytest.mark.parametrize(
    ("scanned", "usd"),
    [
        (0, 0.00005),
        (10_000_000, 0.00005),
        (10_000_001, 0.000055),
        (1_000_000_000, 0.005),
        (1_000_000_000_000, 5),
    ],
)
def test_should_price_the_megabytes_that_were_begun_and_at_least_ten(scanned: int, usd: float) -> None:
    assert prices.athena_query(scanned) == pytest.approx(usd)


@pytest.mark.parametrize(("terabytes", "usd"), [(3, 15), (1, 5)])
def test_should_bill_athena_as_in_its_example(terabytes: int, usd: float) -> None:
    """ "Price for 3 TB scanned is 3 * $5/TB = $15"; compressed "a size of 1 TB … would cost $5".

    https://aws.amazon.com/athena/pricing/, as a tutorial quotes it.
    """
    assert prices.athena_query(terabytes * 10**12) == pytest.approx(usd)


def test_should_bill_requests_of_s3_as_in_its_example() -> None:
    """ "30,090 PUT requests/month * $0.005/1,000 requests = $0.15", "500,000 GET … * $0.0004/1,000 requests = $0.20".

    https://aws.amazon.com/s3/pricing/, of S3 Tables, whose requests cost what those of S3 Standard do. It has
    "1 TB (1,024 GB)", too.
    """
    assert prices.S3_PUT.of(30_090) == pytest.approx(0.15, abs=0.005)
    assert prices.S3_GET.of(500_000) == pytest.approx(0.20)


def test_should_bill_cloudwatch_as_in_its_examples() -> None:
    """ "70 * $0.30 = $21" for metrics, "$0.50 * 25 = $12.50" for logs.

    https://aws.amazon.com/cloudwatch/pricing/, as notes quote it.
    """
    assert prices.CLOUDWATCH_METRIC.of(70) == pytest.approx(21)
    assert prices.CLOUDWATCH_LOGS_GB.of(25) == pytest.approx(12.50)


@pytest.mark.parametrize(
    ("kb", "block", "units"),
    [
        (1, prices.DYNAMODB_WRITE_BYTES, 1),
        (3, prices.DYNAMODB_WRITE_BYTES, 3),
        (4, prices.DYNAMODB_READ_BYTES, 1),
        (8, prices.DYNAMODB_READ_BYTES, 2),
    ],
)
def test_should_count_the_units_of_dynamodb(kb: int, block: int, units: int) -> None:
    """A write of 3 KB takes three units, "a strongly consistent read of an 8 KB item would require two".

    https://aws.amazon.com/dynamodb/pricing/provisioned/
    """
    assert prices.blocks(kb * KIB, block) == units


def test_should_say_of_every_price_where_it_is_from() -> None:
    for name, price in prices.table().items():
        assert price.usd > 0, name
        assert price.per >= 1, name
        assert price.page.startswith("https://aws.amazon.com/"), name
        assert price.seen, name
