"""What each kind of fault does, to whom, when; and the ground truth about it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any, Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from simulator.faults.truth import InjectedFault, decode_injected_faults, encode_injected_faults
from simulator.fleet.fleet import Fleet
from simulator.fleet.lines import DAMAGES, DUPLICATE, LATE, MALFORMED, Encoder
from simulator.run.simulation import injected_faults
from simulator.scenario import faults as kinds
from simulator.scenario.faults import Fault
from simulator.scenario.scenario import Group, Scenario, ScenarioError
from telemetry.reading.codec import decode_batch
from telemetry.reading.fields import METRICS
from telemetry.reading.model import Reading
from tests.unit.simulator.samples import (
    SITES,
    START,
    injected,
    lines,
    readings,
    scenario,
    scenarios,
    tracked_records,
)

#: The fault is there for the middle minute of the run.
BEGINS, ENDS = START + dt.timedelta(seconds=30), START + dt.timedelta(seconds=90)
WHEN: dict[str, Any] = {"start": "30s", "duration": "1m"}

HEALTHY = readings(scenario())


def since(reading: Reading) -> float:
    return (reading.ts - BEGINS).total_seconds()


def spoiled(
    fault: Fault, metric: Literal["temperature", "humidity", "battery"] = "temperature"
) -> list[tuple[Reading, float]]:
    """The readings that the fault affects, and how much each is off; all else has to be as it was."""
    found = readings(scenario(fault))
    assert found.keys() == HEALTHY.keys()
    errors = []
    for key, reading in found.items():
        healthy = HEALTHY[key]
        if BEGINS <= reading.ts < ENDS:
            errors.append((reading, (getattr(reading, metric) or 0.0) - (getattr(healthy, metric) or 0.0)))
            kept = {name: getattr(healthy, name) for name in ("temperature", "humidity", "battery") if name != metric}
            assert all(getattr(reading, name) == value for name, value in kept.items())
        else:
            assert reading == healthy
    assert len(errors) == 600
    return errors


@pytest.mark.parametrize("metric", METRICS)
def test_should_step(metric: Any) -> None:
    size = 0.5 if metric == "battery" else -3.0
    errors = spoiled(kinds.Step(metric=metric, size=size, **WHEN), metric)
    assert [error for _, error in errors] == pytest.approx([size] * 600, abs=0.011)


def test_should_have_the_device_tell_of_what_it_measures() -> None:
    found = readings(scenario(kinds.Step(size=30, models=("indoor",), **WHEN)))
    for reading in found.values():
        hot = reading.device_id.startswith("indoor") and BEGINS <= reading.ts < ENDS
        assert reading.status == ("fault" if hot else "ok")


def test_should_spike_by_chance() -> None:
    errors = [error for _, error in spoiled(kinds.Spike(size=12, chance=0.2, **WHEN))]
    off = [error for error in errors if error]
    assert off == pytest.approx([12] * len(off), abs=0.011)
    assert len(off) / 600 == pytest.approx(0.2, abs=0.05)


def test_should_drift_ever_further() -> None:
    for reading, error in spoiled(kinds.Drift(per_hour=360, **WHEN)):
        assert error == pytest.approx(since(reading) / 10, abs=0.011)


def test_should_be_stuck_at_what_was_measured_at_the_beginning() -> None:
    made = scenario(kinds.Stuck(**WHEN), weather=msgspec.structs.replace(scenario().weather, spread=0))
    fleet = Fleet(made)
    every = np.arange(20)
    (planned,) = injected(made)
    first = fleet.measure(every, np.full(20, planned.since)).temperature.round(2)
    found = [reading for reading in readings(made).values() if BEGINS <= reading.ts < ENDS]
    assert found
    for reading in found:
        assert reading.temperature == first[[device.id for device in fleet.devices].index(reading.device_id)]


def test_should_scatter() -> None:
    errors = np.array([error for _, error in spoiled(kinds.Noise(size=4, **WHEN))])
    assert errors.std() == pytest.approx(4, rel=0.1)
    assert errors.mean() == pytest.approx(0, abs=0.5)


def test_should_flap() -> None:
    for reading, error in spoiled(kinds.Flapping(size=9, period="20s", **WHEN)):
        assert error == pytest.approx(9 if since(reading) % 20 < 10 else 0, abs=0.011)


def test_should_have_a_battery_die_in_the_first_half_and_stay_low() -> None:
    for reading, _ in spoiled(kinds.BatteryDying(to=1.9, **WHEN), "battery"):
        assert reading.battery is not None
        if since(reading) > 30:
            assert reading.battery == 1.9
        else:
            healthy = HEALTHY[reading.device_id, reading.seq].battery or 0.0
            assert reading.battery == pytest.approx(healthy + (1.9 - healthy) * since(reading) / 30, abs=0.002)


def test_should_have_a_battery_die_as_fast_in_a_run_that_ends_before() -> None:
    made = scenario(kinds.BatteryDying(to=1.9, **WHEN))
    whole, shorter = readings(made), readings(made, length=50.0)
    assert shorter.items() <= whole.items()


@pytest.mark.parametrize(
    ("fault", "metric", "bound"),
    [
        (kinds.Step(size=500, **WHEN), "temperature", 150),
        (kinds.Drift(per_hour=-10_000, metric="humidity", **WHEN), "humidity", 0),
        (kinds.Step(size=-10, metric="battery", **WHEN), "battery", 0),
    ],
)
def test_should_stay_within_what_a_reading_may_say(fault: Fault, metric: Any, bound: float) -> None:
    errors = spoiled(fault, metric)
    assert bound in {getattr(reading, metric) for reading, _ in errors}


def test_should_add_up_faults_that_overlap() -> None:
    found = readings(scenario(kinds.Step(size=5, **WHEN), kinds.Step(size=2, start="1m", duration="1m")))
    for key, reading in found.items():
        at = since(reading)
        expected = 5 * (0 <= at < 60) + 2 * (30 <= at < 90)
        assert (reading.temperature or 0) - (HEALTHY[key].temperature or 0) == pytest.approx(expected, abs=0.011)


def test_should_keep_silent_and_count_on() -> None:
    found = readings(scenario(kinds.Silence(models=("freezer",), **WHEN)))
    lost = HEALTHY.keys() - found.keys()
    assert len(lost) == 8 * 30
    assert all(HEALTHY[key].device_id.startswith("freezer") and BEGINS <= HEALTHY[key].ts < ENDS for key in lost)
    assert found.items() <= HEALTHY.items()


@pytest.mark.parametrize(
    ("fault", "dark"),
    [
        (kinds.GatewayDown(gateways=("south-gw-02",), **WHEN), {"south-gw-02"}),
        (kinds.SiteOutage(sites=("south",), **WHEN), {"south-gw-01", "south-gw-02"}),
        # Whoever is meant by it: what is down is the whole gateway, the whole site.
        (kinds.GatewayDown(devices=("indoor-00001",), **WHEN), {"south-gw-01"}),
        (kinds.SiteOutage(devices=("indoor-00001",), **WHEN), {"south-gw-01", "south-gw-02"}),
    ],
)
def test_should_lose_what_a_gateway_gets_while_it_is_down(fault: Fault, dark: set[str]) -> None:
    gateways = {device.id: device.gateway for device in Fleet(scenario()).devices}
    lost = HEALTHY.keys() - readings(scenario(fault)).keys()
    concerned = {
        key for key, reading in HEALTHY.items() if gateways[reading.device_id] in dark and BEGINS <= reading.ts < ENDS
    }
    assert lost == concerned
    assert concerned


def test_should_send_a_backlog_when_the_gateway_is_back_in_order_within_seconds() -> None:
    fault = kinds.SiteOutage(sites=("south",), backlog=True, **WHEN)
    found = lines(scenario(fault))
    assert {line.text for line in found} == {line.text for line in lines(scenario())}
    late = [line for line in found if line.flags & LATE]
    assert len(late) == 300
    assert all(line.reading and BEGINS <= line.reading.ts < ENDS and line.gateway.startswith("south") for line in late)
    assert all(ENDS.timestamp() <= line.at <= ENDS.timestamp() + 11 for line in late)
    for gateway in {line.gateway for line in late}:
        times = [line.reading.ts for line in late if line.gateway == gateway and line.reading]
        assert times == sorted(times)


def test_should_send_a_backlog_at_the_end_of_a_run_that_ends_before() -> None:
    made = scenario(kinds.SiteOutage(sites=("south",), backlog=True, start="1m", duration="10m"))
    late = [line for line in lines(made) if line.flags & LATE]
    assert len(late) == 300
    assert {line.at for line in late} == {START.timestamp() + 120}


@settings(max_examples=40)
@given(scenarios())
def test_should_pass_nothing_on_while_a_gateway_is_down(made: Scenario) -> None:
    """Whatever else affects its lines: not those held back before, nor what another outage has kept."""
    outages = [each for each in injected(made) if isinstance(each.fault, kinds.GatewayDown | kinds.SiteOutage)]
    gateways = Fleet(made).gateways
    for tracked in tracked_records(made):
        for outage in outages:
            down = outage.since / 1e6 <= tracked.record.at - 1 and tracked.record.at < outage.until / 1e6
            # A batch may be under way when it begins.
            assert not (down and outage.gateways[gateways.index(tracked.record.gateway)]), (outage, tracked.record.at)


def test_should_hold_back_for_all_outages_that_overlap() -> None:
    long = kinds.SiteOutage(start="10s", duration="80s", backlog=True, sites=("south",))
    short = kinds.GatewayDown(start="20s", duration="10s", backlog=True, gateways=("south-gw-01",))
    for faults in ((long, short), (short, long)):
        dark = START.timestamp() + 11, START.timestamp() + 90
        assert not [
            line for line in lines(scenario(*faults)) if "south" in line.gateway and dark[0] < line.at < dark[1]
        ]
        assert len(lines(scenario(*faults))) == 1_200


def test_should_send_nothing_again_while_a_gateway_is_down() -> None:
    again = kinds.Duplicate(start="0s", duration="10s", chance=1.0, within="20s")
    outage = kinds.SiteOutage(start="10s", duration="40s", backlog=True)
    found = lines(scenario(again, outage))
    assert sum(bool(line.flags & DUPLICATE) for line in found) == 100
    assert not [line for line in found if START.timestamp() + 11 < line.at < START.timestamp() + 50]


def test_should_send_lines_again_soon_after() -> None:
    found = lines(scenario(kinds.Duplicate(chance=0.3, within="10s", **WHEN)))
    again = [line for line in found if line.flags & DUPLICATE]
    first = {line.text: line for line in found if not line.flags & DUPLICATE}
    assert len(found) == 1_200 + len(again)
    assert len(again) / 600 == pytest.approx(0.3, abs=0.06)
    for line in again:
        assert line.reading
        assert BEGINS <= line.reading.ts < ENDS
        assert 0 <= line.at - first[line.text].at <= 11
        assert line.gateway == first[line.text].gateway


def test_should_hold_lines_back_by_chance() -> None:
    found = lines(scenario(kinds.Late(chance=0.25, delay="10s", **WHEN)))
    late = [line for line in found if line.flags & LATE]
    waits = [line.at - line.reading.ts.timestamp() for line in late if line.reading]
    assert len(found) == 1_200
    assert len(late) / 600 == pytest.approx(0.25, abs=0.05)
    assert min(waits) >= 5
    assert max(waits) <= 16
    assert np.mean(waits) == pytest.approx(10.5, abs=1)


def test_should_have_lines_overtaken() -> None:
    found = lines(scenario(kinds.Reorder(chance=0.3, within="8s", **WHEN)))
    waits = [line.at - line.reading.ts.timestamp() for line in found if line.flags & LATE and line.reading]
    assert len(waits) / 600 == pytest.approx(0.3, abs=0.05)
    assert max(waits) <= 9
    assert min(waits) < 2


@pytest.mark.parametrize("ahead", [90.5, -3_600.0])
def test_should_have_clocks_that_are_wrong(ahead: float) -> None:
    made = scenario(kinds.ClockSkew(ahead=ahead, **WHEN))
    for key, reading in readings(made).items():
        healthy = HEALTHY[key]
        wrong = BEGINS <= healthy.ts < ENDS
        assert reading.ts - healthy.ts == dt.timedelta(seconds=ahead if wrong else 0)
        assert msgspec.structs.replace(reading, ts=healthy.ts) == healthy
    assert [tracked.record.at for tracked in tracked_records(made)] == [
        tracked.record.at for tracked in tracked_records(scenario())
    ]


def test_should_count_from_1970_after_a_restart_until_it_gets_the_time() -> None:
    found = lines(scenario(kinds.Restart(models=("freezer",), **WHEN)))
    odd = [line for line in found if line.reading is None]
    assert len(found) == 1_200
    assert {line.reason for line in odd} == {"too_late"}
    assert Counter(line.device for line in odd) == dict.fromkeys(FREEZERS, 30)
    for line in odd:
        (reading,) = decode_batch(line.text).readings
        healthy = HEALTHY[line.device, reading.seq]
        assert reading.ts - dt.datetime(1970, 1, 1, tzinfo=dt.UTC) == healthy.ts - BEGINS
        assert msgspec.structs.replace(reading, ts=healthy.ts) == healthy
    rest = {(line.device, line.reading.seq): line.reading for line in found if line.reading}
    assert rest.items() <= HEALTHY.items()


def test_should_count_readings_from_0_after_a_restart_of_a_counter_in_ram() -> None:
    twice = kinds.Restart(counter="ram", **WHEN), kinds.Restart(counter="ram", start="100s", duration="5s")
    found = lines(scenario(*twice, kinds.Restart(counter="flash", start="110s", duration="2s")))
    numbers = [decode_batch(line.text).readings[0].seq for line in found if line.device == "indoor-00003"]
    first = min(seq for device, seq in HEALTHY if device == "indoor-00003")
    assert numbers == [*range(first, first + 15), *range(35), *range(10)]


def test_should_damage_lines_in_every_way() -> None:
    found = lines(scenario(kinds.Malformed(chance=0.5, **WHEN)))
    reasons = Counter(line.reason for line in found if line.flags & MALFORMED)
    assert reasons.keys() == set(DAMAGES)
    assert sum(reasons.values()) / 600 == pytest.approx(0.5, abs=0.06)
    assert min(reasons.values()) > 25
    assert len(found) == 1_200


@pytest.mark.parametrize("damage", range(len(DAMAGES)))
@pytest.mark.parametrize("padding", [0, 500])
def test_should_have_each_damage_rejected_for_its_reason(
    damage: int, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = Encoder.encode

    def damaging(self: Encoder, given: Any) -> Any:
        given.damage[:], given.padding[:] = damage, padding
        return encode(self, given)

    monkeypatch.setattr(Encoder, "encode", damaging)
    for tracked in tracked_records(scenario(length="5s")):
        arrived = dt.datetime.fromtimestamp(tracked.record.at, dt.UTC)
        batch = decode_batch(tracked.record.payload, arrived)
        assert not batch.readings
        assert [line.reason for line in batch.rejected] == [DAMAGES[damage]] * tracked.record.lines


def test_should_have_lines_with_a_field_that_nobody_knows() -> None:
    found = lines(scenario(kinds.Oversize(chance=0.4, bytes=3_000, **WHEN)))
    large = [line for line in found if len(line.text) > 3_000]
    assert len(large) / 600 == pytest.approx(0.4, abs=0.06)
    assert {(line.device, line.reading.seq): line.reading for line in found if line.reading} == HEALTHY


def affected(fault: Fault, *others: Fault, **more: Any) -> set[str]:
    made = scenario(*others, fault, **more)
    chosen = injected(made)[-1].affects
    return {device.id for device, hit in zip(Fleet(made).devices, chosen, strict=True) if hit}


EVERY = {device.id for device in Fleet(scenario()).devices}
FREEZERS = {name for name in EVERY if name.startswith("freezer")}


@pytest.mark.parametrize(
    ("whom", "who"),
    [
        ({}, EVERY),
        ({"models": ("freez*",)}, FREEZERS),
        ({"devices": ("*-00003", "*-00007")}, {"indoor-00003", "indoor-00007"}),
        (
            {"models": ("freezer",), "devices": ("*[02468]",), "sites": ("north",)},
            {f"freezer-{n:05}" for n in (12, 14, 16, 18)},
        ),
        ({"gateways": ("north-gw-03",)}, {"indoor-00004", "indoor-00010", "freezer-00016"}),
    ],
)
def test_should_affect_those_that_match_everything(whom: dict[str, Any], who: set[str]) -> None:
    assert affected(kinds.Step(size=1, **WHEN, **whom)) == who


@pytest.mark.parametrize(
    ("whom", "many"),
    [
        ({"count": 3}, 3),
        ({"count": 8}, 8),
        ({"count": 99}, 8),
        ({"share": 0.5}, 4),
        ({"share": 0.01}, 1),
        ({"share": 1.0}, 8),
    ],
)
def test_should_affect_so_many_of_those_that_match(whom: dict[str, Any], many: int) -> None:
    found = affected(kinds.Step(size=1, models=("freezer",), **WHEN, **whom))
    assert len(found) == many
    assert found <= FREEZERS


def test_should_affect_others_with_another_seed() -> None:
    fault = kinds.Step(size=1, count=5, **WHEN)
    assert len({frozenset(affected(fault, seed=seed)) for seed in range(5)}) > 3


def test_should_affect_those_first_whom_nothing_else_has_affected() -> None:
    first, second = kinds.Step(size=1, count=5, **WHEN), kinds.Silence(count=15, **WHEN)
    assert affected(first) | affected(second, first) == EVERY


@pytest.mark.parametrize(
    ("fault", "many"),
    [
        (kinds.GatewayDown(count=2, **WHEN), 2),
        (kinds.GatewayDown(share=0.6, **WHEN), 3),
        (kinds.SiteOutage(count=1, **WHEN), 1),
    ],
)
def test_should_count_gateways_and_sites_where_these_fail(fault: Fault, many: int) -> None:
    devices = Fleet(scenario()).devices
    whole = "gateway" if isinstance(fault, kinds.GatewayDown) else "site"
    hit = {getattr(device, whole) for device in devices if device.id in affected(fault)}
    assert len(hit) == many
    assert affected(fault) == {device.id for device in devices if getattr(device, whole) in hit}


def test_should_refuse_a_fault_that_affects_no_device() -> None:
    nobody = kinds.Step(size=1, models=("freezer",), devices=("indoor-*",), **WHEN)
    with pytest.raises(ScenarioError, match=r"fault 2 \(step\) affects no device: none matches"):
        injected(scenario(kinds.Silence(**WHEN), nobody))


def test_should_leave_out_what_begins_after_the_run() -> None:
    made = scenario(kinds.Step(size=1, start="50s", duration="1m"))
    assert injected(made, length=50.0) == []
    assert len(injected(made, length=50.1)) == 1


def truth(*faults: Fault, **more: Any) -> list[InjectedFault]:
    return injected_faults(scenario(*faults, **more), START)


def test_should_tell_the_truth_about_each_device() -> None:
    fault = kinds.Step(size=7, count=2, expect=("too-hot",), tolerate=("frost",), **WHEN)
    found = truth(kinds.Silence(start="0s", duration="5s", count=1), fault)
    assert [each.number for each in found] == [1, 2, 2]
    devices = {device.id: device for device in Fleet(scenario()).devices}
    for each in found[1:]:
        device = devices[each.device]
        assert each == InjectedFault(
            id=f"2-step-{device.id}", number=2, kind="step", site=device.site, gateway=device.gateway, device=device.id,
            metric="temperature", since=BEGINS, until=ENDS, expects=("too-hot",), tolerates=("frost",),
            details={"size": 7},
        )  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            kinds.GatewayDown(gateways=("south-*",), **WHEN),
            [("south", "south-gw-01", ""), ("south", "south-gw-02", "")],
        ),
        (kinds.SiteOutage(sites=("south",), backlog=True, **WHEN), [("south", "", "")]),
    ],
)
def test_should_tell_of_a_gateway_or_site_as_a_whole(fault: Fault, expected: list[tuple[str, str, str]]) -> None:
    found = truth(fault)
    assert sorted((fault.site, fault.gateway, fault.device) for fault in found) == expected
    assert {fault.metric for fault in found} == {""}
    assert len({fault.id for fault in found}) == len(expected)


def test_should_tell_the_truth_in_the_order_of_time_until_the_end_of_the_run() -> None:
    found = truth(
        kinds.BatteryDying(start="1m", duration="1h", count=1), kinds.Noise(metric="humidity", size=2, count=1, **WHEN)
    )
    assert [(fault.kind, fault.metric) for fault in found] == [
        ("noise", "humidity"),
        ("battery_dying", "battery"),
    ]
    assert found[1].until == START + dt.timedelta(minutes=2)
    assert [fault.details for fault in found] == [{"size": 2}, {"to": 2.1}]


def test_should_write_the_truth_so_that_what_is_said_last_holds() -> None:
    found = truth(kinds.Step(size=7, count=2, **WHEN))
    cut = msgspec.structs.replace(found[0], until=BEGINS)
    written = encode_injected_faults([*found, cut])
    assert written.count(b"\n") == 3
    assert decode_injected_faults(written) == [cut, found[1]]


def test_should_affect_a_fleet_of_one() -> None:
    made = scenario(kinds.SiteOutage(share=0.1, **WHEN), devices=(Group(model="indoor", count=1),), sites=SITES[:1])
    assert len(readings(made)) == 30
