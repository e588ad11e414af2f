"""The verbs of ``iot alerts`` that look at alerts and hold them."""

from __future__ import annotations

import datetime as dt
import getpass
import json
from collections.abc import Callable, Iterator

import boto3
import msgspec
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from cli import target
from cli.verbs.alerts import app
from lambdas.store.states import StateTable
from pipeline import alerts
from pipeline.alerts import Event
from pipeline.errors import PipelineError
from telemetry.alerting.state import AlertState, Hold, Home
from tests.unit.pipeline.alerting import DEPLOYED, NOW, RULES_TEXT, create_state_table, reading, state_of


@pytest.fixture(scope="module")
def loaded() -> boto3.Session:
    """A session that reads the services' descriptions once."""
    return boto3.Session()


@pytest.fixture
def session(loaded: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    """A deployment with an alert that fires and one that is pending, and no history in the lake."""
    with mock_aws():
        session = loaded
        s3 = session.client("s3")
        s3.create_bucket(Bucket=DEPLOYED.config_bucket_name)
        s3.put_object(Bucket=DEPLOYED.config_bucket_name, Key=DEPLOYED.rules_key, Body=RULES_TEXT.encode())
        create_state_table(session, [state_of("gw-1", reading("hot", temperature=41), reading("low", 1, battery=2.0))])
        url = session.client("sqs").create_queue(QueueName="transitions")["QueueUrl"]
        deployed = msgspec.structs.replace(DEPLOYED, transitions_queue_url=url)
        monkeypatch.setattr(target, "deployed", lambda _: (session, deployed))
        monkeypatch.setattr(getpass, "getuser", lambda: "ann")
        monkeypatch.setattr(alerts, "history", lambda *_: [])
        yield session


@pytest.fixture
def iot(session: boto3.Session) -> Callable[..., Result]:
    """``iot alerts`` with these words; raises what ``iot`` prints on one line with exit code 1."""

    def run(*words: str, aws: bool = False) -> Result:
        return CliRunner().invoke(app, words, obj=target.Choice(aws, "dev"), catch_exceptions=False)

    return run


def states(session: boto3.Session) -> StateTable:
    return StateTable(session.client("dynamodb"), DEPLOYED.state_table_name)


def alert_of(session: boto3.Session, device: str, rule: str) -> AlertState:
    return states(session).load([Home("gw-1")])[Home("gw-1")].state.alerts[device][rule]


def hold_of(session: boto3.Session, device: str, rule: str, gateway: str = "gw-1") -> Hold | None:
    return states(session).load([Home(gateway)])[Home(gateway)].state.holds.get(device, {}).get(rule)


def test_should_list_what_is_active_and_with_all_what_is_held(iot: Callable[..., Result]) -> None:
    iot("disable", "--rule", "too-hot", "--device", "quiet", "--gateway", "gw-1", "--why", "broken")
    listed = iot("list").output.splitlines()
    assert [line.split()[4] for line in listed[1:]] == ["hot", "low"]
    assert [each["device"] for each in json.loads(iot("list", "--json").output)] == ["hot", "low"]
    held = json.loads(iot("list", "--all", "--json").output)[-1]
    assert (held["device"], held["status"], held["hold"]["who"]) == ("quiet", "inactive", "ann")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--rule", "too-*"), ["hot"]),
        (("--site", "nowhere"), []),
        (("--device", "l?w"), ["low"]),
        (("--severity", "info"), ["low"]),
        (("--severity", "page"), []),
    ],
)
def test_should_list_only_what_is_asked_for(
    iot: Callable[..., Result], words: tuple[str, ...], expected: list[str]
) -> None:
    assert [each["device"] for each in json.loads(iot("list", *words, "--json").output)] == expected


def test_should_refuse_a_severity_that_there_is_not(iot: Callable[..., Result]) -> None:
    refused = iot("list", "--severity", "huge")
    assert refused.exit_code == 2
    assert "critical" in refused.output


