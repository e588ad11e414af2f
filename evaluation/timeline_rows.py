"""Rows of a timeline: incidents with the alerts about them; many of one fault that went the same way share a row."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from evaluation.matching import Verdict
from evaluation.scoring import NOTHING
from simulator.faults.truth import Incident

#: How many rows a picture has at most: as many as can be read on a page.
MAX_ROWS = 40

#: From so many incidents of a fault on that went the same way, they share a row; sooner where nothing was to be told,
#: and nothing was.
MANY, _MANY_QUIET = 20, 2

Outcome = Literal["missed", "found", "quiet"]


class Row(NamedTuple):
    """A line of the picture: the incidents of a device, a gateway or a site, or all of one fault that befell many.

    ``outcome`` is of the incidents: one was missed, or all that were expected were found, or none was expected.
    """

    label: str
    kind: str
    incidents: tuple[Incident, ...]
    alerts: tuple[Verdict, ...]
    outcome: Outcome


class Rows(NamedTuple):
    """The rows to be drawn, from the top, and how many others there are."""

    shown: list[Row]
    left_out: int


def rows(incidents: Sequence[Incident], verdicts: Sequence[Verdict], most: int = MAX_ROWS) -> Rows:
    """What to draw, by fault; where that is too much, what was missed and what was false comes first.

    Of a fault that befell many, those share a row that went the same way: all found, all missed, all quiet, or with
    something false.
    """
    by_incident: defaultdict[str, list[Verdict]] = defaultdict(list)
    unexplained: defaultdict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.incident:
            by_incident[verdict.incident.id].append(verdict)
        else:
            unexplained[verdict.alert.device or verdict.alert.gateway].append(verdict)
    found: list[Row] = []
    for number in sorted({incident.number for incident in incidents}):
        fault = [
            Row(_place(each), each.kind, (each,), tuple(by_incident[each.id]), _outcome(each, by_incident[each.id]))
            for each in incidents
            if each.number == number
        ]
        found += _together(fault)
    found += _together([Row(place, NOTHING, (), tuple(alerts), "quiet") for place, alerts in unexplained.items()])
    ranked = sorted(found, key=_telling)
    shown = sorted(ranked[:most], key=_position)
    return Rows(shown, len(found) - len(shown))


def _together(fault: list[Row]) -> list[Row]:
    """The rows of a fault, with one in place of many that went the same way."""
    ways: defaultdict[tuple[Outcome, bool], list[Row]] = defaultdict(list)
    for row in fault:
        ways[row.outcome, _wrong(row)].append(row)
    return [
        each
        for same in ways.values()
        for each in ([_one_of(same)] if len(same) >= (MANY if _notable(same[0]) else _MANY_QUIET) else same)
    ]


def _one_of(many: list[Row]) -> Row:
    incidents = tuple(incident for row in many for incident in row.incidents)
    alerts = tuple(alert for row in many for alert in row.alerts)
    return Row(f"{len(many):,} {_unit(many[0])}s", many[0].kind, incidents, alerts, many[0].outcome)


def _notable(row: Row) -> bool:
    return row.outcome != "quiet" or _wrong(row)


def _outcome(incident: Incident, verdicts: Sequence[Verdict]) -> Outcome:
    told = {verdict.alert.rule for verdict in verdicts}
    if not incident.expects:
        return "quiet"
    return "found" if told.issuperset(incident.expects) else "missed"


def _wrong(row: Row) -> bool:
    return row.outcome == "missed" or not all(verdict.true for verdict in row.alerts)


def _telling(row: Row) -> tuple[bool, bool, bool]:
    """The most telling rows first: with something wrong, then of many incidents, then with alerts."""
    return not _wrong(row), len(row.incidents) <= 1, not row.alerts


def _position(row: Row) -> tuple[bool, int, dt.datetime, bool, str]:
    """Where in the picture: by fault, and in it by what was told first; at the end what nothing explains."""
    number = row.incidents[0].number if row.incidents else 0
    first = min((verdict.alert.fired_at for verdict in row.alerts), default=dt.datetime.max.replace(tzinfo=dt.UTC))
    return row.kind == NOTHING, number, first, len(row.incidents) <= 1, row.label


def _place(incident: Incident) -> str:
    return incident.device or incident.gateway or incident.site


def _unit(row: Row) -> str:
    """What a row is about."""
    if not row.incidents:
        return "place"
    return "device" if row.incidents[0].device else "gateway" if row.incidents[0].gateway else "site"
