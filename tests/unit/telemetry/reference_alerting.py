"""The alert state machine once more: slow and obvious, to compare ``telemetry.alerting`` with.

It keeps everything that ever happened to a gateway. To tell the transitions it picks out, for each (device, rule),
what that one alert got to see, and walks through it from the beginning. Times that the text leaves open are marked
"reading of the text" where they are decided. Windows are left out: a condition on one is never news here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from telemetry.conditions import And, Comparison, Condition, Metric, NoData, Or, Status
from telemetry.reading import MAX_LATENESS, Reading
from telemetry.rules import Rule

#: The contract's CLOCK_GRACE: what a reading may be under way before the clock decides without it.
GRACE = dt.timedelta(seconds=15)

#: The contract's RECENT_EVERY: what the watchdog knows of arrivals may be this old.
LAST_SEEN_MAY_BE_OLD = dt.timedelta(seconds=60)

NOTHING = dt.timedelta(0)
LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)

#: The device of an alert about the gateway itself.
THE_GATEWAY = ""


@dataclass(frozen=True)
class RecordArrives:
    """A stream record of the gateway with its readings, in their order."""

    arrived: dt.datetime
    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class ClockTicks:
    """The watchdog asks what is due."""

    now: dt.datetime


@dataclass(frozen=True)
class SilenceIsChecked:
    """The watchdog asks who has not been heard of."""

    now: dt.datetime


@dataclass(frozen=True)
class RulesAre:
    """From here on these rules are in force."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class OperatorHolds:
    """``kind`` is acknowledged, snoozed (until a time) or disabled."""

    device: str
    rule: str
    kind: str
    at: dt.datetime
    until: dt.datetime | None = None


@dataclass(frozen=True)
class OperatorReleases:
    """Ends what is held."""

    device: str
    rule: str
    at: dt.datetime


Event = RecordArrives | ClockTicks | SilenceIsChecked | RulesAre | OperatorHolds | OperatorReleases


@dataclass(frozen=True)
class Told:
    """What there is to compare of a transition. ``active_at`` is None, and ``sequence`` 0, where there is no alert."""

    rule: str
    device: str
    active_at: dt.datetime | None
    sequence: int
    change: str
    status: str
    severity: str
    changed_at: dt.datetime | None
    at: dt.datetime
    fired_at: dt.datetime | None
    flapping: bool
    held: str | None


def truth(condition: Condition, reading: Reading) -> bool | None:
    """Kleene's three values: None is "no news"."""
    if isinstance(condition, And):
        return conjunction([truth(term, reading) for term in condition.terms])
    if isinstance(condition, Or):
        opposites = [opposite(truth(term, reading)) for term in condition.terms]
        return opposite(conjunction(opposites))
    if isinstance(condition, Status):
        same = reading.status == condition.status
        return same if condition.op == "==" else not same
    if isinstance(condition, Comparison) and isinstance(condition.subject, Metric):
        value = getattr(reading, condition.subject.name)
        return None if value is None else compare(value, condition.op, condition.threshold)
    return None


def conjunction(values: list[bool | None]) -> bool | None:
    if False in values:
        return False
    return None if None in values else True


def opposite(value: bool | None) -> bool | None:
    return None if value is None else not value


def compare(value: float, op: str, threshold: float) -> bool:
    return {
        "<": value < threshold,
        "<=": value <= threshold,
        ">": value > threshold,
        ">=": value >= threshold,
    }[op]


def watching(rule: Rule | None, device: str, site: str) -> Rule | None:
    """The rule if it is there and watches the device, or the gateway, at a site."""
    if rule is None or is_about_gateway(rule) != (device == THE_GATEWAY):
        return None
    return rule if fnmatchcase(device, rule.device) and fnmatchcase(site, rule.site) else None


def is_about_silence(rule: Rule) -> bool:
    return isinstance(rule.when, NoData)


def is_about_gateway(rule: Rule) -> bool:
    return isinstance(rule.when, NoData) and rule.when.scope == "gateway"


