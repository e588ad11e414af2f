"""Backtest of rules: curated readings played back through them, next to the rules in use."""

from __future__ import annotations

import datetime as dt
import statistics
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec
import pyarrow as pa

from evaluation.columns import Run, runs_of
from evaluation.playback.home import HomePlayback
from telemetry.alerting.state import Home
from telemetry.alerting.transitions import Transition
from telemetry.rules.rule_set import Rule, RuleSet

#: How many of the noisiest devices are named.
NOISIEST = 10


class RuleHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Result of one rule.

    ``alerts`` fired, of which ``flapping`` were reported as that and ``open`` had not ended by the last reading;
    ``median_seconds`` is how long the others fired. ``live`` alerts are those of the rule of that name in use. Of the
    new ones, those ``in_both`` fired at some moment at which a live one of the same device did, those ``only_new`` did
    not; ``only_live`` are the live ones of which no new one did. Days are UTC, by the time at which an alert fired.
    """

    rule: str
    alerts: int
    flapping: int
    open: int
    median_seconds: float | None
    by_day: dict[str, int]
    live: int
    in_both: int
    only_new: int
    only_live: int


class NoisyDevice(msgspec.Struct, frozen=True):
    """A device and how many alerts it had."""

    device: str
    alerts: int


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result. ``not_tested`` are rules about gateways: the lake does not say whose readings are whose."""

    readings: int
    devices: int
    rules: list[RuleHistory]
    noisiest: list[NoisyDevice]
    not_tested: list[str]


class Alert(NamedTuple):
    """A time in which a rule fired for one device; ``ended_at`` is the last moment where it had not ended."""

    rule: str
    fired_at: dt.datetime
    ended_at: dt.datetime
    ended: bool
    flapping: bool


