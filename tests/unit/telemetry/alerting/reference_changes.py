"""How an alert of the reference model changes, and what is reported of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from telemetry.reading.model import MAX_CLOCK_SKEW
from telemetry.rules.rule_set import Rule
from tests.unit.telemetry.alerting.reference_events import HOME, Told
from tests.unit.telemetry.alerting.reference_order import GRACE, LONG_AGO, NOTHING, Look, identity


@dataclass(frozen=True)
class Moment:
    """When something changes an alert: for people (event time), and on the stream's clock; and the reading, if any."""

    ts: dt.datetime
    at: dt.datetime
    sampled: dt.datetime
    by: tuple[dt.datetime, int] | None = None
    gateway: str = HOME
    site: str = ""
    who: str = ""

    @staticmethod
    def of_reading(look: Look) -> Moment:
        return Moment(look.reading.ts, look.arrived, look.sampled, identity(look.reading))

    @staticmethod
    def of_clock(now: dt.datetime, who: str = "") -> Moment:
        return Moment(now, now, now, who=who)


@dataclass
class Alert:
    """One (device, rule): what is known of it, and how it changes. Decisions are in :class:`Story`."""

    device: str
    name: str
    told: list[Told] = field(default_factory=list)

    #: From when silence counts if the alert was ended by something other than a sign of life.
    silence_counts_from: dt.datetime = LONG_AGO
    status: str = "absent"
    gateway: str = HOME
    site: str = ""
    active_at: dt.datetime | None = None
    sequence: int = 0
    severity: str = ""
    #: The rule's severity when it was last looked at.
    rated: str = ""
    changed_at: dt.datetime = LONG_AGO
    #: The reading that changed the alert last: what is late relative to it is not looked at.
    changed_by: tuple[dt.datetime, int] | None = None
    #: Of alerts that arrivals decide: the last arrival that changed it.
    last_sign: dt.datetime = LONG_AGO
    fired_at: dt.datetime | None = None
    clearing_at: dt.datetime | None = None
    #: By the stream's clock: since when it has been pending or clearing, and firing.
    since: dt.datetime = LONG_AGO
    fired_since: dt.datetime = LONG_AGO
    escalated: bool = False
    flapping: bool = False
    ups_and_downs: list[dt.datetime] = field(default_factory=list)
    held: str | None = None
    held_until: dt.datetime | None = None
    #: By the clock: when pending or clearing ends, and when an escalation is due, if no reading does it before.
    ends_at: dt.datetime | None = None
    escalates_at: dt.datetime | None = None

    @property
    def active(self) -> bool:
        return self.status in ("pending", "firing")

    def begin(self, moment: Moment, rule: Rule) -> None:
        self.start(moment.ts, rule)
        if rule.hold_for == NOTHING:
            self.fire(moment, rule)
        else:
            self.since, self.ends_at = moment.sampled, moment.sampled + rule.hold_for + GRACE
            self.change("pending", "pending", moment)

    def start(self, active_at: dt.datetime, rule: Rule) -> None:
        self.active_at, self.sequence, self.severity, self.rated = active_at, 0, rule.severity, rule.severity
        self.fired_at = self.clearing_at = self.ends_at = self.escalates_at = None
        self.escalated = self.flapping = False

    def fire(self, moment: Moment, rule: Rule) -> None:
        # Reading of the text: a window is open at its far end, as Prometheus' ranges are.
        # What lies ahead was stamped before the device's clock was set back.
        begin, end = moment.ts - rule.flapping.window, moment.ts + MAX_CLOCK_SKEW
        recent = [change for change in self.ups_and_downs if begin < change <= end]
        self.flapping = len(recent) + 1 > rule.flapping.changes
        # The contract: an edit of the rule's flapping finds no more changes than the rule before it had to keep.
        self.ups_and_downs = [*recent, moment.ts][-rule.flapping.changes :]
        self.ends_at, self.fired_since = None, moment.sampled
        if rule.escalate is not None:
            self.escalates_at = moment.sampled + rule.escalate.after + GRACE
        self.change("flapping" if self.flapping else "firing", "firing", moment)

    def keeps_firing(self, rule: Rule) -> dt.timedelta:
        return max(rule.keep_firing_for, rule.flapping.window) if self.flapping else rule.keep_firing_for

    def begin_to_clear(self, moment: Moment, rule: Rule) -> None:
        keeps = self.keeps_firing(rule)
        if keeps == NOTHING:
            self.resolve(moment, rule)
        else:
            self.clearing_at, self.since, self.ends_at = moment.ts, moment.sampled, moment.sampled + keeps + GRACE
            self.changed_by = moment.by or self.changed_by

    def resolve(self, moment: Moment, rule: Rule | None) -> None:
        kept = [*self.ups_and_downs, moment.ts]
        self.ups_and_downs = [] if self.flapping or rule is None else kept[-rule.flapping.changes :]
        self.clearing_at = self.ends_at = self.escalates_at = None
        # Reading of the text: the end of a flapping alert is told as such; the flag is cleared with it.
        self.change("resolved", "resolved", moment)
        self.flapping = False
        if self.held == "acknowledged":
            self.held = None

    def escalate(self, moment: Moment, rule: Rule) -> None:
        if self.held is not None:
            return
        self.escalates_at = None
        if self.status == "firing" and rule.escalate is not None and not self.escalated:
            self.escalated, self.severity = True, rule.escalate.to
            self.change("escalated", "firing", moment)

    def change(self, change: str, status: str, moment: Moment) -> None:
        # Reading of the text: a device's clock may differ from ours, but nothing ends before it began.
        began = None if change == "escalated" else self.fired_at or self.active_at
        self.status, self.changed_at = status, max(moment.ts, began or moment.ts)
        self.changed_by = moment.by or self.changed_by
        if change == "inactive":
            self.ends_at = None
        if change in ("firing", "flapping"):
            self.fired_at = self.changed_at
        self.tell(change, self.changed_at, moment.at, who=moment.who)

    def tell(self, change: str, changed_at: dt.datetime, at: dt.datetime, *, who: str = "") -> None:
        alert = self.active or change in ("resolved", "inactive")
        if alert:
            self.sequence += 1
        self.told.append(
            Told(
                rule=self.name,
                device=self.device,
                gateway=self.gateway if alert else HOME,
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
                who=who,
            )
        )

    def forget(self) -> None:
        self.status, self.active_at, self.sequence = "absent", None, 0
        self.changed_at, self.changed_by, self.last_sign = LONG_AGO, None, LONG_AGO
        self.ups_and_downs = []