@dataclass
class Story:
    """One (device, rule) from the first thing that happened to it."""

    device: str
    name: str
    told: list[Told] = field(default_factory=list)

    #: Where the device was when it was last looked at.
    site: str = ""
    status: str = "absent"
    active_at: dt.datetime | None = None
    sequence: int = 0
    severity: str = ""
    changed_at: dt.datetime = LONG_AGO
    #: Of readings up to this one nothing is news: it changed the alert last.
    news_after: tuple[dt.datetime, int] = (LONG_AGO, -1)
    fired_at: dt.datetime | None = None
    clearing_at: dt.datetime | None = None
    escalated: bool = False
    flapping: bool = False
    ups_and_downs: list[dt.datetime] = field(default_factory=list)
    held: str | None = None
    held_until: dt.datetime | None = None
    #: By the clock: when pending or clearing ends, and when an escalation is due, if no reading does it before.
    ends_at: dt.datetime | None = None
    escalates_at: dt.datetime | None = None

    # What happens.

    def record(self, event: RecordArrives, rule: Rule | None) -> None:
        if self.device != THE_GATEWAY:
            for reading in event.readings:
                if reading.device_id == self.device:
                    self.look(reading, event.arrived, watching(rule, self.device, reading.site))
        elif rule is not None and is_about_gateway(rule):
            self.hear(event.arrived, rule)
        else:
            self.lose_rule(event.arrived, event.arrived)
        self.pass_time(event.arrived)

    def order(self, event: OperatorHolds | OperatorReleases) -> None:
        if isinstance(event, OperatorHolds):
            self.hold(event.kind, event.until, event.at)
        else:
            self.release(event.at)

    def look(self, reading: Reading, arrived: dt.datetime, rule: Rule | None) -> None:
        """A reading of the device, with the rule if it is (still) there and watches the device where it now is."""
        if rule is not None and is_about_silence(rule):
            self.hear(arrived, rule)
        elif (reading.ts, reading.seq) > self.news_after:
            if rule is None:
                self.lose_rule(reading.ts, arrived, (reading.ts, reading.seq))
            else:
                self.site = reading.site
                self.judge(reading, arrived, rule)

    def judge(self, reading: Reading, arrived: dt.datetime, rule: Rule) -> None:
        when, clear = truth(rule.when, reading), truth(rule.clear, reading)
        by = (reading.ts, reading.seq)
        if self.status == "firing":
            self.judge_firing(when, clear, reading, arrived, rule)
        elif self.status == "pending":
            assert self.active_at is not None
            if when is False:
                self.change("inactive", "inactive", reading.ts, arrived, by)
            elif when and reading.ts - self.active_at >= rule.hold_for:
                self.fire(reading.ts, arrived, rule, by)
        elif when:
            self.begin(reading.ts, rule)
            if rule.hold_for == NOTHING:
                self.fire(reading.ts, arrived, rule, by)
            else:
                self.change("pending", "pending", reading.ts, arrived, by)
                self.ends_at = arrived + rule.hold_for + GRACE

    def judge_firing(
        self, when: bool | None, clear: bool | None, reading: Reading, arrived: dt.datetime, rule: Rule
    ) -> None:
        by = (reading.ts, reading.seq)
        if when:
            # Reading of the text: where "when" and "clear" both hold, there still is something wrong.
            self.clearing_at = self.ends_at = None
        elif self.clearing_at is not None:
            if reading.ts - self.clearing_at >= self.keeps_firing(rule):
                self.resolve(reading.ts, arrived, by)
        elif clear:
            self.begin_to_clear(reading.ts, arrived, rule, by)
        if self.fired_at is not None and rule.escalate is not None:
            if reading.ts - self.fired_at >= rule.escalate.after:
                self.escalate(reading.ts, arrived, rule, by)

    def hear(self, arrived: dt.datetime, rule: Rule) -> None:
        """Something arrived while the rule is about silence. Only arrivals count, so they are the times as well."""
        # Reading of the text: an escalation in between does not make what arrives with it old.
        if self.status != "firing" or self.fired_at is None or arrived <= self.fired_at:
            return
        if self.clearing_at is None:
            self.begin_to_clear(arrived, arrived, rule)
        elif arrived - self.clearing_at >= self.keeps_firing(rule):
            self.resolve(arrived, arrived)

    def miss(self, last_arrival: dt.datetime, now: dt.datetime, rule: Rule) -> None:
        """The watchdog looks when the device, or the gateway, was last heard of."""
        if now < last_arrival + rule.hold_for + LAST_SEEN_MAY_BE_OLD:
            return
        if self.status == "firing":
            self.clearing_at = self.ends_at = None
        else:
            self.begin(last_arrival, rule)
            self.fire(now, now, rule)

    def lose_rule(self, moment: dt.datetime, arrived: dt.datetime, by: tuple[dt.datetime, int] | None = None) -> None:
        if self.status == "firing":
            self.resolve(moment, arrived, by)
        elif self.status == "pending":
            # Reading of the text: what never fired cannot be resolved.
            self.change("inactive", "inactive", moment, arrived, by)
        else:
            self.forget()
        # Reading of the text: another rule of that name has nothing to do with how often this one changed.
        self.ups_and_downs = []

    def tick(self, now: dt.datetime, rule: Rule | None) -> None:
        if self.held == "snoozed" and self.held_until is not None and now >= self.held_until:
            self.release(now)
        if rule is None:
            # Reading of the text: whichever comes first, the device's next reading or a time that was set.
            if any(timer is not None and now >= timer for timer in (self.ends_at, self.escalates_at)):
                self.lose_rule(now, now)
            return
        # Reading of the text: a clock that is late does what a timely one would have done, in that order.
        if self.escalates_at is not None and self.ends_at is not None and self.escalates_at < self.ends_at:
            self.raise_severity_by_clock(now, rule)
        self.end_by_clock(now, rule)
        self.raise_severity_by_clock(now, rule)

    def end_by_clock(self, now: dt.datetime, rule: Rule) -> None:
        # Reading of the text: the clock's decisions do not make a reading on its way old.
        if self.ends_at is not None and now >= self.ends_at:
            if self.status == "pending":
                self.fire(now, now, rule)
            elif self.status == "firing":
                self.resolve(now, now)

    def raise_severity_by_clock(self, now: dt.datetime, rule: Rule) -> None:
        if self.escalates_at is not None and now >= self.escalates_at:
            self.escalate(now, now, rule)

    def pass_time(self, now: dt.datetime) -> None:
        if self.status in ("resolved", "inactive") and now - self.changed_at > MAX_LATENESS:
            self.forget()

    def hold(self, kind: str, until: dt.datetime | None, at: dt.datetime) -> None:
        self.held, self.held_until = kind, until
        self.tell(kind, at, at)

    def release(self, at: dt.datetime) -> None:
        if self.held is None:
            return
        change = "enabled" if self.held == "disabled" else "unsnoozed"
        self.held = self.held_until = None
        self.tell(change, at, at)

    # What comes of it.

    def begin(self, moment: dt.datetime, rule: Rule) -> None:
        self.active_at, self.sequence, self.severity = moment, 0, rule.severity
        self.fired_at = self.clearing_at = self.ends_at = self.escalates_at = None
        self.escalated = self.flapping = False

    def fire(self, moment: dt.datetime, at: dt.datetime, rule: Rule, by: tuple[dt.datetime, int] | None = None) -> None:
        self.ups_and_downs.append(moment)
        # Reading of the text: a window is open at its far end, as Prometheus' ranges are.
        recent = [change for change in self.ups_and_downs if change > moment - rule.flapping.window]
        self.flapping = len(recent) > rule.flapping.changes
        self.ends_at = None
        if rule.escalate is not None:
            self.escalates_at = at + rule.escalate.after + GRACE
        self.change("flapping" if self.flapping else "firing", "firing", moment, at, by)

    def keeps_firing(self, rule: Rule) -> dt.timedelta:
        return max(rule.keep_firing_for, rule.flapping.window) if self.flapping else rule.keep_firing_for

    def begin_to_clear(
        self, moment: dt.datetime, arrived: dt.datetime, rule: Rule, by: tuple[dt.datetime, int] | None = None
    ) -> None:
        if self.keeps_firing(rule) == NOTHING:
            self.resolve(moment, arrived, by)
        else:
            self.clearing_at, self.ends_at = moment, arrived + self.keeps_firing(rule) + GRACE
            # Reading of the text: this is a change as well, though nobody is told of it.
            self.news_after = by or self.news_after

    def resolve(self, moment: dt.datetime, at: dt.datetime, by: tuple[dt.datetime, int] | None = None) -> None:
        self.ups_and_downs = [] if self.flapping else [*self.ups_and_downs, moment]
        self.clearing_at = self.ends_at = self.escalates_at = None
        # Reading of the text: the end of a flapping alert is told as such; the flag is cleared with it.
        self.change("resolved", "resolved", moment, at, by)
        self.flapping = False
        if self.held == "acknowledged":
            self.held = None

    def escalate(
        self, moment: dt.datetime, at: dt.datetime, rule: Rule, by: tuple[dt.datetime, int] | None = None
    ) -> None:
        if self.status == "firing" and rule.escalate is not None and not self.escalated and self.held is None:
            self.escalated, self.severity, self.escalates_at = True, rule.escalate.to, None
            self.change("escalated", "firing", moment, at, by)

    def forget(self) -> None:
        self.status, self.active_at, self.sequence = "absent", None, 0
        self.changed_at, self.news_after = LONG_AGO, (LONG_AGO, -1)
        self.ups_and_downs = []

    def change(
        self, change: str, status: str, moment: dt.datetime, at: dt.datetime, by: tuple[dt.datetime, int] | None
    ) -> None:
        """``by`` is the reading that made it, if one did."""
        # Reading of the text: a device's clock may differ from ours, but nothing ends before it began.
        self.status, self.changed_at = status, max(moment, self.fired_at or self.active_at or moment)
        self.news_after = max(by or self.news_after, self.news_after)
        if change == "inactive":
            self.ends_at = None
        if change in ("firing", "flapping"):
            self.fired_at = self.changed_at
        self.tell(change, self.changed_at, at)

    def tell(self, change: str, changed_at: dt.datetime, at: dt.datetime) -> None:
        alert = self.status in ("pending", "firing") or change in ("resolved", "inactive")
        if alert:
            self.sequence += 1
        self.told.append(
            Told(
                rule=self.name,
                device=self.device,
                active_at=self.active_at if alert else None,
                sequence=self.sequence if alert else 0,
                change=change,
                status=self.status if alert else "inactive",
                severity=self.severity if alert else "",
                changed_at=changed_at if alert else None,
                at=at,
                fired_at=self.fired_at if alert else None,
                flapping=self.flapping if alert else False,
                held=self.held,
            )
        )


