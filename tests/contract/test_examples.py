"""What is published does what it says: the examples' tests pass, and every rule in the documents can be used."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator

from evaluation.playback import Playback
from evaluation.rule_test_file import parse_tests, path_of_tests
from telemetry.alerting.evaluate import hold, release
from telemetry.alerting.state import Hold
from telemetry.alerting.transitions import Transition
from telemetry.notifying.dispatch import due_at, look, publications, settled
from telemetry.notifying.groups import Group, group_key, labels_of
from telemetry.notifying.inhibition import Inhibitor, Sources, remember, source_rules
from telemetry.notifying.merge import concerns_groups, merge
from telemetry.notifying.message import MAX_ALERTS, Notification
from telemetry.reading.model import Reading, Status
from telemetry.registry.registry import parse_registry
from telemetry.rules.lint import lint
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "docs/examples").glob("*.yaml") if not path.name.endswith(".test.yaml"))
START = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
SECOND, MINUTE, HOUR = dt.timedelta(seconds=1), dt.timedelta(minutes=1), dt.timedelta(hours=1)


def example(name: str) -> RuleSet:
    return parse_rules((ROOT / "docs/examples" / name).read_text())


def reading(
    device: str, at: dt.timedelta, *, site: str = "s", temperature: float | None = None, status: Status = "ok"
) -> Reading:
    ts = START + at
    return Reading(device_id=device, site=site, ts=ts, seq=at // SECOND, temperature=temperature, status=status)


class Desk:
    """The notifier without AWS: every group is looked at when it is due, and published at once."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self.sent: list[Notification] = []
        self._groups: dict[str, Group] = {}
        self._sources: Sources = {}

    def take(self, transitions: list[Transition], now: dt.datetime) -> None:
        """Transitions arrive."""
        sources = [each for each in transitions if each.rule in source_rules(self.rules)]
        self._sources = remember(self._sources, sources, now)
        by_group: dict[str, list[Transition]] = {}
        for transition in filter(concerns_groups, transitions):
            labels = labels_of(self.rules, transition)
            self._groups.setdefault(group_key(labels), Group(key=group_key(labels), labels=labels))
            by_group.setdefault(group_key(labels), []).append(transition)
        for key, news in by_group.items():
            self._groups[key] = merge(self._groups[key], self.rules, news, now).group

    def wait(self, until: dt.datetime) -> None:
        """Time passes."""
        while due := min(filter(None, (due_at(group, self.rules) for group in self._groups.values())), default=None):
            if due > until:
                return
            inhibited = Inhibitor(self.rules, self._sources.values(), due)
            for key, group in self._groups.items():
                looked = look(group, self.rules, inhibited, due)
                if looked.outbox:
                    self.sent += looked.outbox.notifications
                    looked = settled(looked, publications(looked.outbox))
                self._groups[key] = looked


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_should_pass_the_tests_that_are_published_with_an_example(path):
    rules = parse_rules(path.read_text())
    assert lint(rules) == []
    outcomes = [test.run(rules) for test in parse_tests(path_of_tests(path).read_text(), rules)]
    for outcome in outcomes:
        assert [str(row) for row in outcome.rows if not row.agrees] == [], outcome.name
    tested = {row.expected.rule for outcome in outcomes for row in outcome.rows if row.expected}
    assert tested == {rule.name for rule in rules.rules}, "each rule is seen to do something"


def test_should_have_tests_for_each_published_example():
    tests = {path.name for path in (ROOT / "docs/examples").glob("*.test.yaml")}
    assert len(tests) == 3
    assert tests == {path_of_tests(path).name for path in EXAMPLES}


def blocks(document: str = "docs/alerting.md", language: str = "yaml") -> Iterator[str]:
    yield from re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("document", "count"), [("docs/alerting.md", 3), ("README.md", 1)])
