"""What a plan says of MSK: the size of a cluster, its topic and pollers, and their bill."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planning import msk, parameters, prices
from planning.msk import BROKER_TYPES, ZONES, Kafka, Use, bill, kafka, poller_units
from planning.plan import Usage, cost_so_far, plan
from planning.prices import HOURS_A_MONTH, MIB
from planning.traffic import Fleet, batched
from planning.variants import MSK
from tests.unit.planning.test_plan import fleets


def needed(fleet: Fleet) -> Kafka:
    return kafka(fleet, batched(fleet))


# AWS' examples


def test_should_size_brokers_as_in_the_example_of_aws() -> None:
    """ "45 MBps of data ingress … 3 express.m7g.large brokers", of 15 MBps each.

    https://docs.aws.amazon.com/msk/latest/developerguide/bestpractices-express.html; ours would be two thirds full.
    """
    assert 45 * MIB / prices.EXPRESS_BYTES <= 3
    assert 45 * MIB / (prices.EXPRESS_BYTES * msk.BROKER_FILLED) > 3


@pytest.mark.parametrize(
    ("size", "megabytes", "usd_an_hour"),
    [
        ("large", 15.6, 0.408),
        ("xlarge", 31.2, 0.816),
        ("2xlarge", 62.5, 1.632),
        ("4xlarge", 124.9, 3.264),
        ("8xlarge", 250.0, 6.528),
        ("12xlarge", 375.0, 9.792),
        ("16xlarge", 500.0, 13.056),
    ],
)
def test_should_know_each_size_by_what_it_takes_and_costs(size: str, megabytes: float, usd_an_hour: float) -> None:
    """Throughput: bestpractices-express of the developer guide; prices: AWS' sizing script."""
    times = msk.times(f"express.m7g.{size}")
    assert msk.sustained_bytes(f"express.m7g.{size}") / MIB == pytest.approx(megabytes, rel=2e-3)
    assert prices.MSK_EXPRESS_HOUR.of(times) == pytest.approx(usd_an_hour)


def test_should_bill_pollers_as_in_the_example_of_the_price_page() -> None:
    """ "EPU charges = 800 EPU-hours * $0.185 = $148": https://aws.amazon.com/lambda/pricing/."""
    assert prices.LAMBDA_POLLER_UNIT_HOUR.of(800) == pytest.approx(148)


def test_should_bill_pollers_as_in_the_example_of_the_guide() -> None:
    """Ten pollers in a unit of their own each are $1,332 in 720 hours, in one unit $133.20.

    https://docs.aws.amazon.com/lambda/latest/dg/kafka-scaling-modes.html
    """
    assert prices.LAMBDA_POLLER_UNIT_HOUR.of(10 * poller_units(1, 2 * MIB) * 720) == pytest.approx(1_332)
    assert prices.LAMBDA_POLLER_UNIT_HOUR.of(poller_units(10, 2 * MIB) * 720) == pytest.approx(133.20)


@pytest.mark.parametrize(("pollers", "megabytes", "units"), [(1, 1, 1), (11, 1, 2), (4, 20, 1), (5, 21, 2)])
def test_should_count_units_by_pollers_and_by_bytes(pollers: int, megabytes: int, units: int) -> None:
    assert poller_units(pollers, megabytes * MIB) == units


# By hand


def test_should_plan_the_smallest_cluster_for_a_small_fleet() -> None:
    assert needed(Fleet(devices=100)) == Kafka(3, "express.m7g.large", 6, 1, 1)


def test_should_bill_the_smallest_cluster() -> None:
    """1.8 MB/s: 4,345 GB a month, of which a day is kept."""
    fleet = Fleet(devices=100_000)
    found = plan(fleet).variant(MSK)
    assert {(item.service, item.what): round(item.usd_per_month, 2) for item in found.items[:6]} == {
        ("MSK", "3 express.m7g.large"): 881.28,
        ("MSK", "written"): 43.45,
        ("MSK", "kept"): 14.48,
        ("MSK", "delivered to S3"): 119.49,
        ("Lambda", "pollers"): 133.20,
        ("VPC", "endpoint of SQS"): 21.60,
    }


def test_should_plan_larger_brokers_before_more_of_them() -> None:
    # 3 x 15.6 MB/s, two thirds full, are 31.2 MB/s: 1.8 million devices every 10 s.
    sizes = {devices: needed(Fleet(devices=devices)) for devices in (1_800_000, 1_900_000, 60_000_000)}
    assert [(found.brokers, found.broker_type) for found in sizes.values()] == [
        (3, "express.m7g.large"),
        (3, "express.m7g.xlarge"),
        (6, "express.m7g.16xlarge"),
    ]


def test_should_plan_larger_brokers_for_many_partitions() -> None:
    # A device per gateway: keeping their states is what takes the detector's time.
    many = Fleet(devices=5_000_000, interval=dt.timedelta(minutes=1), reading_bytes=1, devices_per_gateway=1)
    found = needed(many)
    kind = next(kind for kind in BROKER_TYPES if kind.name == found.broker_type)
    assert found.partitions > 1_000
    assert found.brokers * kind.partitions >= 3 * found.partitions
    assert batched(many).payload < prices.EXPRESS_BYTES