def test_should_say_that_nothing_is_active(iot: Callable[..., Result]) -> None:
    assert iot("list", "--site", "nowhere").output.strip() == "no active alerts match these filters"


def test_should_acknowledge_alerts_by_the_beginnings_of_their_ids(
    iot: Callable[..., Result], session: boto3.Session
) -> None:
    alert = alert_of(session, "hot", "too-hot")
    done = iot("ack", alert.alert_id[:6], "--why", "on it")
    assert done.exit_code == 0
    assert done.output == f"acknowledged too-hot at hot, alert {alert.alert_id} (ann: on it)\n"
    hold = hold_of(session, "hot", "too-hot")
    assert hold is not None
    assert (hold.kind, hold.who, hold.why) == ("acknowledged", "ann", "on it")


def test_should_snooze_by_rule_and_device_and_take_it_back(iot: Callable[..., Result], session: boto3.Session) -> None:
    place = ("--rule", "battery-low", "--device", "hot")
    done = iot("snooze", *place, "--for", "1h30m", "--why", "new cells", "--who", "bob")
    hold = hold_of(session, "hot", "battery-low")
    assert hold is not None
    assert hold.until is not None
    assert hold.until - hold.at == dt.timedelta(minutes=90)
    assert done.output == f"snoozed battery-low at hot until {hold.until:%Y-%m-%d %H:%M} UTC (bob: new cells)\n"
    assert iot("unsnooze", *place).output == "no longer snoozed: battery-low at hot (bob had said: new cells)\n"
    assert hold_of(session, "hot", "battery-low") is None


def test_should_disable_several_alerts_and_enable_one(iot: Callable[..., Result], session: boto3.Session) -> None:
    ids = [alert_of(session, "hot", "too-hot").alert_id, alert_of(session, "low", "battery-low").alert_id]
    assert len(iot("disable", *ids, "--why", "rebuilding").output.splitlines()) == 2
    iot("enable", ids[0])
    assert hold_of(session, "hot", "too-hot") is None
    assert hold_of(session, "low", "battery-low") is not None


def test_should_hold_a_gateways_own_alert(iot: Callable[..., Result], session: boto3.Session) -> None:
    done = iot("disable", "--rule", "too-hot", "--gateway", "gw-9", "--why", "not yet built")
    assert done.output == "disabled too-hot at gw-9 (ann: not yet built)\n"
    assert hold_of(session, "", "too-hot", "gw-9") is not None


def test_should_close_alerts_by_id_or_by_rule_and_device(iot: Callable[..., Result], session: boto3.Session) -> None:
    alert = alert_of(session, "hot", "too-hot")
    done = iot("close", alert.alert_id[:6], "--why", "a new sensor").output
    assert done == f"closed too-hot at hot, alert {alert.alert_id} (ann: a new sensor)\n"
    assert [each["device"] for each in json.loads(iot("list", "--json").output)] == ["low"]
    done = iot("close", "--rule", "battery-low", "--device", "low", "--why", "new cells", "--who", "bob").output
    assert done == "closed battery-low at low (bob: new cells)\n"
    assert iot("list").output.strip() == "no active alerts match these filters"


def test_should_say_that_a_disabled_alert_stays_so_when_it_is_acknowledged(
    iot: Callable[..., Result], session: boto3.Session
) -> None:
    alert = alert_of(session, "hot", "too-hot")
    iot("disable", alert.alert_id, "--why", "broken", "--who", "bob")
    done = iot("ack", alert.alert_id, "--why", "on it").output
    assert done == f"acknowledged too-hot at hot, alert {alert.alert_id}; it stays disabled (bob: broken)\n"
    assert "disabled by bob" in iot("show", alert.alert_id).output
    assert "firing, disabled" in iot("list").output


