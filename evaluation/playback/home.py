"""A home's alerts as simulated time passes: its devices' records as they arrive, and the watchdog each whole minute."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence

from lambdas.watchdog.review import NOT_REGISTERED
from telemetry.alerting.evaluate import Evaluation, advance, evaluate, next_silence, review, silent
from telemetry.alerting.heard import Heard
from telemetry.alerting.recent import Recent
from telemetry.alerting.state import GatewayState, Home
from telemetry.alerting.transitions import Transition
from telemetry.reading.model import Reading
from telemetry.rules.rule_set import RuleSet

#: How often the watchdog looks, as its schedule on AWS.
TICK = dt.timedelta(minutes=1)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class HomePlayback:
    """One home. Time only goes forward."""

    def __init__(self, rules: RuleSet, home: Home) -> None:
        self.rules = rules
        self.home = home
        self.state = GatewayState(home.gateway, number=home.number)
        self.recent = Recent()
        self._wake: dt.datetime | None = None
        self._is_wake_known = True

    def hear(self, heard: Heard) -> list[Transition]:
        """Carry what a record brought through the rules, and what is due by then."""
        transitions = self.take(evaluate(self.rules, self.state, self.recent, heard))
        self.recent.accept("" if heard.gateway == self.home.gateway else heard.gateway)
        return transitions

    def tick(self, now: dt.datetime) -> list[Transition]:
        """Run the watchdog."""
        timed = self.take(advance(self.rules, self.state, now))
        return timed + self.take(silent(self.rules, self.state, self.recent, now))

    def review(self, now: dt.datetime, retired: Collection[str]) -> list[Transition]:
        """Bring the alerts up to edited rules, and forget devices that are not in the registry any more."""
        for device in retired:
            self.recent.forget(device)
        return self.take(review(self.rules, self.state, now, retired=retired, reason=NOT_REGISTERED))

    def take(self, evaluation: Evaluation) -> list[Transition]:
        """Have the state that an evaluation leads to; return what happened on the way."""
        self.state = evaluation.state
        self._is_wake_known = False
        return evaluation.transitions

    def wake(self) -> dt.datetime | None:
        """Return when the watchdog has something to do next, if nothing is heard before."""
        if not self._is_wake_known:
            silence = next_silence(self.rules, self.state, self.recent) if self.rules.watches_silence else None
            self._wake = min((time for time in (self.state.due, silence) if time), default=None)
            self._is_wake_known = True
        return self._wake

    # A home on its own

    def receive(self, readings: Sequence[Reading], now: dt.datetime) -> list[Transition]:
        """Receive a record of the home's gateway, after the runs of the watchdog before that."""
        happened = self.wait(now - dt.datetime.resolution)
        return happened + self.hear(Heard(self.home.gateway, now, readings))

    def note_alive(self, device: str, site: str, now: dt.datetime) -> None:
        """Note that a device was heard of, with readings that change nothing."""
        self.recent.hear(now.timestamp(), site, {device: site})
        self._is_wake_known = False

    def wait(self, until: dt.datetime) -> list[Transition]:
        """Let time pass, without a record, up to and including ``until``."""
        return [transition for tick in self._ticks(until) for transition in self.tick(tick)]

    def _ticks(self, until: dt.datetime) -> Iterator[dt.datetime]:
        """Return the runs of the watchdog that have something to do."""
        last = None
        while (wake := self.wake()) and (tick := tick_at(wake)) <= until:
            # Never twice at the same time, whatever is still due then.
            last = tick = tick if last is None or tick > last else last + TICK
            yield tick


def tick_at(moment: dt.datetime) -> dt.datetime:
    """Return the first whole minute that is not before ``moment``."""
    return _EPOCH + -((_EPOCH - moment) // TICK) * TICK
