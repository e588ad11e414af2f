"""A picture of a score: what was injected, when it was told of, what was missed, and what was told for nothing."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import matplotlib as mpl
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from evaluation.scoring import NOTHING, Score, Verdict
from simulator.faults.truth import Incident

#: How many rows a picture has at most: as many as can be read on a page.
MAX_ROWS = 40

#: From so many incidents of a fault on that went the same way, they share a row; sooner where nothing was to be told,
#: and nothing was.
_MANY, _MANY_QUIET = 20, 2

_ENDINGS = frozenset((".png", ".svg"))

# Told apart by everybody: https://jfly.uni-koeln.de/color/
_FOUND, _QUIET, _MISSED, _TRUE, _FALSE = "#AEDBF4", "#DDDDDD", "#F7D0BA", "#009E73", "#D55E00"
_INK = "#333333"

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
        for each in ([_one_of(same)] if len(same) >= (_MANY if _notable(same[0]) else _MANY_QUIET) else same)
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


def draw(
    incidents: Sequence[Incident],
    verdicts: Sequence[Verdict],
    found: Score,
    path: Path,
    *,
    title: str,
) -> None:
    """Draw incidents as bars over time (UTC), and the alerts that were told as lines from firing to their end.

    ``path`` ends in ``.png`` or ``.svg``. Raises :class:`ValueError` for any other, :class:`OSError` where it cannot be
    written.
    """
    if path.suffix.lower() not in _ENDINGS:
        raise ValueError("the name of a picture ends in .png or .svg")
    end = _end(incidents, verdicts)
    chosen = rows(incidents, verdicts)
    height = 1.5 + 0.21 * max(4, len(chosen.shown))
    # The same bytes from the same run, and letters that are letters.
    with mpl.rc_context({"svg.hashsalt": "timeline", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(10, height), layout="constrained")
        axis = figure.add_subplot()
        for place, row in enumerate(chosen.shown):
            _draw_row(axis, place, row, end)
        _label(axis, chosen)
        _frame(axis, incidents, chosen, end)
        axis.set_title(_heading(found, title), loc="left", fontsize=9, color=_INK)
        figure.legend(handles=_legend(), loc="outside lower left", ncols=6, frameon=False, fontsize=7.5)
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
        figure.savefig(path, dpi=130, metadata=metadata)


def _end(incidents: Sequence[Incident], verdicts: Sequence[Verdict]) -> dt.datetime:
    """The last moment that is known of: alerts that go on are drawn up to there."""
    moments = [incident.until for incident in incidents]
    moments += [verdict.alert.resolved_at or verdict.alert.fired_at for verdict in verdicts]
    return max(moments, default=dt.datetime(1970, 1, 1, tzinfo=dt.UTC))


def _draw_row(axis: Axes, place: int, row: Row, end: dt.datetime) -> None:
    colour = {"missed": _MISSED, "found": _FOUND, "quiet": _QUIET}[row.outcome]
    hatch = "////" if row.outcome == "missed" else None
    for since, until in sorted({(each.since, each.until) for each in row.incidents}):
        axis.broken_barh(
            [(_number(since), _number(until) - _number(since))],
            (place - 0.38, 0.76),
            facecolor=colour,
            edgecolor=_FALSE if hatch else "none",
            hatch=hatch,
            linewidth=0.6,
        )
    for verdict in row.alerts:
        alert = verdict.alert
        inked = _TRUE if verdict.true else _FALSE
        begin, over = _number(alert.fired_at), _number(alert.resolved_at or end)
        # Many in one row are a cloud: where it is dense, much was told.
        faint = 0.35 if len(row.alerts) > _MANY else 1.0
        axis.plot([begin, over], [place, place], color=inked, linewidth=1.6, alpha=faint, solid_capstyle="butt")
        axis.plot([begin], [place], marker="o" if verdict.true else "X", color=inked, markersize=4.5, alpha=faint)
        if alert.resolved_at:
            axis.plot([over], [place], marker="|", color=inked, markersize=5, alpha=faint)


def _label(axis: Axes, chosen: Rows) -> None:
    """The places on the left, and each fault's kind where it begins."""
    axis.set_yticks(range(len(chosen.shown)), [row.label for row in chosen.shown], fontsize=7)
    axis.tick_params(axis="y", length=0)
    before: tuple[str, int] | None = None
    for place, row in enumerate(chosen.shown):
        fault = (row.kind, row.incidents[0].number if row.incidents else 0)
        if fault != before:
            axis.text(1.005, place, _named(row), transform=axis.get_yaxis_transform(), va="center", color=_INK)
            if place:
                axis.axhline(place - 0.5, color="#BBBBBB", linewidth=0.6)
        before = fault


def _named(row: Row) -> str:
    if not row.incidents:
        return "nothing injected"
    first = row.incidents[0]
    return f"{first.number} {first.kind.replace('_', ' ')}" + ("" if first.expects else ", to be quiet about")


def _frame(axis: Axes, incidents: Sequence[Incident], chosen: Rows, end: dt.datetime) -> None:
    if incidents:
        since = min(incident.since for incident in incidents)
        margin = max((end - since) * 0.02, dt.timedelta(minutes=1))
        axis.set_xlim(_number(since - margin), _number(end + margin))
    if not chosen.shown:
        axis.text(0.5, 0.5, "nothing was injected, and nothing told", transform=axis.transAxes, ha="center", color=_INK)
        axis.set_axis_off()
        return
    axis.set_ylim(max(0.5, len(chosen.shown) - 0.5), -0.5)
    locator = dates.AutoDateLocator(tz=dt.UTC)  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_locator(locator)
    formatter = dates.ConciseDateFormatter(locator, tz=dt.UTC)  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_formatter(formatter)
    axis.grid(visible=True, axis="x", color="#E5E5E5", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    more = f"; {chosen.left_out:,} more rows are left out" if chosen.left_out else ""
    axis.set_xlabel(f"UTC{more}", color=_INK)


def _heading(found: Score, title: str) -> str:
    total = found.total
    # Between two dollars, matplotlib would see mathematics.
    name = title.replace("$", r"\$")
    return (
        f"{name}: precision {total.precision:.2f}, recall {total.recall:.2f} ({total.found:,} of {total.expected:,} "
        f"found, {total.false:,} false), {total.a_incident:.2f} notifications an incident, {found.messages:,} in all"
    )


def _legend() -> list[Patch | Line2D]:
    return [
        Patch(facecolor=_FOUND, label="injected, found"),
        Patch(facecolor=_MISSED, edgecolor=_FALSE, hatch="////", label="injected, missed"),
        Patch(facecolor=_QUIET, label="injected, to be quiet about"),
        Line2D([], [], color=_TRUE, marker="o", markersize=4.5, label="alert, from firing to its end (|)"),
        Line2D([], [], color=_FALSE, marker="X", markersize=4.5, label="false alert"),
    ]


def _number(moment: dt.datetime) -> float:
    return float(dates.date2num(moment))  # type: ignore[no-untyped-call]
