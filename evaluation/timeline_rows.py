"""Rows of a timeline: faults with the alerts about them; many of one fault that went the same way share a row."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from evaluation.matching import Verdict
from evaluation.scoring import NOTHING
from simulator.faults.truth import InjectedFault

#: How many rows a picture has at most: as many as can be read on a page.
MAX_ROWS = 40

#: From so many faults of a fault on that went the same way, they share a row; sooner where nothing was to be told,
#: and nothing was.
MANY, _MANY_QUIET = 20, 2

Outcome = Literal["missed", "found", "quiet"]


class Row(NamedTuple):
    """A line of the picture: the faults of a device, a gateway or a site, or all of one fault that affected many.

    ``outcome`` is of the faults: one was missed, or all that were expected were found, or none was expected.
    """

    label: str
    kind: str
    faults: tuple[InjectedFault, ...]
    alerts: tuple[Verdict, ...]
    outcome: Outcome


class Rows(NamedTuple):
    """The rows to be drawn, from the top, and how many others there are."""

    shown: list[Row]
    left_out: int


def rows(faults: Sequence[InjectedFault], verdicts: Sequence[Verdict], most: int = MAX_ROWS) -> Rows:
    """Return what to draw, by fault; where that is too much, what was missed and what was false comes first.

    Of a fault that affected many, those share a row that went the same way: all found, all missed, all quiet, or with
    something false.
    """
    by_fault: defaultdict[str, list[Verdict]] = defaultdict(list)
    unexplained: defaultdict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.fault:
            by_fault[verdict.fault.id].append(verdict)
        else:
            unexplained[verdict.alert.device or verdict.alert.gateway].append(verdict)
    found: list[Row] = []
    for number in sorted({fault.number for fault in faults}):
        fault = [
            Row(_place(each), each.kind, (each,), tuple(by_fault[each.id]), _outcome(each, by_fault[each.id]))
            for each in faults
            if each.number == number
        ]
        found += _together(fault)
    found += _together([Row(place, NOTHING, (), tuple(alerts), "quiet") for place, alerts in unexplained.items()])
    ranked = sorted(found, key=_telling)
    shown = sorted(ranked[:most], key=_position)
    return Rows(shown, len(found) - len(shown))


def _together(fault: list[Row]) -> list[Row]:
    """Return the rows of a fault, with one in place of many that went the same way."""
    ways: defaultdict[tuple[Outcome, bool], list[Row]] = defaultdict(list)
    for row in fault:
        ways[row.outcome, _wrong(row)].append(row)
    return [
        each
        for same in ways.values()
        for each in ([_one_of(same)] if len(same) >= (MANY if _notable(same[0]) else _MANY_QUIET) else same)
    ]


def _one_of(many: list[Row]) -> Row:
    faults = tuple(fault for row in many for fault in row.faults)
    alerts = tuple(alert for row in many for alert in row.alerts)
    return Row(f"{len(many):,} {_unit(many[0])}s", many[0].kind, faults, alerts, many[0].outcome)


def _notable(row: Row) -> bool:
    return row.outcome != "quiet" or _wrong(row)


def _outcome(fault: InjectedFault, verdicts: Sequence[Verdict]) -> Outcome:
    told = {verdict.alert.rule for verdict in verdicts}
    if not fault.expects:
        return "quiet"
    return "found" if told.issuperset(fault.expects) else "missed"


def _wrong(row: Row) -> bool:
    return row.outcome == "missed" or not all(verdict.true for verdict in row.alerts)


def _telling(row: Row) -> tuple[bool, bool, bool]:
    """Rank rows: those with something wrong first, then those of many faults, then those with alerts."""
    return not _wrong(row), len(row.faults) <= 1, not row.alerts


def _position(row: Row) -> tuple[bool, int, dt.datetime, bool, str]:
    """Order rows in the picture: by fault, then by the first alert; at the end what nothing explains."""
    number = row.faults[0].number if row.faults else 0
    first = min((verdict.alert.fired_at for verdict in row.alerts), default=dt.datetime.max.replace(tzinfo=dt.UTC))
    return row.kind == NOTHING, number, first, len(row.faults) <= 1, row.label


def _place(fault: InjectedFault) -> str:
    return fault.device or fault.gateway or fault.site


def _unit(row: Row) -> str:
    """Return what a row is about."""
    if not row.faults:
        return "place"
    return "device" if row.faults[0].device else "gateway" if row.faults[0].gateway else "site"