def test_should_take_the_callers_identity_on_aws(iot: Callable[..., Result], session: boto3.Session) -> None:
    place = ("--rule", "too-hot", "--device", "hot")
    assert iot("disable", *place, "--why", "x", aws=True).output == "disabled too-hot at hot (moto: x)\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ack", "ffff", "--why", "x"), "no alert ffff is active; 'iot alerts list' shows those that are"),
        (("show", "ffff"), "no alert ffff is active or in the lake"),
        (("show", "x"), "invalid alert id 'x'"),
        (("disable", "--why", "x"), "name the alerts: give their ids, or --rule with --device"),
        (
            ("disable", "ffff", "--rule", "too-hot", "--why", "x"),
            "name the alerts: give their ids, or --rule with --device",
        ),
        (("enable", "--rule", "too-hot"), "name the alerts: give their ids, or --rule with --device"),
        (("enable", "--rule", "too-hot", "--device", "hot"), "too-hot at hot is not disabled: nothing holds it"),
        (("snooze", "ffff", "--for", "soon", "--why", "x"), "--for: "),
        (("snooze", "ffff", "--for", "0s", "--why", "x"), "--for: "),
        (("disable", "--rule", "none", "--device", "hot", "--why", "x"), "there is no rule none; those in use are"),
        (("disable", "--rule", "too-hot", "--device", "new", "--why", "x"), "no device 'new' was heard of: check its"),
        (("close", "--rule", "too-hot", "--device", "low", "--why", "x"), "too-hot is not active at low: there is"),
        (("close", "--why", "x"), "name the alerts: give their ids, or --rule with --device"),
    ],
)
def test_should_say_why_it_cannot_be_done(iot: Callable[..., Result], words: tuple[str, ...], said: str) -> None:
    with pytest.raises(PipelineError) as raised:
        iot(*words)
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize(
    "words", [("ack", "ffff"), ("ack", "--why", "x"), ("snooze", "ffff", "--why", "x"), ("close", "ffff")]
)
def test_should_ask_for_what_is_missing(iot: Callable[..., Result], words: tuple[str, ...]) -> None:
    assert iot(*words).exit_code == 2


def test_should_change_nothing_when_one_of_several_ids_is_of_no_use(
    iot: Callable[..., Result], session: boto3.Session
) -> None:
    with pytest.raises(PipelineError, match="no alert ffff is active"):
        iot("ack", alert_of(session, "hot", "too-hot").alert_id, "ffff", "--why", "x")
    assert hold_of(session, "hot", "too-hot") is None


EVENT = Event(
    alert_id="3f2a9c0102030405aabb", sequence=1, change="firing", severity="critical", rule="too-hot", device="hot",
    site="plant-1", gateway="gw-1", value=41.0, summary="hot is 41.0 °C hot", changed_at=NOW, recorded_at=NOW,
)  # fmt: skip


def test_should_show_an_alert_and_its_history(
    iot: Callable[..., Result], session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "history", lambda *_: [EVENT])
    alert = alert_of(session, "hot", "too-hot")
    shown = iot("show", alert.alert_id[:4]).output
    assert alert.alert_id in shown
    assert "2026-11-23 12:00:00 UTC  firing       critical hot is 41.0 °C hot" in shown
    found = json.loads(iot("show", alert.alert_id, "--json").output)
    assert (found["alert"]["device"], found["history"][0]["change"]) == ("hot", "firing")


def test_should_show_the_history_of_an_alert_that_is_over(
    iot: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "history", lambda *_: [EVENT])
    assert json.loads(iot("show", "3f2a", "--json").output)["alert"] is None


def test_should_show_an_alert_without_its_history_where_athena_does_not_answer(
    iot: Callable[..., Result], session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> list[Event]:
        raise PipelineError("Athena refused the query: no")

    monkeypatch.setattr(alerts, "history", refused)
    shown = iot("show", alert_of(session, "hot", "too-hot").alert_id)
    assert shown.exit_code == 0
    assert "hot is 41.0 °C hot" in shown.stdout
    with pytest.raises(PipelineError, match="Athena refused"):
        iot("show", "ffff")
