"""What a plan says, by hand for one fleet and by property for any."""

from __future__ import annotations

import datetime as dt
import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli.verbs import plan as show_plan
from lambdas.store import rules_object
from pipeline.errors import PipelineError
from pipeline.names import Ingest
from planning import parameters, prices, services
from planning.plan import Plan, Usage, cost_so_far, plan
from planning.services import Item
from planning.traffic import Fleet, batched, one_by_one
from planning.variants import MSK, OURS, SINGLE
from simulator.sinks.record import MAX_RECORD_BYTES

#: 10,000 readings a second: from each of 1,000 gateways a record of ten a second.
FLEET = Fleet(devices=100_000)

SECOND = dt.timedelta(seconds=1)

fleets = st.builds(
    Fleet,
    devices=st.integers(1, 5_000_000),
    interval=st.integers(1, 86_400).map(lambda seconds: seconds * SECOND),
    reading_bytes=st.integers(1, 20_000),
    devices_per_gateway=st.integers(1, 20_000),
    collect=st.integers(1, 900).map(lambda seconds: seconds * SECOND),
    retention=st.integers(32, 365).map(lambda days: dt.timedelta(days=days)),
)


def total(fleet: Fleet, name: str = OURS) -> float:
    return plan(fleet).variant(name).usd_per_month


def line(found: Plan, service: str, what: str, name: str = OURS) -> Item:
    (item,) = [item for item in found.variant(name).items if (item.service, item.what) == (service, what)]
    return item


# By hand


def test_should_plan_the_records_that_gateways_send() -> None:
    needs = plan(FLEET).needs
    assert (needs.gateways, needs.readings, needs.records) == (1_000, 10_000, 1_000)
    assert needs.readings_per_record == pytest.approx(10)
    assert needs.bytes == pytest.approx(1_800_000)


def test_should_plan_shards_half_full() -> None:
    # 1.72 MB/s, and a shard takes 1 MB/s.
    assert plan(FLEET).needs.shards == 4
    # 10,000 records/s, and a shard takes 1,000.
    assert plan(FLEET).variant(SINGLE).shards == 20


def test_should_bill_each_record_rounded_up() -> None:
    found = plan(FLEET)
    month = 30 * 86_400
    assert line(found, "Kinesis", "writes, by 25 KB").quantity == pytest.approx(1_000 * month)
    assert line(found, "Kinesis", "writes, by 25 KB", SINGLE).quantity == pytest.approx(10_000 * month)
    # 1,000 records of 5 KB a second are AWS' own example: $358.
    assert line(found, "Firehose", "readings, by 5 KB").usd_per_month == pytest.approx(358.43, abs=0.01)
    assert line(found, "Firehose", "readings, by 5 KB", SINGLE).usd_per_month == pytest.approx(3_584.29, abs=0.01)
    # MSK does not round.
    assert line(found, "MSK", "written", MSK).quantity == pytest.approx(1_800_000 * month / 2**30)
    assert line(found, "MSK", "delivered to S3", MSK).quantity == pytest.approx(1_800_000 * month / 2**30)


def test_should_bill_a_notification_once_per_topic_and_its_email_once() -> None:
    found = plan(FLEET)
    # A thousand alerts a day, each notified twice.
    assert line(found, "SNS", "notifications").quantity == pytest.approx(2 * 60_000)
    assert line(found, "SNS", "to one reader").quantity == pytest.approx(60_000)


def test_should_call_the_detector_each_second_for_every_part_of_a_shard_at_least() -> None:
    small = plan(Fleet(devices=1_000)).needs
    assert small.detector_invocations == pytest.approx(2)
    assert plan(FLEET).needs.detector_invocations == pytest.approx(10)  # a hundred records each
    assert plan(Fleet(devices=1, interval=dt.timedelta(minutes=1))).needs.detector_invocations == pytest.approx(1 / 60)


