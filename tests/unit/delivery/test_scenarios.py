"""Named scenarios through the deployed handlers: what subscribers get is what a rehearsal says."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from evaluation.matching import told
from evaluation.rehearsal import rehearse
from evaluation.scoring import score
from pipeline.inbox import Received
from simulator.run import simulation
from simulator.scenario.scenario import load
from simulator.sinks.record import Record
from telemetry.notifying.message import Notification
from telemetry.rules.parse import parse_rules
from tests import eventsource
from tests.unit.delivery.deployed import Deployed, bundled

RULES = Path(__file__).parents[3].joinpath("rules.yaml").read_bytes()
START = dt.datetime(2026, 11, 24, 9, tzinfo=dt.UTC)

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

#: Seconds of records that an invocation of the detector gets.
TOGETHER = 5


def notifications(records: Iterable[Record], until: dt.datetime, stream: eventsource.Stream) -> list[Received]:
    """What the functions publish of records that arrive when they are sent."""
    deployed = Deployed(RULES)
    deployed.clock.now = START
    numbers = itertools.count()
    for number, together in itertools.groupby(records, lambda record: int(record.at) // TOGETHER):
        deployed.wait(dt.datetime.fromtimestamp((number + 1) * TOGETHER, dt.UTC))
        arrived = [
            eventsource.Record(next(numbers), each.gateway, each.payload, dt.datetime.fromtimestamp(each.at, dt.UTC))
            for each in together
        ]
        deployed.detector(eventsource.Settings(shards=4, stream=stream).event(arrived))
    deployed.wait(until)
    found = [msgspec.convert(each, Notification, strict=False) for each in deployed.inbox]
    return [Received(each, each.published_at) for each in found]


@pytest.mark.parametrize(("name", "stream"), [("wandering-devices", "kinesis"), ("bad-clocks", "kafka")])
def test_should_tell_by_the_functions_what_a_rehearsal_tells(
    name: str, stream: eventsource.Stream, tmp_path: Path
) -> None:
    scenario = load(name).resized(80)
    until = START + dt.timedelta(seconds=scenario.duration)
    records = list(simulation.records(scenario, START))
    with bundled(tmp_path, RULES):
        received = notifications(records, until, stream)
    rehearsed = rehearse(records, parse_rules(RULES), until).received
    assert {(each.rule, each.device, each.gateway, each.resolved_at is None) for each in told(received)} == {
        (each.rule, each.device, each.gateway, each.resolved_at is None) for each in told(rehearsed)
    }
    found = score(simulation.injected_faults(scenario, START), received, until)
    assert (found.missed, found.false) == ([], [])
    assert found.total.found >= 30
