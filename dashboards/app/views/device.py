"""Device: its readings, with the spans of its alerts and the thresholds of the rules that watch it drawn in."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from dashboards.app import fetching, sql
from dashboards.app.page import ago, clock, nothing_yet, shown, stop, today
from dashboards.app.pipeline_in_use import Source
from dashboards.app.series import Span, chart, spans_of, thresholds_of
from pipeline.tables_page import METRIC_UNITS
from telemetry.fields import METRICS

_HOURS = {"1 hour": 1, "6 hours": 6, "24 hours": 24, "7 days": 168, "30 days": 720}
_READINGS_UP_TO_HOURS = 24
_DAYS_BACK = 30


@shown("Device", "Readings as the tables have them, the spans of alerts, and the thresholds of the rules in use.")
def device(chosen: Source) -> None:
    """Draw the page."""
    known = fetching.table(chosen, sql.known_devices(today() - dt.timedelta(days=_DAYS_BACK)))
    if known.empty:
        stop(
            f"No device is in the tables of the last {_DAYS_BACK} days.",
            "The curation fills them, on AWS every hour; on the local AWS: **iot etl run**",
        )
    names = known["device_id"].tolist()
    asked = st.query_params.get("device", "")
    if asked and asked not in names:
        nothing_yet(f"{asked} sent nothing in the last {_DAYS_BACK} days.", "Here is another device.")
    left, right = st.columns([2, 3])
    name = left.selectbox("Device", names, index=names.index(asked) if asked in names else 0)
    st.query_params["device"] = name
    hours = right.segmented_control("Until its newest reading, the last", list(_HOURS), default="1 hour") or "1 hour"
    about = known[known["device_id"] == name].iloc[0]
    end = about["last_seen"].to_pydatetime()
    st.caption(f"{about['model']}, at {about['site']}; newest reading in the tables {clock(end)}, {ago(end)}")
    start = end - dt.timedelta(hours=_HOURS[hours])
    by_hour = _HOURS[hours] > _READINGS_UP_TO_HOURS
    question = sql.hours(name, start, end) if by_hour else sql.readings(name, start, end)
    readings = fetching.table(chosen, question)
    if readings.empty:
        stop("There is no reading in this time.", "Choose a longer one.")
    spans = spans_of(
        fetching.table(chosen, sql.changes(start.date() - dt.timedelta(days=1), device=name)), dt.datetime.now(dt.UTC)
    )
    thresholds = thresholds_of(fetching.rules(chosen), name, about["site"])
    for metric in METRICS:
        if readings[metric].notna().any():
            st.altair_chart(
                chart(readings, metric, METRIC_UNITS.get(metric, ""), thresholds, spans),
                alt=f"{metric} of {name} over time with its alerts and thresholds",
            )
    if thresholds:
        words = ", ".join(dict.fromkeys(f"{one.rule} ({one.when})" for one in thresholds))
        st.caption(f"Rules that compare a value of this device: {words}. Drawn are the nearest. Shaded: an alert.")
    if by_hour:
        st.caption("By the hour: the line is the mean, the band goes from the smallest to the largest value.")
    elif len(readings) == sql.MOST_READINGS:
        st.caption(f"The newest {sql.MOST_READINGS:,} readings of this time.")
    _alerts(spans, start)


def _alerts(spans: list[Span], start: dt.datetime) -> None:
    st.subheader("Alerts in this time")
    seen = [span for span in reversed(spans) if span.end >= start]
    if not seen:
        st.caption("None. A minute or two may pass until an alert is in its table.")
        return
    rows = [(span.severity, span.rule, clock(span.start), clock(span.end), span.summary) for span in seen]
    st.dataframe(
        pd.DataFrame(rows, columns=["severity", "rule", "fired", "until", "summary"]),
        hide_index=True,
        alt="The device's alerts",
    )