def test_should_price_states_as_docs_alerting_does() -> None:
    """200 gateways with 50 devices: $17 a month with ``no_data`` only, and $68 with a window."""
    fleet = Fleet(devices=10_000, devices_per_gateway=50)
    written = line(plan(fleet), "DynamoDB", "last heard of, written")
    read = prices.DYNAMODB_READ_UNIT.of(200 * 30 * 24 * 60)
    assert written.usd_per_month + read == pytest.approx(17, abs=0.5)
    assert services.windows(fleet) == pytest.approx(64.80 + 3.24 - 5.40 - 1.08, abs=0.1)


def test_should_keep_raw_objects_in_the_archive_only_if_it_is_worth_it() -> None:
    month = {item.what for item in plan(Fleet(retention=dt.timedelta(days=124))).variants[0].items}
    year = {item.what for item in plan(Fleet(retention=dt.timedelta(days=365))).variants[0].items}
    assert "raw, 124 days" in month
    assert {"raw, 35 days", "raw, 330 more days", "raw objects archived"} <= year


def test_should_have_spark_curate_what_one_machine_does_not_in_time() -> None:
    assert plan(FLEET).needs.engine == "pythonshell"
    large = plan(Fleet(devices=5_000_000))
    assert large.needs.engine == "spark"
    assert any("etl_engine=spark" in note for note in large.notes)
    assert any("split the fleet" in note for note in plan(Fleet(devices=50_000_000)).notes)


def test_should_recommend_the_cheaper_stream() -> None:
    found = plan(FLEET)
    assert found.recommended == "provisioned"
    assert [choice.mode for choice in found.streams] == ["provisioned", "on_demand"]
    assert "shards=4" in found.notes[0]


def test_should_warn_of_a_gateway_that_a_shard_does_not_take() -> None:
    wide = Fleet(devices=100_000, devices_per_gateway=100_000)
    assert any("use more and smaller ones" in note for note in plan(wide).notes)