def test_should_say_what_to_deploy_where_it_is_not_the_default() -> None:
    assert plan(Fleet(devices=1_000), "msk").notes[0].startswith("deploy with -c ingest=msk;")
    assert "-c kafka_partitions=12;" in plan(Fleet(devices=1_000_000), "msk").notes[0]
    large = plan(Fleet(devices=60_000_000), "msk").notes[0]
    assert "-c kafka_brokers=6 -c kafka_broker_type=express.m7g.16xlarge" in large


def test_should_compare_both_streams_in_each_others_notes() -> None:
    small, large = Fleet(devices=1_000), Fleet(devices=1_000_000)
    assert any(note.startswith("through MSK (--ingest msk)") and note.endswith("more") for note in plan(small).notes)
    assert any(note.startswith("through MSK (--ingest msk)") and note.endswith("less") for note in plan(large).notes)
    assert any(note.startswith("on Kinesis") and note.endswith("less") for note in plan(small, "msk").notes)
    assert any(note.startswith("on Kinesis") and note.endswith("more") for note in plan(large, "msk").notes)


@pytest.mark.parametrize(
    ("fleet", "said"),
    [
        (Fleet(devices=1_000_000), "a broker takes 3,000 clients by IAM"),
        (Fleet(devices=1_000_000, devices_per_gateway=1_000_000), "the poller of its partition"),
        (Fleet(devices=1_000_000_000), "at most 30 brokers"),
        (Fleet(devices=1_000_000_000), "at most 2,000 pollers"),
        (Fleet(devices=1_000_000), "up to 12 detectors"),
    ],
)
def test_should_warn_of_limits(fleet: Fleet, said: str) -> None:
    assert any(said in note for note in plan(fleet, "msk").notes)
    assert not any(said in note for note in plan(Fleet(devices=1_000), "msk").notes)


def test_should_price_what_a_topic_used_so_far() -> None:
    used = Usage(hours=10, broker_hours=30, bytes=20 * 2**30, stored_bytes=48 * 2**30, invocations=5_000_000)
    found = {(item.service, item.what): round(item.usd_per_month, 4) for item in cost_so_far(used)}
    assert {key: value for key, value in found.items() if value} == {
        ("MSK", "brokers"): 12.24,
        ("MSK", "written"): 0.2,
        ("MSK", "kept"): 0.0667,
        ("MSK", "delivered to S3"): 0.55,
        ("Lambda", "pollers"): 1.85,
        ("VPC", "endpoint of SQS"): 0.3,
        ("Lambda", "called"): 1.0,
    }
    assert not {"Kinesis", "Firehose"} & {service for service, _ in found}


def test_should_bill_a_month_what_is_kept_for_a_month() -> None:
    (kept,) = [item for item in bill(Use(HOURS_A_MONTH, 0, 0, 0, 2**30)) if item.what == "kept"]
    assert kept.usd_per_month == pytest.approx(0.10)


def test_should_price_larger_brokers_by_their_size() -> None:
    use = msk.month(Kafka(3, "express.m7g.2xlarge", 6, 1, 1), batched(Fleet()))
    assert prices.MSK_EXPRESS_HOUR.of(use.broker_hours) == pytest.approx(3 * 1.632 * HOURS_A_MONTH)


def test_should_price_a_topic_that_took_nothing_yet() -> None:
    found = cost_so_far(Usage(hours=0, broker_hours=1e-9))
    assert sum(item.usd_per_month for item in found) == pytest.approx(0, abs=1e-6)


# For any fleet


@given(fleets)
def test_should_plan_enough_of_everything(fleet: Fleet) -> None:
    found, flow = needed(fleet), batched(fleet)
    kind = next(kind for kind in BROKER_TYPES if kind.name == found.broker_type)
    assert found.brokers % ZONES == found.partitions % ZONES == 0
    # Without one zone's brokers, the others still take everything.
    assert flow.payload <= found.brokers * 2 / 3 * kind.times * prices.EXPRESS_BYTES * (1 + 1e-6)
    assert flow.payload <= found.poller_units * prices.POLLER_UNIT_BYTES
    assert flow.payload <= found.pollers * prices.POLLER_BYTES
    assert parameters.POLLERS <= found.pollers <= found.partitions


@given(fleets, st.integers(1, 1_000_000))
def test_should_never_plan_less_for_more_devices(fleet: Fleet, more: int) -> None:
    less, larger = needed(fleet), needed(msgspec.structs.replace(fleet, devices=fleet.devices + more))
    assert less.partitions <= larger.partitions
    assert less.pollers <= larger.pollers
    assert less.brokers * msk.times(less.broker_type) <= larger.brokers * msk.times(larger.broker_type)
