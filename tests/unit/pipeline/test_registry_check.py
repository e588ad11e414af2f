"""The registry beside the readings of the lake."""

from __future__ import annotations

import datetime as dt

import boto3
import pytest

from pipeline import registry
from pipeline.errors import PipelineError
from pipeline.registry import Absent, Check, Elsewhere, Seen
from telemetry.registry.registry import EMPTY, parse_registry
from telemetry.tables.curated import DEVICE_HEALTH
from tests.unit.pipeline.alerting import DEPLOYED, NOW
from tests.unit.pipeline.lake import Lake

DAY = dt.timedelta(days=1)


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> Lake:
    lake = Lake(DEVICE_HEALTH)
    monkeypatch.setattr(registry, "query", lake.query)
    return lake


def health(lake: Lake, device: str, site: str, day: dt.datetime, received: int = 10) -> None:
    lake.add(
        DEVICE_HEALTH, f"{day:%Y-%m-%d}", device_id=device, site=site, received=received,
        first_seen=day, last_seen=day + dt.timedelta(hours=1),
    )  # fmt: skip


def seen(device: str, site: str = "cold") -> Seen:
    return Seen(device_id=device, site=site, readings=1, first_seen=NOW, last_seen=NOW)


def test_should_add_up_the_days_of_a_device_and_take_its_last_site(lake: Lake) -> None:
    health(lake, "d2", "hall", NOW)
    health(lake, "d1", "cold", NOW - 2 * DAY, received=5)
    health(lake, "d1", "hall", NOW - DAY, received=7)
    health(lake, "d0", "hall", NOW - 3 * DAY)
    found = registry.seen_since(boto3.Session(), DEPLOYED, (NOW - 2 * DAY).date())
    assert found == [
        Seen(
            device_id="d1",
            site="hall",
            readings=12,
            first_seen=NOW - 2 * DAY,
            last_seen=NOW - DAY + dt.timedelta(hours=1),
        ),
        Seen(device_id="d2", site="hall", readings=10, first_seen=NOW, last_seen=NOW + dt.timedelta(hours=1)),
    ]


def test_should_have_seen_nothing_in_an_empty_lake(lake: Lake) -> None:
    assert registry.seen_since(boto3.Session(), DEPLOYED, NOW.date()) == []


def test_should_tell_unknown_moved_and_absent_devices_apart() -> None:
    registered = parse_registry("device,site,model\nd3,cold,fan\nd2,cold,fan\nd1,cold,\nd4,,fan\nd0,hall,fan\n")
    found = registry.compare(registered, [seen("x"), seen("d2", "hall"), seen("d1"), seen("a"), seen("d4")], days=7)
    assert found == Check(
        devices=5,
        seen=5,
        days=7,
        problems=[],
        unknown=[seen("a"), seen("x")],
        elsewhere=[Elsewhere(registered_site="cold", seen=seen("d2", "hall"))],
        absent=[
            Absent(device_id="d0", site="hall", model="fan"),
            Absent(device_id="d3", site="cold", model="fan"),
        ],
    )
    assert not found.passed


@pytest.mark.parametrize(
    ("text", "heard", "passed"),
    [
        ("d1,cold,fan,1\n", [], True),
        ("d1,cold,fan,1\n", [seen("d1")], True),
        ("d1,hall,fan,1\n", [seen("d1")], False),
        ("d1,cold,fan,x\n", [seen("d1")], False),
        ("d1,cold,fan,1\n", [seen("d2")], False),
    ],
)
def test_should_pass_where_nothing_is_unknown_or_wrong(text: str, heard: list[Seen], passed: bool) -> None:
    registered = parse_registry(f"device,site,model,interval\n{text}")
    assert registry.compare(registered, heard, days=1).passed is passed


def test_should_know_no_device_without_a_registry() -> None:
    assert [one.device_id for one in registry.compare(EMPTY, [seen("d1")], days=1).unknown] == ["d1"]


def test_should_list_every_value_that_cannot_be_used() -> None:
    registry.check_values(parse_registry("device,site,model,interval\nd1,s,m,60\n"), "devices.csv")
    with pytest.raises(PipelineError) as raised:
        registry.check_values(parse_registry("device,site,model,interval\nd1,s,m,0\nd2,s,m,x\n"), "devices.csv")
    first, *others = str(raised.value).splitlines()
    assert first == "devices.csv: 2 values cannot be used, so it was not applied:"
    assert [line[:60] for line in others] == [
        "  line 2: device 'd1': interval '0' is out of range; write t",
        "  line 3: device 'd2': interval 'x' is not a number; write t",
    ]