def backtest(
    batches: Iterable[pa.RecordBatch],
    rules: RuleSet,
    live: RuleSet,
    newest: dt.datetime,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Backtest:
    """Play readings back through ``rules`` and through those in use.

    The batches are those of :meth:`pipeline.history.History.batches`; each device is taken for a gateway of its own. A
    reading arrives at the time of its event. ``newest`` is the time of the last one of all: until then silence counts.
    ``on_progress`` is told how many readings are done.
    """
    new_player, live_player = _Player(rules), _Player(live)
    ledger = _Ledger(rules, live)
    device, readings, devices = "", 0, 0
    for batch in batches:
        for run in runs_of(batch):
            if run.device != device:
                if device:
                    ledger.enter(device, new_player.finish(newest), live_player.finish(newest))
                device = run.device
                devices += 1
                new_player.begin(device)
                live_player.begin(device)
            new_player.play(run)
            live_player.play(run)
            readings += len(run)
        on_progress(readings)
    if device:
        ledger.enter(device, new_player.finish(newest), live_player.finish(newest))
    return Backtest(
        readings=readings,
        devices=devices,
        rules=ledger.histories(),
        noisiest=[NoisyDevice(name, alerts) for name, alerts in ledger.devices.most_common(NOISIEST)],
        not_tested=sorted({rule.name for each in (rules, live) for rule in each.rules if not _is_played(rule)}),
    )


def _is_played(rule: Rule) -> bool:
    """Whether the history decides the rule: it has neither gateways nor rejected lines."""
    return rule.no_data == "device" if rule.by_arrival else True


class _Player:
    """One set of rules over one device after the other."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = RuleSet(filter(_is_played, rules.rules), registry=rules.registry)
        self.begin("")

    def begin(self, device: str) -> None:
        self._playback = HomePlayback(self._rules, Home(device))
        self._alerts: list[Alert] = []
        self._firing: dict[str, Transition] = {}

    def play(self, run: Run) -> None:
        """Carry the device through a run. Readings that can change nothing, as most, are passed over."""
        playback, watch = self._playback, self._rules.watching(run.device, run.site)
        self._note(playback.wait(run.time(0) - dt.datetime.resolution))
        if watch.windows:
            for place in range(len(run)):
                self._receive(run, place)
            return
        longest = min((rule.hold_for for rule in watch.no_data), default=None)
        seen = playback.recent.arrived if watch.no_data else 0.0
        decisive = run.decisive(watch.quiet_ranges, watch.matching_statuses, longest, seen)
        place = 0
        while place < len(run):
            if not playback.state.alerts:
                following = decisive[decisive.searchsorted(place) :]
                upto = int(following[0]) if len(following) else len(run)
                if upto > place and (watch.no_data or playback.recent.devices):
                    playback.note_alive(run.device, run.site, run.time(upto - 1))
                place = upto
            if place < len(run):
                self._receive(run, place)
                place += 1

    def finish(self, newest: dt.datetime) -> list[Alert]:
        """Return the device's alerts in order, after the time without readings up to ``newest``."""
        self._note(self._playback.wait(newest))
        for fired in self._firing.values():
            self._alerts.append(_alert(fired, newest, ended=False))
        return self._alerts

    def _receive(self, run: Run, place: int) -> None:
        reading = run.reading(place)
        self._note(self._playback.receive((reading,), reading.ts))

    def _note(self, transitions: Iterable[Transition]) -> None:
        for transition in transitions:
            if transition.change in ("firing", "flapping"):
                self._firing[transition.rule] = transition
            elif transition.change == "resolved":
                self._alerts.append(_alert(self._firing.pop(transition.rule), transition.changed_at, ended=True))


def _alert(fired: Transition, ended_at: dt.datetime, *, ended: bool) -> Alert:
    return Alert(fired.rule, fired.changed_at, max(ended_at, fired.changed_at), ended, fired.flapping)


class _Ledger:
    """The sums, by rule and by device."""

    def __init__(self, rules: RuleSet, live: RuleSet) -> None:
        names = dict.fromkeys(rule.name for each in (rules, live) for rule in filter(_is_played, each.rules))
        self._sums = {name: _Sums() for name in names}
        self.devices: Counter[str] = Counter()

    def enter(self, device: str, new: Sequence[Alert], live: Sequence[Alert]) -> None:
        """Add the alerts of a device."""
        if new:
            self.devices[device] = len(new)
        for name in {alert.rule for alert in (*new, *live)}:
            self._sums[name].add(_of(new, name), _of(live, name))

    def histories(self) -> list[RuleHistory]:
        return [sums.history(name) for name, sums in self._sums.items()]


class _Sums:
    """Of one rule. A duration takes eight bytes, everything else is a sum."""

    def __init__(self) -> None:
        self._alerts = self._flapping = self._live = self._in_both = self._only_live = 0
        self._durations = array("d")
        self._by_day: Counter[str] = Counter()

    def add(self, new: list[Alert], live: list[Alert]) -> None:
        self._alerts += len(new)
        self._flapping += sum(alert.flapping for alert in new)
        self._durations.extend((alert.ended_at - alert.fired_at).total_seconds() for alert in new if alert.ended)
        self._by_day.update(alert.fired_at.date().isoformat() for alert in new)
        self._live += len(live)
        self._in_both += shared(new, live)
        self._only_live += len(live) - shared(live, new)

    def history(self, rule: str) -> RuleHistory:
        return RuleHistory(
            rule=rule,
            alerts=self._alerts,
            flapping=self._flapping,
            open=self._alerts - len(self._durations),
            median_seconds=statistics.median(self._durations) if self._durations else None,
            by_day=dict(sorted(self._by_day.items())),
            live=self._live,
            in_both=self._in_both,
            only_new=self._alerts - self._in_both,
            only_live=self._only_live,
        )


def _of(alerts: Sequence[Alert], rule: str) -> list[Alert]:
    return sorted((alert for alert in alerts if alert.rule == rule), key=lambda alert: alert.fired_at)


def shared(ones: Sequence[Alert], others: Sequence[Alert]) -> int:
    """Count those of ``ones`` that fired while one of ``others`` did; both of one rule and device, in order."""
    count = place = 0
    for one in ones:
        while place < len(others) and others[place].ended_at < one.fired_at:
            place += 1
        count += place < len(others) and others[place].fired_at <= one.ended_at
    return count