def test_should_split_what_is_no_record_any_more() -> None:
    flow = batched(Fleet(devices=10, interval=SECOND, reading_bytes=600_000, devices_per_gateway=10))
    assert max(size for _, size in flow.sizes) <= MAX_RECORD_BYTES
    assert flow.records == pytest.approx(10)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"devices": 0}, "devices: a fleet has one at least"),
        ({"devices_per_gateway": 0}, "devices: a fleet has one at least"),
        ({"reading_bytes": 0}, "bytes: a reading has 1 to 1,024,000, not 0"),
        ({"interval": dt.timedelta(0)}, "interval: 1s at least, not 0s"),
        ({"collect": dt.timedelta(hours=1)}, "collect: 1s to 15m, as alerts wait that long, not 1h"),
        ({"retention": dt.timedelta(days=31)}, "retention: 32d at least, as readings may be 30 days late, not 31d"),
        ({"alerts_per_day": -1}, "alerts and queries a day: 0 at least"),
    ],
)
def test_should_refuse_what_is_no_fleet(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        Fleet(**wrong)  # type: ignore[arg-type]


def test_should_price_what_was_used_so_far() -> None:
    used = Usage(
        hours=10, shards=2, records=1_000_000, bytes=1_800_000_000, invocations=5_000_000, gb_seconds=100_000,
        write_units=2_000_000, read_units=4_000_000, scanned_bytes=2 * 10**12,
    )  # fmt: skip
    usd = {(item.service, item.what): round(item.usd_per_month, 4) for item in cost_so_far(used)}
    assert usd == {
        ("Kinesis", "shards"): 0.3,
        ("Kinesis", "writes"): 0.014,
        ("Firehose", "readings"): 0.1383,
        ("Lambda", "called"): 1.0,
        ("Lambda", "running"): 1.3333,
        ("DynamoDB", "written"): 1.25,
        ("DynamoDB", "read"): 0.5,
        ("Athena", "queries"): 10.0,
    }


def test_should_price_an_on_demand_stream_so_far_and_one_that_took_nothing() -> None:
    found = cost_so_far(Usage(hours=10, records=1_048_576, bytes=1_048_576 * 100))
    usd = {item.what: round(item.usd_per_month, 4) for item in found if item.service == "Kinesis"}
    assert usd == {"one stream": 0.4, "written": 0.08, "read": 0.08}
    assert sum(item.usd_per_month for item in cost_so_far(Usage(hours=0))) == 0


def test_should_know_how_often_functions_ask_for_the_rules() -> None:
    assert parameters.RULES_EVERY_SECONDS == rules_object.CHECK_EVERY


# For any fleet


@given(fleets, st.integers(1, 1_000_000))
def test_should_never_get_cheaper_with_more_devices(fleet: Fleet, more: int) -> None:
    larger = msgspec.structs.replace(fleet, devices=fleet.devices + more)
    for name in (OURS, SINGLE, MSK):
        assert total(larger, name) >= total(fleet, name) - 1e-6


@given(fleets)
def test_should_never_cost_more_in_batches_than_one_by_one(fleet: Fleet) -> None:
    found = plan(fleet)
    assert found.variant(OURS).usd_per_month <= found.variant(SINGLE).usd_per_month * (1 + 1e-9)


@given(fleets, st.integers(2, 10))
def test_should_never_cost_more_to_report_less_often(fleet: Fleet, times: int) -> None:
    rarer = msgspec.structs.replace(fleet, interval=min(fleet.interval * times, dt.timedelta(days=365)))
    assert total(rarer, SINGLE) <= total(fleet, SINGLE) + 1e-6


@given(fleets)
def test_should_send_every_reading_however_it_is_batched(fleet: Fleet) -> None:
    assert batched(fleet).payload == pytest.approx(one_by_one(fleet).payload, rel=1e-6)
    assert batched(fleet).records <= fleet.readings * (1 + 1e-9)


@given(fleets)
def test_should_add_up(fleet: Fleet) -> None:
    found = plan(fleet)
    for variant in found.variants:
        assert variant.usd_per_month == pytest.approx(sum(item.usd_per_month for item in variant.items))
        assert variant.usd_per_month == pytest.approx(sum(variant.by_service().values()))
        assert all(item.quantity >= 0 and item.usd_per_month >= 0 for item in variant.items)


# What it looks like


def _printed(fleet: Fleet, ingest: Ingest) -> str:
    text = io.StringIO()
    show_plan.print_plan(plan(fleet, ingest), Console(file=text, width=200, highlight=False))
    return text.getvalue()


@pytest.mark.parametrize("ingest", ["kinesis", "msk"])
@pytest.mark.parametrize("devices", [1, 1_000, 100_000, 20_000_000])
def test_should_fit_a_hundred_columns(devices: int, ingest: Ingest) -> None:
    assert max(len(line.rstrip()) for line in _printed(Fleet(devices=devices), ingest).splitlines()) <= 100


def test_should_show_the_totals_of_both_streams_and_the_lines_of_one() -> None:
    on_kinesis, on_msk = _printed(FLEET, "kinesis"), _printed(FLEET, "msk")
    for text in (on_kinesis, on_msk):
        assert all(f"{variant.usd_per_month:,.2f}" in text for variant in plan(FLEET).variants)
    assert "Kinesis, line by line" in on_kinesis
    assert "MSK, line by line" in on_msk
    assert "recommended" in on_kinesis
    assert "recommended" not in on_msk
    assert "pollers" not in on_kinesis
    assert {"brokers", "partitions", "pollers"} <= set(on_msk.split())


def test_should_keep_what_programs_read_and_add_the_topic() -> None:
    found = show_plan.plan_json(plan(FLEET, "msk"))
    assert list(found["usd"]) == ["ours", "one reading a record", "MSK"]
    assert found["needs"]["shards"] == 4
    assert found["ingest"] == "msk"
    assert found["kafka"]["cluster"] == {
        "brokers": 3, "broker_type": "express.m7g.large", "partitions": 6, "pollers": 1, "poller_units": 1,
    }  # fmt: skip