def test_should_be_able_to_use_every_rule_in_the_text(document, count):
    published = list(blocks(document))
    assert len(published) == count
    (devices,) = blocks(language="csv")
    for text in published:
        assert parse_rules(text, parse_registry(devices)).rules


@pytest.mark.parametrize("text", [next(blocks()), (ROOT / "rules.yaml").read_text()], ids=["alerting.md", "rules.yaml"])
def test_should_publish_the_defaults_that_are_built_in(text):
    defaults = re.search(r"^defaults:.*\n(?:  .*\n)+", text, re.MULTILINE)
    assert defaults
    bare = "rules:\n  - {name: r, when: temperature > 1}\n"
    assert parse_rules(defaults[0] + bare).rules == parse_rules(bare).rules
    assert set(re.findall(r"^  (\w+):", defaults[0], re.MULTILINE)) == {
        *("severity", "for", "keep_firing_for", "flapping"),
        *("group_by", "group_wait", "group_interval", "repeat_interval"),
    }


def test_should_publish_a_message_of_the_published_schema():
    (message,) = re.findall(
        r"^```json\n(\{\n.*?)^```$", (ROOT / "docs/alerting.md").read_text(), re.MULTILINE | re.DOTALL
    )
    schema = msgspec.json.decode((ROOT / "docs/notification.schema.json").read_bytes())
    Draft202012Validator(schema).validate(msgspec.json.decode(message))
    notification = msgspec.json.decode(message, type=Notification)
    assert notification.firing == len([alert for alert in notification.alerts if alert.status == "firing"])


class TestSimpleAlarm:
    """IoT Events' alarm: what its operators do."""

    RULES = example("iot-events-simple-alarm.yaml")

    def alarm(self) -> Playback:
        playback = Playback(self.RULES, "gw")
        (fired,) = playback.receive([reading("a", 0 * SECOND, temperature=41)], START)
        assert (fired.change, fired.severity) == ("firing", "warning")
        return playback

    def test_should_not_escalate_what_was_acknowledged_and_end_the_hold_with_the_alarm(self):
        alarm = self.alarm()
        acknowledged = Hold("acknowledged", "jo", "on my way", START + MINUTE)
        alarm.state, _ = hold(self.RULES, alarm.state, "a", "simple-alarm", acknowledged)
        assert alarm.wait(START + HOUR) == []
        (resolved,) = alarm.receive([reading("a", HOUR, temperature=20)], START + HOUR)
        assert (resolved.change, resolved.severity) == ("resolved", "warning")
        assert alarm.state.holds == {}

    def test_should_alarm_again_when_the_snooze_is_over(self):
        alarm, desk = self.alarm(), Desk(self.RULES)
        snooze = Hold("snoozed", "jo", "looking", START + SECOND, START + SECOND + 2 * MINUTE)
        alarm.state, snoozed = hold(self.RULES, alarm.state, "a", "simple-alarm", snooze)
        assert [each.held for each in snoozed] == ["snoozed"]
        (again,) = alarm.wait(START + 4 * MINUTE)
        assert (again.change, again.status, again.recorded_at) == ("unsnoozed", "firing", START + 3 * MINUTE)
        desk.take([*snoozed, again], START + 3 * MINUTE)
        desk.wait(START + 4 * MINUTE)
        assert [told.state for told in desk.sent] == ["firing"]

    def test_should_stay_silent_after_a_disturbance_was_forbidden(self):
        alarm, desk = self.alarm(), Desk(self.RULES)
        alarm.state, disabled = hold(
            self.RULES, alarm.state, "a", "simple-alarm", Hold("disabled", "jo", "do not disturb", START + SECOND)
        )
        desk.take(disabled + alarm.wait(START + HOUR), START + HOUR)
        desk.wait(START + 10 * HOUR)
        assert desk.sent == []
        _, enabled = release(self.RULES, alarm.state, "a", "simple-alarm", who="jo", why="", now=START + 10 * HOUR)
        desk.take(enabled, START + 10 * HOUR)
        desk.wait(START + 11 * HOUR)
        assert [told.state for told in desk.sent] == ["firing"]


