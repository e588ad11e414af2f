"""What docs/delivery.md promises of devices that are heard through several gateways, of edits, and of pieces."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.memory_aws.faults import Fault, Killed
from pipeline.alerts import Place
from telemetry.alerting.state import Home
from telemetry.reading.codec import encode_batch
from telemetry.reading.model import Reading
from telemetry.rules.parse import parse_rules
from tests.eventsource import Record, Settings, Stream
from tests.unit.delivery.deployed import NOW, Deployed, bundled
from tests.unit.delivery.test_delivery_promise import (
    KEEPS_MEMORY,
    RULES,
    Way,
    assert_same_outcome,
    examples,
    on_each_stream,
    run,
    streams,
    ways,
    ways_with,
)

#: Rules without durations: those may be decided later where a record fails between its parts.
AT_ONCE = b"""
defaults: {group_wait: 5s, group_interval: 30s}
rules:
  - {name: too-hot, when: temperature > 40, clear: temperature < 38, severity: critical}
  - {name: broken, when: status == fault}
"""
HOT = b"rules: [{name: hot, when: temperature > 40, severity: critical}]"

pytestmark = [
    pytest.mark.filterwarnings("ignore:No application metrics to publish"),
    pytest.mark.filterwarnings("ignore:Dimension 'stage' has already been added"),
]


@pytest.fixture(scope="module", autouse=True)
def _bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with bundled(tmp_path_factory.mktemp("bundle"), RULES):
        yield


@st.composite
def wanderings(draw: st.DrawFn) -> tuple[list[Record], dict[str, float]]:
    """Records of devices that are heard through any gateway, or through two; and the last temperature of each."""
    records: list[Record] = []
    last: dict[str, float] = {}
    for seq in range(draw(st.integers(1, 10))):
        arrived = NOW + dt.timedelta(seconds=seq)
        heard = draw(st.dictionaries(st.sampled_from(["d1", "d2", "d3"]), st.sampled_from([20.0, 41.0]), min_size=1))
        last |= heard
        data = encode_batch(
            Reading(device_id=device, site="s", ts=arrived, seq=seq, temperature=temperature, status="ok")
            for device, temperature in heard.items()
        )
        for gateway in draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True)):
            records.append(Record(len(records), gateway, data, arrived))
    return records, last


@on_each_stream
@given(wandering=wanderings(), way=ways_with(KEEPS_MEMORY, parallel=False))
@examples(80)
def test_should_keep_one_alert_of_a_device_wherever_it_is_heard(
    wandering: tuple[list[Record], dict[str, float]], way: Way, stream: Stream
) -> None:
    records, last = wandering
    way = way.on(stream)
    deployed = run(Deployed(HOT, way.faults), records, way.settings, way.turns)
    assert (deployed.given_up, deployed.outboxes) == ([], [])
    active = Counter(device for _, device, *_ in deployed.active)
    assert active == {device: 1 for device, temperature in last.items() if temperature > 40}
    told: dict[str, tuple[int, str]] = {}
    for line in deployed.lake:
        told[line["alert_id"]] = max(told.get(line["alert_id"], (0, "")), (line["sequence"], line["status"]))
    firing = {alert_id for alert_id, (_, status) in told.items() if status == "firing"}
    assert firing == {alert_id for _, _, _, _, alert_id, *_ in deployed.active}


DEVICES = [gateway + device for gateway in "abc" for device in ("d1", "d2")]


def registry(*devices: str) -> bytes:
    return "\n".join(["device,site,model", *(f"{device},s,m" for device in devices)]).encode()


def edited(deployed: Deployed, records: list[Record], way: Way, planned: dict[int, Fault]) -> Deployed:
    """After the stream, two rules and a device are removed, and more goes wrong."""
    deployed.configure("registry_key", registry(*DEVICES))
    run(deployed, records, way.settings, way.turns)
    deployed.plan(planned)
    deployed.configure("registry_key", registry(*DEVICES[1:]))
    rules = RULES.splitlines()
    deployed.configure("rules.yaml", b"\n".join(line for line in rules if b"too-hot" in line or b"- " not in line))
    deployed.settle()
    return deployed


@on_each_stream
@given(records=streams(), way=ways, planned=st.dictionaries(st.integers(0, 30), st.sampled_from(Fault), max_size=5))
@examples(60)
def test_should_end_what_is_gone_after_an_edit_whatever_fails(
    records: list[Record], way: Way, planned: dict[int, Fault], stream: Stream
) -> None:
    way = way.on(stream)
    expected = edited(Deployed(RULES), records, way._replace(faults={}), {})
    deployed = edited(Deployed(RULES, way.faults), records, way, planned)
    assert_same_outcome(deployed, expected)
    assert {rule for _, _, rule, *_ in deployed.active} <= {"too-hot"}
    assert DEVICES[0] not in {device for _, device, *_ in deployed.active}


def ordered(deployed: Deployed, records: list[Record], way: Way, planned: dict[int, Fault]) -> Deployed:
    """After the stream, an operator closes every alert and retires a device; what fails is tried again."""
    run(deployed, records, way.settings, way.turns)
    deployed.plan(planned)
    orders = deployed.orders(parse_rules(RULES))
    for gateway, device, rule, *_ in sorted(deployed.active):
        while any(other[1:3] == (device, rule) for other in deployed.active):
            with contextlib.suppress(Exception, Killed):
                orders.close(Place(gateway, device, rule), "done")
    for _ in range(len(planned) + 1):
        with contextlib.suppress(Exception, Killed):
            orders.retire("ad1", Home("a"), "gone")
            break
    deployed.settle()
    return deployed


@on_each_stream
@given(records=streams(), way=ways, planned=st.dictionaries(st.integers(0, 20), st.sampled_from(Fault), max_size=5))
@examples(40)
def test_should_keep_what_operators_closed_and_retired_whatever_fails(
    records: list[Record], way: Way, planned: dict[int, Fault], stream: Stream
) -> None:
    way = way.on(stream)
    expected = ordered(Deployed(RULES), records, way._replace(faults={}), {})
    deployed = ordered(Deployed(RULES, way.faults), records, way, planned)
    assert_same_outcome(deployed, expected)
    assert deployed.active == set()
    assert "ad1" not in deployed.snapshots


@on_each_stream
@given(records=streams(), way=ways)
@examples(40)
def test_should_tell_the_same_when_changes_are_written_one_by_one(
    records: list[Record], way: Way, stream: Stream
) -> None:
    way = way.on(stream)
    expected = run(Deployed(AT_ONCE), records, Settings(stream=stream))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lambdas.detector.detect._READINGS_PER_COMMIT", 1)
        patch.setattr("lambdas.watchdog.commits._MOST", 1)
        deployed = run(Deployed(AT_ONCE, way.faults), records, way.settings, way.turns)
    assert_same_outcome(deployed, expected)
