"""A picture of a score: what was injected, when it was told of, what was missed, and what was told for nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from evaluation.matching import Verdict
from evaluation.scoring import Score
from evaluation.timeline_rows import MANY, Row, Rows, rows
from simulator.faults.truth import InjectedFault

_ENDINGS = frozenset((".png", ".svg"))

# Told apart by everybody: https://jfly.uni-koeln.de/color/
_FOUND, _QUIET, _MISSED, _TRUE, _FALSE = "#AEDBF4", "#DDDDDD", "#F7D0BA", "#009E73", "#D55E00"
_INK = "#333333"


def draw(
    faults: Sequence[InjectedFault],
    verdicts: Sequence[Verdict],
    found: Score,
    path: Path,
    *,
    title: str,
) -> None:
    """Draw faults as bars over time (UTC), and the alerts that were told as lines from firing to their end.

    ``path`` ends in ``.png`` or ``.svg``. Raises :class:`ValueError` for any other, :class:`OSError` where it cannot be
    written.
    """
    if path.suffix.lower() not in _ENDINGS:
        raise ValueError("the name of a picture ends in .png or .svg")
    end = _end(faults, verdicts)
    chosen = rows(faults, verdicts)
    height = 1.5 + 0.21 * max(4, len(chosen.shown))
    # The same bytes from the same run, and letters that are letters.
    with mpl.rc_context({"svg.hashsalt": "timeline", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(10, height), layout="constrained")
        axis = figure.add_subplot()
        for place, row in enumerate(chosen.shown):
            _draw_row(axis, place, row, end)
        _label(axis, chosen)
        _frame(axis, faults, chosen, end)
        axis.set_title(_heading(found, title), loc="left", fontsize=9, color=_INK)
        figure.legend(handles=_legend(), loc="outside lower left", ncols=6, frameon=False, fontsize=7.5)
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
        figure.savefig(path, dpi=130, metadata=metadata)


def _end(faults: Sequence[InjectedFault], verdicts: Sequence[Verdict]) -> dt.datetime:
    """Return the last moment that is known of: alerts that go on are drawn up to there."""
    moments = [fault.until for fault in faults]
    moments += [verdict.alert.resolved_at or verdict.alert.fired_at for verdict in verdicts]
    return max(moments, default=dt.datetime(1970, 1, 1, tzinfo=dt.UTC))


def _draw_row(axis: Axes, place: int, row: Row, end: dt.datetime) -> None:
    colour = {"missed": _MISSED, "found": _FOUND, "quiet": _QUIET}[row.outcome]
    hatch = "////" if row.outcome == "missed" else None
    for since, until in sorted({(each.since, each.until) for each in row.faults}):
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
        faint = 0.35 if len(row.alerts) > MANY else 1.0
        axis.plot([begin, over], [place, place], color=inked, linewidth=1.6, alpha=faint, solid_capstyle="butt")
        axis.plot([begin], [place], marker="o" if verdict.true else "X", color=inked, markersize=4.5, alpha=faint)
        if alert.resolved_at:
            axis.plot([over], [place], marker="|", color=inked, markersize=5, alpha=faint)


def _label(axis: Axes, chosen: Rows) -> None:
    """Label the places on the left, and each fault's kind where it begins."""
    axis.set_yticks(range(len(chosen.shown)), [row.label for row in chosen.shown], fontsize=7)
    axis.tick_params(axis="y", length=0)
    before: tuple[str, int] | None = None
    for place, row in enumerate(chosen.shown):
        fault = (row.kind, row.faults[0].number if row.faults else 0)
        if fault != before:
            axis.text(1.005, place, _named(row), transform=axis.get_yaxis_transform(), va="center", color=_INK)
            if place:
                axis.axhline(place - 0.5, color="#BBBBBB", linewidth=0.6)
        before = fault


def _named(row: Row) -> str:
    if not row.faults:
        return "nothing injected"
    first = row.faults[0]
    return f"{first.number} {first.kind.replace('_', ' ')}" + ("" if first.expects else ", to be quiet about")


def _frame(axis: Axes, faults: Sequence[InjectedFault], chosen: Rows, end: dt.datetime) -> None:
    if faults:
        since = min(fault.since for fault in faults)
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
        f"found, {total.false:,} false), {total.per_fault:.2f} notifications per fault, {found.messages:,} in all"
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