class TestAlertmanager:
    """Alertmanager's examples: hundreds of instances behind ten gateways of a cluster."""

    RULES = example("alertmanager-grouping.yaml")

    def test_should_make_one_message_of_a_partition_that_hits_half_of_the_instances(self):
        desk = Desk(self.RULES)
        happened: list[Transition] = []
        for number in range(10):
            gateway = Playback(self.RULES, f"g{number}")
            for second in (0, 30, 60):
                record = [
                    reading(
                        f"instance-{number}-{device}",
                        second * SECOND,
                        site="cluster-1",
                        status="fault" if device % 2 else "ok",
                    )
                    for device in range(60)
                ]
                happened += gateway.receive(record, START + second * SECOND + number * SECOND)
        happened.sort(key=lambda transition: transition.recorded_at)
        assert sum(transition.change == "firing" for transition in happened) == 300
        for transition in happened:
            desk.wait(transition.recorded_at)
            desk.take([transition], transition.recorded_at)
        desk.wait(START + 2 * HOUR)
        (told,) = desk.sent
        assert (told.reason, told.severity, told.firing, told.at_least) == ("new", "page", 300, False)
        assert told.group == {"rule": "database-unreachable", "site": "cluster-1"}
        assert (len(told.alerts), told.omitted) == (MAX_ALERTS, 300 - MAX_ALERTS)
        assert len({alert.device for alert in told.alerts}) == MAX_ALERTS
        assert told.published_at == START + 90 * SECOND, "group_wait after the first"

    def test_should_mute_the_other_alerts_of_a_cluster_that_is_not_reachable(self):
        desk = Desk(self.RULES)
        gateways = {number: Playback(self.RULES, f"g{number}") for number in (1, 2)}
        happened: list[Transition] = []
        for number, gateway in gateways.items():
            record = [
                reading(f"instance-{number}-{device}", 0 * SECOND, site=f"cluster-{number}") for device in range(50)
            ]
            gateway.receive(record, START)
        for minute in range(1, 31):
            # The gateway of the other cluster is there, without half of its instances.
            alive = [reading(f"instance-2-{device}", minute * MINUTE, site="cluster-2") for device in range(25)]
            happened += gateways[2].receive(alive, START + minute * MINUTE)
            happened += gateways[1].wait(START + minute * MINUTE)
        for transition in sorted(happened, key=lambda transition: transition.recorded_at):
            desk.wait(transition.recorded_at)
            desk.take([transition], transition.recorded_at)
        desk.wait(START + 31 * MINUTE)
        counts = {(told.group["site"], told.group["rule"]): told.firing for told in desk.sent}
        assert counts == {("cluster-1", "cluster-unreachable"): 1, ("cluster-2", "instance-silent"): 25}

    def test_should_tell_what_is_still_wrong_once_the_cluster_is_reachable_again(self):
        desk, gateway = Desk(self.RULES), Playback(self.RULES, "g1")
        gateway.receive([reading(f"instance-{device}", 0 * SECOND, site="cluster-1") for device in range(3)], START)
        happened = gateway.wait(START + 20 * MINUTE)
        happened += gateway.receive([reading("instance-0", 20 * MINUTE, site="cluster-1")], START + 20 * MINUTE)
        for transition in happened:
            desk.wait(transition.recorded_at)
            desk.take([transition], transition.recorded_at)
        desk.wait(START + 25 * MINUTE)
        assert len(desk.sent) == 2, "the others may yet report"
        desk.wait(START + 30 * MINUTE)
        told = {(each.group["rule"], each.state, each.firing) for each in desk.sent}
        assert told == {
            ("cluster-unreachable", "firing", 1),
            ("cluster-unreachable", "resolved", 0),
            ("instance-silent", "firing", 2),
        }
