"""What stands, and finding one of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import boto3
import pandas as pd
import pytest
from moto import mock_aws

from pipeline import alerts
from pipeline.alerts import Place, Standing
from pipeline.errors import PipelineError
from telemetry.alerting.evaluate import evaluate, hold
from telemetry.alerting.heard import Heard
from telemetry.alerting.recent import Recent
from telemetry.alerting.state import GatewayState, Hold
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet
from telemetry.tables.alerts import ALERTS
from tests.unit.pipeline.alerting import (
    DEPLOYED,
    NOW,
    RULES,
    RULES_TEXT,
    create_state_table,
    reading,
    state_of,
)

Standings = Callable[..., list[Standing]]


@pytest.fixture(scope="module")
def loaded() -> boto3.Session:
    """A session that reads the services' descriptions once."""
    return boto3.Session()


@pytest.fixture
def session(loaded: boto3.Session) -> Iterator[boto3.Session]:
    with mock_aws():
        yield loaded


@pytest.fixture
def standings(session: boto3.Session) -> Standings:
    def read(*states: GatewayState, rules: RuleSet = RULES) -> list[Standing]:
        create_state_table(session, states)
        return alerts.standings(session, DEPLOYED, rules)

    return read


def test_should_tell_of_every_active_alert_the_most_severe_and_then_the_oldest_first(standings: Standings) -> None:
    one = state_of("gw-1", reading("low", 0, battery=2.0), reading("hot-later", 9, temperature=41))
    two = state_of("gw-2", reading("hot", 5, temperature=42.5), reading("well", 6, temperature=20))
    found = standings(one, two)
    assert [(each.device, each.status, each.severity) for each in found] == [
        ("hot", "firing", "critical"),
        ("hot-later", "firing", "critical"),
        ("low", "pending", "info"),
    ]
    hot = found[0]
    assert (hot.gateway, hot.site, hot.metric, hot.value, hot.threshold) == ("gw-2", "plant-1", "temperature", 42.5, 40)
    assert (hot.summary, hot.runbook) == ("hot is 42.5 °C hot", "docs/hot.md")
    assert hot.active_at == hot.fired_at == NOW + dt.timedelta(seconds=5)
    assert found[2].fired_at is None


def test_should_read_every_page_of_the_table(standings: Standings) -> None:
    # Together more than the megabyte that a page of a scan has at most, though compressed: the reasons are random.
    random = Random(1)
    holds = [Hold("disabled", "ann", f"{random.getrandbits(2_000_000):x}", NOW) for _ in range(6)]
    states = [GatewayState(f"gw-{i}", holds={"d": {"too-hot": each}}) for i, each in enumerate(holds)]
    assert [standing.gateway for standing in standings(*states)] == [f"gw-{i}" for i in range(6)]


def test_should_tell_who_holds_what_and_of_holds_where_there_is_no_alert(standings: Standings) -> None:
    firing = state_of("gw-1", reading("hot", temperature=41))
    until = NOW + dt.timedelta(hours=2)
    acknowledged = hold(RULES, firing, "hot", "too-hot", Hold("acknowledged", "ann", "on it", NOW)).state
    snoozed = hold(RULES, acknowledged, "quiet", "battery-low", Hold("snoozed", "bob", "new cells", NOW, until)).state
    found = standings(snoozed)
    assert [(each.device, each.status, each.alert_id == "", each.severity) for each in found] == [
        ("hot", "firing", False, "critical"),
        ("quiet", "inactive", True, "info"),
    ]
    assert [each.hold and (each.hold.kind, each.hold.who, each.hold.why, each.hold.until) for each in found] == [
        ("acknowledged", "ann", "on it", None),
        ("snoozed", "bob", "new cells", until),
    ]


def test_should_tell_of_an_alert_whose_rule_is_gone(standings: Standings) -> None:
    (found,) = standings(state_of("gw-1", reading("hot", temperature=41)), rules=parse_rules("rules: []"))
    assert (found.status, found.severity, found.value, found.summary) == ("firing", "critical", 41, "")


def a_standing(**fields: Any) -> Standing:
    usual = {"alert_id": "00", "status": "firing", "severity": "info", "rule": "r", "device": "d", "site": "s"}
    return Standing(**{**usual, "gateway": "gw", **fields})


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["hot", "low"]),
        ({"quiet": True}, ["hot", "low", ""]),
        ({"rule": "too-*"}, ["hot"]),
        ({"site": "plant-?"}, ["low"]),
        ({"device": "h*"}, ["hot"]),
        ({"device": "gw-9", "quiet": True}, [""]),
        ({"severity": "info"}, ["low"]),
    ],
)
def test_should_select_by_globs_and_severity(asked: dict[str, Any], expected: list[str]) -> None:
    found = [
        a_standing(device="hot", rule="too-hot", site="office", severity="critical"),
        a_standing(device="low", rule="battery-low", site="plant-1"),
        a_standing(device="", gateway="gw-9", status="inactive", rule="down", severity="page"),
    ]
    wanted: dict[str, Any] = {"rule": "*", "site": "*", "device": "*", "severity": None, "quiet": False}
    assert [each.device for each in alerts.select(found, **{**wanted, **asked})] == expected


FOUND = [
    a_standing(alert_id="3f2a9c010203", device="one"),
    a_standing(alert_id="3f2a9c99ffff", device="two"),
    a_standing(alert_id="", status="inactive", device="quiet"),
]


