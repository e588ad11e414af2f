"""A gateway's alerts as simulated time passes: its records as they arrive, and the watchdog each whole minute."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from telemetry.alerting.evaluate import advance, evaluate, next_silence, silent
from telemetry.alerting.heard import Heard
from telemetry.alerting.recent import Recent
from telemetry.alerting.state import GatewayState
from telemetry.alerting.transitions import Transition
from telemetry.reading.model import Reading
from telemetry.rules.rule_set import RuleSet

#: How often the watchdog looks, as its schedule on AWS.
TICK = dt.timedelta(minutes=1)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Playback:
    """One gateway. Time only goes forward; what the watchdog has nothing to do at is jumped over."""

    def __init__(self, rules: RuleSet, gateway: str) -> None:
        self.rules = rules
        self.state = GatewayState(gateway)
        self.recent = Recent()
        self._watches_silence = rules.watches_silence

    def receive(self, readings: Sequence[Reading], now: dt.datetime) -> list[Transition]:
        """Receive a record, after the runs of the watchdog before that."""
        happened = self.wait(now - dt.datetime.resolution)
        heard = Heard(self.state.gateway, now, readings)
        self.state, transitions = evaluate(self.rules, self.state, self.recent, heard)
        self.recent.accept()
        return happened + transitions

    def wait(self, until: dt.datetime) -> list[Transition]:
        """Let time pass, without a record, up to and including ``until``."""
        happened: list[Transition] = []
        last = None
        while (wake := self._wake()) and (tick := _tick_at(wake)) <= until:
            # Never twice at the same time, whatever is still due then.
            last = tick = tick if last is None or tick > last else last + TICK
            self.state, transitions = advance(self.rules, self.state, tick)
            happened += transitions
            self.state, transitions = silent(self.rules, self.state, self.recent, tick)
            happened += transitions
        return happened

    def _wake(self) -> dt.datetime | None:
        if not self._watches_silence:
            return self.state.due
        times = (self.state.due, next_silence(self.rules, self.state, self.recent))
        return min((time for time in times if time), default=None)


def _tick_at(moment: dt.datetime) -> dt.datetime:
    """Return the first whole minute that is not before ``moment``."""
    return _EPOCH + -((_EPOCH - moment) // TICK) * TICK
