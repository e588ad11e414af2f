"""The alert state machine once more: slow and obvious, to compare ``telemetry.alerting.evaluate`` with.

It keeps everything that ever happened to a home. To tell the transitions it picks out, for each (device, rule),
what that one alert got to see, and walks through it from the beginning. Decisions that the text leaves open are marked
"reading of the text". Windows are left out: a condition on one is never news here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from telemetry.reading.model import MAX_CLOCK_SKEW, MAX_LATENESS
from telemetry.rules.rule_set import Rule
from tests.unit.telemetry.alerting.reference_changes import Alert, Moment
from tests.unit.telemetry.alerting.reference_conditions import (
    THE_GATEWAY,
    is_about_gateway,
    is_about_rejections,
    is_about_silence,
    rejects,
    truth,
    watching,
)
from tests.unit.telemetry.alerting.reference_events import (
    HOME,
    ClockTicks,
    Event,
    OperatorCloses,
    OperatorHolds,
    OperatorRetires,
    Order,
    RecordArrives,
    Refused,
    RulesAreReviewed,
    SilenceIsChecked,
    SoftStateIsLost,
)
from tests.unit.telemetry.alerting.reference_order import (
    LONG_AGO,
    NOTHING,
    Hearing,
    Look,
    is_late,
)

#: The contract's RECENT_EVERY: what the watchdog knows of arrivals may be this old.
LAST_SEEN_MAY_BE_OLD = dt.timedelta(seconds=60)


def has_lasted(how_long: dt.timedelta, since: dt.datetime | None, now: dt.datetime) -> bool:
    return since is not None and now - since >= how_long


@dataclass
class Story(Alert):
    """One (device, rule) from the first thing that happened to it."""

    heard: Hearing = field(default_factory=Hearing)

    # What happens.

    def happens(self, event: Event, rule: Rule | None) -> None:
        """``rule`` is the one of this name at the time, whether it watches the device or not."""
        if isinstance(event, ClockTicks):
            self.tick(event.now, rule)
        elif isinstance(event, SilenceIsChecked):
            self.miss(event.now, watching(rule, self.device, self.heard.site))
        elif isinstance(event, RecordArrives):
            self.tick(event.arrived, rule)
            if self.device != THE_GATEWAY:
                self.record(event, rule)
            elif event.gateway == HOME:
                self.record_of_gateway(event, rule)
            self.pass_time(event.arrived)
        elif isinstance(event, SoftStateIsLost):
            self.heard = Hearing()
        elif isinstance(event, RulesAreReviewed):
            self.review(event, rule)
        elif isinstance(event, Order):
            self.order(event)

    def record(self, event: RecordArrives, rule: Rule | None) -> None:
        before, site, looks = self.heard.at or LONG_AGO, self.heard.site, self.heard.looks(event, self.device)
        for look in looks:
            self.look(look, watching(rule, self.device, look.reading.site), event.gateway)
        for line in event.refused:
            if line.device == self.device:
                # Reading of the text: what did not arrive after what was heard before is late, as readings are.
                counts = not looks and event.arrived > before
                self.refuse(line, event, watching(rule, self.device, line.site or site), counts)
        self.heard.hears(event, self.device)

    def record_of_gateway(self, event: RecordArrives, rule: Rule | None) -> None:
        if event.readings:
            self.heard.site = event.readings[-1].site
        # Reading of the text: what names no device is no sign of a gateway of which nothing was ever accepted.
        if event.readings or event.refused or self.heard.at:
            self.heard.at = max(event.arrived, self.heard.at or event.arrived)
        if rule is not None and is_about_gateway(rule):
            self.live(event.arrived, rule)
        else:
            self.lose_rule(Moment.of_clock(event.arrived))

    def look(self, look: Look, rule: Rule | None, gateway: str) -> None:
        """A reading that is not late, with the rule if it is (still) there and watches the device where it now is."""
        if rule is not None and (is_about_silence(rule) or is_about_rejections(rule)):
            self.live(look.arrived, rule)
        elif not is_late(look.reading, self.changed_by):
            moment = Moment.of_reading(look)
            if rule is None:
                self.lose_rule(moment)
            elif self.active:
                self.mistrust_the_future(look.arrived)
                self.judge(look, moment, rule)
                if self.ends_at is not None:
                    self.ends_at = max(self.ends_at, look.next_batch)
            elif truth(rule.when, look.reading):
                self.gateway, self.site = gateway, look.reading.site
                self.begin(moment, rule)
                if self.ends_at is not None:
                    self.ends_at = max(self.ends_at, look.next_batch)

    def judge(self, look: Look, moment: Moment, rule: Rule) -> None:
        when, clear = truth(rule.when, look.reading), truth(rule.clear, look.reading)
        if self.status == "firing":
            self.clearing_at = self.without_jump(self.clearing_at, self.keeps_firing(rule), look)
            self.judge_firing(when, clear, moment, rule)
            return
        self.active_at = self.without_jump(self.active_at, rule.hold_for, look)
        if when is False:
            self.change("inactive", "inactive", moment)
        elif when and has_lasted(rule.hold_for, self.active_at, moment.ts):
            self.fire(moment, rule)

    def judge_firing(self, when: bool | None, clear: bool | None, moment: Moment, rule: Rule) -> None:
        if when:
            # Reading of the text: where "when" and "clear" both hold, there still is something wrong.
            if self.clearing_at is not None:
                # Reading of the text: to clear, or no longer, is a change as well, though nobody is told of it.
                self.clearing_at, self.ends_at, self.changed_by = None, None, moment.by
        elif self.clearing_at is not None:
            if has_lasted(self.keeps_firing(rule), self.clearing_at, moment.ts):
                self.resolve(moment, rule)
        elif clear:
            self.begin_to_clear(moment, rule)
        if rule.escalate is not None:
            after = rule.escalate.after
            # By the device's clock and by the stream's.
            if has_lasted(after, self.fired_at, moment.ts) and has_lasted(after, self.fired_since, moment.sampled):
                self.escalate(moment, rule)

    def without_jump(self, began: dt.datetime | None, lasts: dt.timedelta, look: Look) -> dt.datetime | None:
        """What began moves along where the device's clock jumps: the step counts as long as it was for the stream.

        Forward, only a step that would be long enough by itself is a jump: a backlog comes fast too.
        """
        if began is None:
            return None
        ts, sampled = look.before or (began, self.since)
        step, real = look.reading.ts - ts, look.sampled - sampled
        return began + step - real if step < NOTHING or real < lasts <= step else began

    def mistrust_the_future(self, arrived: dt.datetime) -> None:
        """No reading can make an alert fire this long after its arrival, so a wrong clock of ours did."""
        if self.status == "firing" and self.fired_at is not None and self.fired_at > arrived + MAX_CLOCK_SKEW:
            self.ups_and_downs = [min(one, arrived) for one in self.ups_and_downs]
            if self.escalates_at is not None:
                self.escalates_at -= self.fired_at - arrived
            self.fired_at = self.fired_since = arrived

    def live(self, arrived: dt.datetime, rule: Rule) -> None:
        """A sign of life, or an accepted reading after rejected ones. Only arrivals count, so they are the times."""
        if not self.active or arrived <= self.last_sign:
            return
        moment = Moment.of_clock(arrived)
        self.mistrust_the_future(arrived)
        if self.status == "pending":
            self.change("inactive", "inactive", moment)
        elif self.clearing_at is None:
            self.begin_to_clear(moment, rule)
        elif arrived - self.clearing_at >= self.keeps_firing(rule):
            self.resolve(moment, rule)
        self.last_sign = arrived

    def refuse(self, line: Refused, event: RecordArrives, rule: Rule | None, counts: bool) -> None:
        """A rejected line of the device: a sign of life, and if the record has nothing better a reason for an alert."""
        if rule is None:
            return
        if is_about_silence(rule):
            self.live(event.arrived, rule)
        elif rejects(rule, line.reason) and counts and event.arrived > self.last_sign:
            moment = Moment.of_clock(event.arrived)
            if not self.active:
                self.gateway, self.site, self.last_sign = event.gateway, line.site or self.heard.site, event.arrived
                self.begin(moment, rule)
            elif self.status == "firing":
                if self.clearing_at is not None:
                    self.clearing_at, self.ends_at, self.last_sign = None, None, event.arrived
            elif has_lasted(rule.hold_for, self.active_at, moment.at):
                self.last_sign = event.arrived
                self.fire(moment, rule)

    def miss(self, now: dt.datetime, rule: Rule | None) -> None:
        """The watchdog looks when the device, or the gateway, was last heard of."""
        if rule is None or not is_about_silence(rule) or self.heard.at is None:
            return
        since = max(self.heard.at, min(self.silence_counts_from, now))
        if now < since + rule.hold_for + LAST_SEEN_MAY_BE_OLD:
            return
        if self.status == "firing":
            self.clearing_at = self.ends_at = None
        else:
            self.gateway, self.site = self.heard.gateway or HOME, self.heard.site
            self.start(since, rule)
            self.fire(Moment.of_clock(now), rule)
        self.last_sign = since

    def lose_rule(self, moment: Moment) -> None:
        # Reading of the text: no alert is left, but readings delivered again must not begin it again.
        if self.active:
            self.end(moment, None)

    def end(self, moment: Moment, rule: Rule | None) -> None:
        if self.status == "firing":
            self.resolve(moment, rule)
        elif self.status == "pending":
            # Reading of the text: what never fired cannot be resolved.
            self.change("inactive", "inactive", moment)
        if rule is None:
            # Reading of the text: another rule of that name has nothing to do with how often this one changed.
            self.ups_and_downs = []
            # Reading of the text: for what was ended without a sign of life, silence counts from then on.
            self.silence_counts_from = moment.at
            self.last_sign = max(self.last_sign, moment.at)

    def review(self, event: RulesAreReviewed, rule: Rule | None) -> None:
        if self.device in event.retired:
            self.retire(Moment.of_clock(event.now))
        elif self.active:
            rule = watching(rule, self.device, self.site)
            if rule is None:
                self.lose_rule(Moment.of_clock(event.now))
            elif rule.severity != self.rated:
                self.rate(rule, event.now)

    def rate(self, rule: Rule, now: dt.datetime) -> None:
        """The rule's severity was edited."""
        self.rated = rule.severity
        # Reading of the text: what has escalated stays as severe as that.
        if not self.escalated:
            self.severity = rule.severity
            if self.status == "firing":
                self.tell("severity", now, now)

    # Orders.

    def order(self, event: Order) -> None:
        if event.device != self.device:
            return
        if isinstance(event, OperatorRetires):
            self.retire(Moment.of_clock(event.at, who="me"))
        elif event.rule != self.name:
            return
        elif isinstance(event, OperatorCloses):
            # Reading of the text: a close is not one of the resolutions that make an alert flap.
            self.end(Moment.of_clock(event.at, who="me"), None)
        elif isinstance(event, OperatorHolds):
            self.hold(event.kind, event.until, event.at)
        else:
            self.release(event.at)

    def retire(self, moment: Moment) -> None:
        """Reading of the text: nothing is left, orders neither."""
        self.end(moment, None)
        self.forget()
        self.held = self.held_until = None
        self.silence_counts_from = LONG_AGO
        self.heard = Hearing()

    def hold(self, kind: str, until: dt.datetime | None, at: dt.datetime) -> None:
        if (self.held, kind) != ("disabled", "acknowledged"):
            self.held, self.held_until = kind, until
        self.tell(kind, at, at, who="me")

    def release(self, at: dt.datetime, who: str = "me") -> None:
        if self.held is None:
            return
        change = "enabled" if self.held == "disabled" else "unsnoozed"
        self.held = self.held_until = None
        # Reading of the text: from now on it is due again; what else is due comes first and may end the alert.
        self.escalates_at = None if self.escalates_at is None else max(self.escalates_at, at)
        self.tell(change, at, at, who=who)

    # The clock.

    def tick(self, now: dt.datetime, rule: Rule | None) -> None:
        """The clock, with the rule if it is (still) there: where the device is, a reading says.

        Reading of the text: an alert without a rule ends with whichever comes first, the device's next reading, a
        review or anything the clock has to do about it.
        """
        # Reading of the text: a clock that is late does what a timely one would have done, in that order.
        while due := [timer for timer in self.timers() if timer[0] <= now]:
            _, do = min(due, key=lambda timer: timer[0])
            do(Moment.of_clock(now), rule)

    def timers(self) -> Iterator[tuple[dt.datetime, Callable[[Moment, Rule | None], None]]]:
        if self.held == "snoozed" and self.held_until is not None:
            yield self.held_until, self.end_snooze_by_clock
        if self.ends_at is not None:
            yield self.ends_at, self.end_by_clock
        if self.escalates_at is not None and self.held is None:
            yield self.escalates_at, self.escalate_by_clock

    def end_by_clock(self, moment: Moment, rule: Rule | None) -> None:
        # Reading of the text: the clock's decisions do not make a reading on its way late.
        if rule is None:
            self.lose_rule(moment)
        elif self.status == "pending":
            self.fire(moment, rule)
        elif self.status == "firing":
            self.resolve(moment, rule)

    def escalate_by_clock(self, moment: Moment, rule: Rule | None) -> None:
        if rule is None:
            self.lose_rule(moment)
        else:
            self.escalate(moment, rule)

    def end_snooze_by_clock(self, moment: Moment, rule: Rule | None) -> None:
        self.release(moment.at, who="")
        if rule is None:
            self.lose_rule(moment)

    def pass_time(self, now: dt.datetime) -> None:
        if self.status in ("resolved", "inactive") and now - self.changed_at > MAX_LATENESS:
            self.forget()