@dataclass
class ReferenceGateway:
    """Everything that ever happened to one gateway, in order."""

    events: list[Event] = field(default_factory=list)

    def transitions(self) -> list[Told]:
        """What is told of every alert there may be, alert by alert."""
        return [told for device, name in sorted(self._alerts()) for told in self.story(device, name).told]

    def _alerts(self) -> set[tuple[str, str]]:
        devices = {reading.device_id for reading in self._readings()} | {THE_GATEWAY}
        held = {(event.device, event.rule) for event in self.events if isinstance(event, OperatorHolds)}
        return {(device, rule.name) for device in devices for rule in self._rules()} | held

    def _readings(self) -> Iterator[Reading]:
        for event in self.events:
            if isinstance(event, RecordArrives):
                yield from event.readings

    def _rules(self) -> Iterator[Rule]:
        for event in self.events:
            if isinstance(event, RulesAre):
                yield from event.rules

    def story(self, device: str, name: str) -> Story:
        """Walk through all that happened as this one alert sees it."""
        story = Story(device, name)
        rule: Rule | None = None
        last_arrival: dt.datetime | None = None
        last_site = ""
        for event in self.events:
            if isinstance(event, RulesAre):
                rule = named(event.rules, name)
            elif isinstance(event, ClockTicks):
                story.tick(event.now, watching(rule, device, story.site))
            elif isinstance(event, SilenceIsChecked):
                silence_rule = watching(rule, device, last_site)
                if silence_rule is not None and is_about_silence(silence_rule) and last_arrival is not None:
                    story.site = last_site
                    story.miss(last_arrival, event.now, silence_rule)
            elif isinstance(event, RecordArrives):
                story.tick(event.arrived, watching(rule, device, story.site))
                story.record(event, rule)
                for reading in event.readings:
                    if device in (reading.device_id, THE_GATEWAY):
                        last_site = reading.site
                if device == THE_GATEWAY or any(reading.device_id == device for reading in event.readings):
                    last_arrival = max(event.arrived, last_arrival or event.arrived)
            elif (event.device, event.rule) == (device, name):
                story.order(event)
        return story


def named(rules: Iterable[Rule], name: str) -> Rule | None:
    return next((rule for rule in rules if rule.name == name), None)
