"""A whole pipeline as simulated time passes: detector, watchdog, operators and notifier."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from evaluation.playback.fleet import Fleet
from evaluation.playback.home import TICK, tick_at
from evaluation.playback.notifier import NotifierPlayback
from pipeline.inbox import Received
from telemetry.alerting.transitions import Transition
from telemetry.rules.rule_set import RuleSet


class PipelinePlayback:
    """Time only goes forward; minutes at which there is nothing to do are jumped over.

    A record arrives when it is sent; detector and notifier take no time. As when deployed, the queue wakes a group in
    whole seconds, and the watchdog, at each whole minute, those that are due later than the queue can wait. What the
    watchdog knows of signs of life is up to date here and up to a minute old there, so that alerts of ``no_data`` come
    up to a minute sooner or later there.
    """

    def __init__(self, rules: RuleSet) -> None:
        self.fleet = Fleet(rules)
        self._notifier = NotifierPlayback(rules)
        self._tick = dt.datetime.min.replace(tzinfo=dt.UTC)  # the first run of the watchdog that may still come
        self.transitions: list[Transition] = []

    @property
    def received(self) -> list[Received]:
        """Notifications published so far, in order."""
        return self._notifier.received

    def arrive(self, gateway: str, data: bytes, now: dt.datetime) -> None:
        """Give the detector a record."""
        self.happen(self.fleet.receive(gateway, data, now), now)

    def edit(self, rules: RuleSet, now: dt.datetime) -> None:
        """Put other rules, or another registry, into use."""
        self.fleet.edit(rules, now)
        self._notifier.edit(rules)

    def happen(self, transitions: Sequence[Transition], now: dt.datetime) -> None:
        """Tell the notifier what the detector, or an operator, did."""
        self.transitions += transitions
        self._notifier.notify(transitions, (), now)

    def wait(self, until: dt.datetime) -> None:
        """Do what is due up to then, in order: runs of the watchdog, and looks at groups."""
        while True:
            tick, wake = self._next_tick(until), self._notifier.next_wake()
            now = min((moment for moment in (tick, wake) if moment), default=None)
            if now is None or now > until:
                break
            happened: list[Transition] = []
            woken: list[str] = []
            self._tick = max(self._tick, tick_at(now))
            if tick == now:
                self._tick = now + TICK
                happened = self.fleet.tick(now)
                woken = self._notifier.due(now)
            woken += self._notifier.woken(now)
            self.transitions += happened
            self._notifier.notify(happened, woken, now)
        self._tick = max(self._tick, tick_at(until + dt.datetime.resolution))

    def _next_tick(self, until: dt.datetime) -> dt.datetime | None:
        """Return the next run of the watchdog that has something to do; None if there is none up to then."""
        if self._tick > until:
            return None
        wakes = [wake for wake in (self.fleet.wake(), self._notifier.next_due()) if wake]
        return max(self._tick, tick_at(min(wakes))) if wakes else None