def test_should_find_alerts_by_the_beginnings_of_their_ids() -> None:
    assert alerts.places(FOUND, ["3f2a9c0", "3f2a9c99ffff"]) == [
        Place("gw", "one", "r", "3f2a9c010203"),
        Place("gw", "two", "r", "3f2a9c99ffff"),
    ]


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("3f2a", "3f2a is the beginning of several alerts' ids: 3f2a9c010203, 3f2a9c99ffff; give more of it"),
        ("ffff", "no alert ffff is active; 'iot alerts list' shows those that are"),
        ("3f2", "invalid alert id '3f2': give at least its first 4 characters, of 0 to 9 and a to f"),
        ("x' OR 1=1 --", 'invalid alert id "x\' OR 1=1 --"'),
        ("", "invalid alert id ''"),
    ],
)
def test_should_say_why_an_id_is_of_no_use(prefix: str, said: str) -> None:
    with pytest.raises(PipelineError) as raised:
        alerts.places(FOUND, ["3f2a9c0", prefix])
    assert str(raised.value).startswith(said)


def test_should_tell_of_the_alerts_of_every_home_of_a_gateway(standings: Standings) -> None:
    first = state_of("gw-1", reading("hot", temperature=41))
    second = state_of("gw-1", reading("hot-too", 5, temperature=41), before=GatewayState("gw-1", number=1))
    assert [each.place[:3] for each in standings(first, second)] == [
        ("gw-1", "hot", "too-hot"),
        ("gw-1", "hot-too", "too-hot"),
    ]


def test_should_name_the_gateway_through_which_a_device_was_heard_that_is_at_home_elsewhere(
    standings: Standings,
) -> None:
    heard = Heard("gw-2", NOW + dt.timedelta(seconds=1), [reading("hot", temperature=41)])
    (found,) = standings(evaluate(RULES, GatewayState("gw-1"), Recent(), heard).state)
    assert found.gateway == "gw-2"


def test_should_use_the_rules_that_the_functions_use(session: boto3.Session) -> None:
    s3 = session.client("s3")
    s3.create_bucket(Bucket=DEPLOYED.config_bucket_name)
    s3.put_bucket_versioning(Bucket=DEPLOYED.config_bucket_name, VersioningConfiguration={"Status": "Enabled"})

    def in_use() -> list[str]:
        return [rule.name for rule in alerts.rules_in_use(session, DEPLOYED).rules]

    assert in_use() == [rule.name for rule in parse_rules(alerts.PACKAGED_RULES.read_text()).rules]
    for text in (RULES_TEXT, "broken"):
        s3.put_object(Bucket=DEPLOYED.config_bucket_name, Key=DEPLOYED.rules_key, Body=text.encode())
        assert in_use() == ["too-hot", "battery-low"]


ID = "3f2a9c0102030405aabb"


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows that Athena answers with, and what it was asked."""
    rows: list[dict[str, Any]] = []
    asked: list[str] = []

    def query(_session: object, _deployed: object, sql: str) -> pd.DataFrame:
        asked.append(sql)
        return pd.DataFrame(rows, columns=list(alerts.Event.__struct_fields__))

    monkeypatch.setattr(alerts, "query", query)
    return rows, asked


def row(sequence: int, change: str, **fields: Any) -> dict[str, Any]:
    usual = {
        "alert_id": ID, "severity": "info", "rule": "r", "device": "d", "site": "s", "gateway": "gw", "value": 41.0,
        "summary": "hot", "changed_at": "2026-11-23T12:00:00Z", "recorded_at": "2026-11-23T12:00:01.5Z",
        "who": "", "why": "",
    }  # fmt: skip
    return {**usual, "sequence": sequence, "change": change, **fields}


def test_should_tell_what_happened_to_an_alert_each_change_once(lake: tuple[list[dict[str, Any]], list[str]]) -> None:
    rows, asked = lake
    rows += [
        row(1, "firing"),
        row(1, "firing"),
        row(2, "acknowledged", who="ann", why="on it"),
        row(3, "resolved", value=None),
    ]
    events = alerts.history(boto3.Session(), DEPLOYED, "3f2a", NOW)
    assert [(event.sequence, event.change, event.value) for event in events] == [
        (1, "firing", 41), (2, "acknowledged", 41), (3, "resolved", None)
    ]  # fmt: skip
    assert events[0].recorded_at == NOW + dt.timedelta(seconds=1.5)
    assert (events[1].who, events[1].why) == ("ann", "on it")
    assert "alert_id LIKE '3f2a%' AND dt >= '2026-11-22'" in asked[0]


def test_should_take_an_empty_text_as_athena_gives_it(lake: tuple[list[dict[str, Any]], list[str]]) -> None:
    lake[0].append(row(1, "firing", who=None, why=None, device=None))
    (event,) = alerts.history(boto3.Session(), DEPLOYED, ID, NOW)
    assert (event.who, event.why, event.device) == ("", "", "")


def test_should_tell_nothing_of_an_alert_that_is_not_in_the_lake(lake: tuple[list[dict[str, Any]], list[str]]) -> None:
    assert alerts.history(boto3.Session(), DEPLOYED, ID, None) == []
    assert "dt >=" not in lake[1][0]


def test_should_not_mix_up_alerts_whose_ids_begin_alike(lake: tuple[list[dict[str, Any]], list[str]]) -> None:
    lake[0].extend([row(1, "firing"), row(1, "firing", alert_id=ID.replace("aabb", "ccdd"))])
    with pytest.raises(PipelineError, match="3f2a is the beginning of several alerts' ids"):
        alerts.history(boto3.Session(), DEPLOYED, "3f2a", None)


def test_should_ask_the_lake_for_columns_that_it_has() -> None:
    assert set(alerts.Event.__struct_fields__) <= set(ALERTS.column_names)
