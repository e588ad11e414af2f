"""The alert state machine once more: slow and obvious, to compare ``telemetry.alerting.evaluate`` with.

It keeps everything that ever happened to a gateway. To tell the transitions it picks out, for each (device, rule),
what that one alert got to see, and walks through it from the beginning. Times that the text leaves open are marked
"reading of the text" where they are decided. Windows are left out: a condition on one is never news here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from telemetry.reading.model import MAX_LATENESS, Reading
from telemetry.rules.conditions import NoData
from telemetry.rules.rule_set import Rule
from tests.unit.telemetry.reference_conditions import truth
from tests.unit.telemetry.reference_events import (
    ClockTicks,
    Event,
    OperatorHolds,
    OperatorReleases,
    RecordArrives,
    RulesAre,
    SilenceIsChecked,
    Told,
)

#: The contract's CLOCK_GRACE: what a reading may be under way before the clock decides without it.
GRACE = dt.timedelta(seconds=15)

#: The contract's RECENT_EVERY: what the watchdog knows of arrivals may be this old.
LAST_SEEN_MAY_BE_OLD = dt.timedelta(seconds=60)

NOTHING = dt.timedelta(0)
LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)

#: The device of an alert about the gateway itself.
THE_GATEWAY = ""


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

    #: When and where the device was last heard of.
    heard_at: dt.datetime | None = None
    heard_from: str = ""
    #: From when silence counts if the rule was lost and is back.
    lost_from: dt.datetime = LONG_AGO
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

    def happens(self, event: Event, rule: Rule | None) -> None:
        """``rule`` is the one of this name at the time, whether it watches the device or not."""
        if isinstance(event, ClockTicks):
            self.tick(event.now, rule)
        elif isinstance(event, SilenceIsChecked):
            self.miss(event.now, watching(rule, self.device, self.heard_from))
        elif isinstance(event, RecordArrives):
            self.tick(event.arrived, rule)
            self.record(event, rule)
            self.pass_time(event.arrived)
        elif isinstance(event, (OperatorHolds, OperatorReleases)):
            self.order(event)

    def record(self, event: RecordArrives, rule: Rule | None) -> None:
        for reading in event.readings:
            if self.device in (reading.device_id, THE_GATEWAY):
                self.heard_from = reading.site
            if self.device == reading.device_id:
                self.heard_at = max(event.arrived, self.heard_at or event.arrived)
                self.look(reading, event.arrived, watching(rule, self.device, reading.site))
        if self.device == THE_GATEWAY:
            self.heard_at = max(event.arrived, self.heard_at or event.arrived)
            if rule is not None and is_about_gateway(rule):
                self.hear(event.arrived, rule)
            else:
                self.lose_rule(event.arrived, event.arrived)

    def order(self, event: OperatorHolds | OperatorReleases) -> None:
        if (event.device, event.rule) != (self.device, self.name):
            return
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
            if self.clearing_at is not None:
                # Reading of the text: to clear, or no longer, is a change as well, though nobody is told of it.
                self.clearing_at, self.ends_at, self.news_after = None, None, by
        elif self.clearing_at is not None:
            if reading.ts - self.clearing_at >= self.keeps_firing(rule):
                self.resolve(reading.ts, arrived, rule, by)
        elif clear:
            self.begin_to_clear(reading.ts, arrived, rule, by)
        if rule.escalate is not None and self.fired_at is not None and self.held is None:
            long_enough = reading.ts - self.fired_at >= rule.escalate.after
            if long_enough:
                self.escalate(reading.ts, arrived, rule, by)

    def hear(self, arrived: dt.datetime, rule: Rule) -> None:
        """Something arrived while the rule is about silence. Only arrivals count, so they are the times as well."""
        # Reading of the text: an escalation in between does not make what arrives with it old.
        if self.status != "firing" or self.fired_at is None or arrived <= self.fired_at:
            return
        if self.clearing_at is None:
            self.begin_to_clear(arrived, arrived, rule)
        elif arrived > self.clearing_at and arrived - self.clearing_at >= self.keeps_firing(rule):
            self.resolve(arrived, arrived, rule)

    def miss(self, now: dt.datetime, rule: Rule | None) -> None:
        """The watchdog looks when the device, or the gateway, was last heard of."""
        if rule is None or not is_about_silence(rule) or self.heard_at is None:
            return
        since = max(self.heard_at, self.lost_from)
        if now < since + rule.hold_for + LAST_SEEN_MAY_BE_OLD:
            return
        if self.status == "firing":
            self.clearing_at = self.ends_at = None
        else:
            self.begin(since, rule)
            self.fire(now, now, rule, (now, -1))

    def lose_rule(self, moment: dt.datetime, arrived: dt.datetime, by: tuple[dt.datetime, int] | None = None) -> None:
        if self.status == "firing":
            self.resolve(moment, arrived, None, by)
        elif self.status == "pending":
            # Reading of the text: what never fired cannot be resolved.
            self.change("inactive", "inactive", moment, arrived, by)
        else:
            # Reading of the text: no alert is left, but readings delivered again must not begin it anew.
            return
        # Reading of the text: for a rule that went and came back, silence begins anew with the reading that showed it,
        # or, where none did, goes on from when the alert fired.
        self.escalates_at, self.lost_from = None, moment if by else self.news_after[0]
        # Reading of the text: another rule of that name has nothing to do with how often this one changed.
        self.ups_and_downs = []

    def tick(self, now: dt.datetime, rule: Rule | None) -> None:
        """The clock, with the rule if it is (still) there: where the device is, a reading says.

        Reading of the text: an alert without a rule ends with whichever comes first, the device's next reading or
        anything the clock has to do about it.
        """
        # Reading of the text: a clock that is late does what a timely one would have done, in that order.
        while due := [timer for timer in self.timers() if timer[0] <= now]:
            _, do = min(due, key=lambda timer: timer[0])
            do(now, rule)

    def end_by_clock(self, now: dt.datetime, rule: Rule | None) -> None:
        # Reading of the text: the clock's decisions do not make a reading on its way old.
        if rule is None:
            self.lose_rule(now, now)
        elif self.status == "pending":
            self.fire(now, now, rule)
        elif self.status == "firing":
            self.resolve(now, now, rule)

    def escalate_by_clock(self, now: dt.datetime, rule: Rule | None) -> None:
        if rule is None:
            self.lose_rule(now, now)
        else:
            self.escalate(now, now, rule)

    def end_snooze_by_clock(self, now: dt.datetime, rule: Rule | None) -> None:
        self.release(now)
        if rule is None:
            self.lose_rule(now, now)

    def timers(self) -> Iterator[tuple[dt.datetime, Callable[[dt.datetime, Rule | None], None]]]:
        if self.held == "snoozed" and self.held_until is not None:
            yield self.held_until, self.end_snooze_by_clock
        if self.ends_at is not None:
            yield self.ends_at, self.end_by_clock
        if self.escalates_at is not None and self.held is None:
            yield self.escalates_at, self.escalate_by_clock

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
        # Reading of the text: from now on it is due again; what else is due comes first and may end the alert.
        self.escalates_at = None if self.escalates_at is None else max(self.escalates_at, at)
        self.tell(change, at, at)

    # What comes of it.

    def begin(self, moment: dt.datetime, rule: Rule) -> None:
        self.active_at, self.sequence, self.severity = moment, 0, rule.severity
        self.fired_at = self.clearing_at = self.ends_at = self.escalates_at = None
        self.escalated = self.flapping = False

    def fire(self, moment: dt.datetime, at: dt.datetime, rule: Rule, by: tuple[dt.datetime, int] | None = None) -> None:
        # Reading of the text: a window is open at its far end, as Prometheus' ranges are.
        recent = [change for change in self.ups_and_downs if change > moment - rule.flapping.window]
        self.flapping = len(recent) + 1 > rule.flapping.changes
        # The contract: an edit of the rule's flapping finds no more changes than the rule before it had to keep.
        self.ups_and_downs = [*recent, moment][-rule.flapping.changes :]
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
            self.resolve(moment, arrived, rule, by)
        else:
            self.clearing_at, self.ends_at = moment, arrived + self.keeps_firing(rule) + GRACE
            self.news_after = by or self.news_after

    def resolve(
        self, moment: dt.datetime, at: dt.datetime, rule: Rule | None, by: tuple[dt.datetime, int] | None = None
    ) -> None:
        kept = [*self.ups_and_downs, moment]
        self.ups_and_downs = [] if self.flapping or rule is None else kept[-rule.flapping.changes :]
        self.clearing_at = self.ends_at = self.escalates_at = None
        # Reading of the text: the end of a flapping alert is told as such; the flag is cleared with it.
        self.change("resolved", "resolved", moment, at, by)
        self.flapping = False
        if self.held == "acknowledged":
            self.held = None

    def escalate(
        self, moment: dt.datetime, at: dt.datetime, rule: Rule, by: tuple[dt.datetime, int] | None = None
    ) -> None:
        self.escalates_at = None
        if self.status == "firing" and rule.escalate is not None and not self.escalated and self.held is None:
            self.escalated, self.severity = True, rule.escalate.to
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
        began = None if change == "escalated" else self.fired_at or self.active_at
        self.status, self.changed_at = status, max(moment, began or moment)
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
        for event in self.events:
            if isinstance(event, RulesAre):
                rule = next((rule for rule in event.rules if rule.name == name), None)
            story.happens(event, rule)
        return story
