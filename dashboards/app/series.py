"""A device's metric over time, with the spans of its alerts and the thresholds of the rules that watch it."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import altair as alt
import pandas as pd

from dashboards.app.charts import BY_SEVERITY, NUMBER, TEAL, by_time, ink, time_tooltip
from dashboards.app.page import wall
from telemetry.rules.conditions import Comparison, Window, leaves
from telemetry.rules.functions import FUNCTIONS
from telemetry.rules.rule_set import RuleSet

#: Times the usual interval between two readings that makes a gap in the line.
_SILENCE = 4


class Threshold(NamedTuple):
    """A number that a rule compares a metric with; ``when`` is the comparison as the rule has it."""

    rule: str
    severity: str
    metric: str
    value: float
    when: str


class Span(NamedTuple):
    """An alert of a device from firing to its end (UTC), None while it is active."""

    rule: str
    severity: str
    start: dt.datetime
    end: dt.datetime | None
    summary: str


def thresholds_of(rules: RuleSet, device: str, site: str) -> list[Threshold]:
    """Return the thresholds of the rules that watch a device, including those of windows in the metric's unit."""
    return [
        Threshold(rule.name, rule.severity, metric, leaf.threshold, str(leaf))
        for rule in rules.watching(device, site).rules
        for leaf in leaves(rule.when)
        if isinstance(leaf, Comparison) and (metric := _metric_of(leaf))
    ]


def _metric_of(leaf: Comparison) -> str:
    """Return the metric on whose axis the threshold is: none where a function has a unit of its own."""
    if isinstance(leaf.subject, Window):
        return leaf.subject.metric if FUNCTIONS[leaf.subject.function].unit == "of the metric" else ""
    return leaf.subject.name


def spans_of(changes: pd.DataFrame) -> list[Span]:
    """Return the alerts in a device's changes, with the columns of :func:`dashboards.app.sql.changes`."""
    spans = []
    for _, alert in changes[changes["alert_id"] != ""].groupby("alert_id", sort=False):
        ordered = alert.sort_values("sequence")
        fired = ordered[ordered["change"].isin(["firing", "flapping"])]
        if fired.empty:
            continue
        ended = ordered[ordered["change"] == "resolved"]
        spans.append(
            Span(
                rule=fired.iloc[0]["rule"],
                severity=ordered.iloc[-1]["severity"],
                start=dt.datetime.fromisoformat(fired.iloc[0]["changed_at"]),
                end=dt.datetime.fromisoformat(ended.iloc[-1]["changed_at"]) if len(ended) else None,
                summary=fired.iloc[0]["summary"],
            )
        )
    return sorted(spans, key=lambda span: span.start)


def near(thresholds: list[Threshold], low: float, high: float) -> list[Threshold]:
    """Return the thresholds from ``low`` to ``high``, and the next one above and below.

    A freezer's chart would be a flat line if 40 °C were on it.
    """
    above = min((one.value for one in thresholds if one.value > high), default=high)
    below = max((one.value for one in thresholds if one.value < low), default=low)
    return [one for one in thresholds if below <= one.value <= above]


def chart(
    readings: pd.DataFrame, metric: str, unit: str, thresholds: list[Threshold], spans: list[Span]
) -> alt.LayerChart | alt.FacetChart:
    """Return a chart of the readings' ``metric`` over ``ts`` (UTC), with its hourly extremes where there are some."""
    frame = _broken(readings)
    first, last = readings["ts"].min(), readings["ts"].max()
    layers: list[alt.Chart] = []
    visible = [span for span in spans if (span.end is None or span.end >= first) and span.start <= last]
    if visible:
        layers.append(_shaded(visible, first, last))
    base = alt.Chart(frame)
    title = f"{metric}, {unit}" if unit else metric
    value = alt.Y(f"{metric}:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(format=NUMBER))
    if f"{metric}_min" in frame.columns:
        layers.append(
            base.mark_area(color=TEAL, opacity=0.2).encode(
                by_time(frame["at"]), alt.Y(f"{metric}_min:Q"), alt.Y2(f"{metric}_max:Q")
            )
        )
    layers.append(
        base.mark_line(
            color=TEAL, point=alt.OverlayMarkDef(size=14, color=TEAL) if len(frame) <= 400 else False
        ).encode(
            by_time(frame["at"]),
            value,
            tooltip=[time_tooltip(), alt.Tooltip(f"{metric}:Q", format=".2f", title=title)],
        )
    )
    extremes = [column for column in (f"{metric}_min", metric, f"{metric}_max") if column in frame.columns]
    low, high = float(frame[extremes].min().min()), float(frame[extremes].max().max())
    lines = near([threshold for threshold in thresholds if threshold.metric == metric], low, high)
    if lines:
        layers += _ruled(lines)
    return alt.layer(*layers).properties(height=240)


def _broken(readings: pd.DataFrame) -> pd.DataFrame:
    """Add ``at``, and an empty row in each gap, so that no line is drawn across it."""
    gaps = readings["ts"].diff()
    silent = readings[gaps > _SILENCE * gaps.median()]
    nothing = pd.DataFrame({"ts": silent["ts"] - pd.Timedelta(milliseconds=1)})
    frame = pd.concat([readings, nothing]).sort_values("ts") if len(silent) else readings
    return frame.assign(at=wall(frame["ts"]))


def _shaded(spans: list[Span], first: dt.datetime, last: dt.datetime) -> alt.Chart:
    frame = pd.DataFrame(
        {
            "at": wall(pd.Series([max(span.start, first) for span in spans])),
            "until": wall(pd.Series([min(span.end or last, last) for span in spans])),
            "rule": [span.rule for span in spans],
            "severity": [span.severity for span in spans],
            "summary": [span.summary for span in spans],
        }
    )
    return (
        alt.Chart(frame)
        .mark_rect(opacity=0.25)
        .encode(
            by_time(frame["at"]),
            alt.X2("until:T"),
            alt.Color("severity:N", scale=BY_SEVERITY, title=None, legend=None),
            tooltip=["rule:N", "severity:N", "summary:N"],
        )
    )


def _ruled(thresholds: list[Threshold]) -> list[alt.Chart]:
    frame = pd.DataFrame(
        {
            "value": [threshold.value for threshold in thresholds],
            "severity": [threshold.severity for threshold in thresholds],
            "words": [f"{threshold.rule}: {threshold.when}" for threshold in thresholds],
        }
    )
    base = alt.Chart(frame).encode(
        alt.Y("value:Q"), alt.Color("severity:N", scale=BY_SEVERITY, title=None, legend=None), tooltip=["words:N"]
    )
    return [
        base.mark_rule(strokeDash=[6, 4], strokeWidth=1.5),
        base.mark_text(align="left", baseline="bottom", dx=4, dy=-3, fontSize=11, color=ink()).encode(
            x=alt.value(0), text="words:N", color=alt.value(ink())
        ),
    ]
