"""Device: its readings, with its alerts and the thresholds of the rules that watch it."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from dashboards.app import charts, fetching, sql
from dashboards.app.page import CURATE, ago, clock, plain, shown, stop, today
from dashboards.app.pipeline_in_use import Source
from dashboards.app.series import Span, chart, spans_of, thresholds_of
from telemetry.reading.fields import METRICS
from telemetry.tables.table import METRIC_UNITS

_HOURS = {"1 hour": 1, "6 hours": 6, "24 hours": 24, "7 days": 168, "30 days": 720}
_READINGS_UP_TO_HOURS = 24
_DAYS_BACK = 30


@shown("Device", "Readings from the tables, with alerts and the thresholds of the rules in use.")
def device(chosen: Source) -> None:
    """Draw the page."""
    since = today() - dt.timedelta(days=_DAYS_BACK)
    known = fetching.table(chosen, sql.known_devices(since))
    if known.empty:
        stop(
            f"No device is in the tables of the last {_DAYS_BACK} days.",
            CURATE,
        )
    left, right = st.columns([2, 3])
    with left:
        name = _name(known["device_id"].tolist())
    hours = right.segmented_control("Until its newest reading, the last", list(_HOURS), default="1 hour") or "1 hour"
    about = known[known["device_id"] == name]
    if about.empty:
        about = fetching.table(chosen, sql.known_devices(since, device=name))
    if about.empty:
        stop(f"{plain(name)} sent nothing in the last {_DAYS_BACK} days.", "Choose another device.")
    model, site, end = about.iloc[0][["model", "site", "last_seen"]]
    st.caption(f"{plain(model)}, at {plain(site)}; newest reading in the tables {clock(end)}, {ago(end)}")
    _history(chosen, name, site, end - dt.timedelta(hours=_HOURS[hours]), end.to_pydatetime())


def _name(names: list[str]) -> str:
    """Return the chosen device, or that of the address if it changed later."""
    asked = st.query_params.get("device", "")
    if asked != st.session_state.get("asked_device") or "device" not in st.session_state:
        st.session_state["device"] = asked or st.session_state.get("last_device") or names[0]
    if st.session_state["device"] not in names:
        names = [st.session_state["device"], *names]
    name: str = st.selectbox(
        "Device",
        names,
        key="device",
        accept_new_options=True,
        help=f"The first {sql.MOST_DEVICES:,} by name; type the whole name of any other.",
    )
    st.query_params["device"] = st.session_state["asked_device"] = st.session_state["last_device"] = name
    return name


def _history(chosen: Source, name: str, site: str, start: dt.datetime, end: dt.datetime) -> None:
    by_hour = end - start > dt.timedelta(hours=_READINGS_UP_TO_HOURS)
    question = sql.hours(name, start, end) if by_hour else sql.readings(name, start, end)
    readings = fetching.table(chosen, question)
    if readings.empty:
        stop("There is no reading in this time.", "Choose a longer one.")
    # Of the longest time that can be chosen: an alert may have begun long before.
    spans = spans_of(fetching.table(chosen, sql.changes(end - dt.timedelta(days=_DAYS_BACK), device=name)))
    thresholds = thresholds_of(fetching.rules(chosen), name, site)
    for metric in METRICS:
        if readings[metric].notna().any():
            drawn = chart(readings, metric, METRIC_UNITS.get(metric, ""), thresholds, spans)
            charts.draw(drawn, f"{metric} of {name} over time with its alerts and thresholds")
        else:
            st.caption(f"No value of {metric} in this time.")
    if thresholds:
        words = plain(", ".join(dict.fromkeys(f"{one.rule} ({one.when})" for one in thresholds)))
        st.caption(f"Rules that compare a value of this device: {words}. Charts show the nearest; alerts are shaded.")
    if by_hour:
        st.caption("By the hour: the line is the mean, the band goes from the smallest to the largest value.")
    elif len(readings) == sql.MOST_READINGS:
        st.caption(f"The newest {sql.MOST_READINGS:,} readings of this time.")
    _alerts([span for span in reversed(spans) if span.end is None or span.end >= start])


def _alerts(spans: list[Span]) -> None:
    st.subheader("Alerts in this time")
    if not spans:
        st.caption("None. A minute or two may pass until an alert is in its table.")
        return
    rows = [
        (span.severity, span.rule, clock(span.start), clock(span.end) or "still active", span.summary) for span in spans
    ]
    st.dataframe(
        pd.DataFrame(rows, columns=["severity", "rule", "fired", "until", "summary"]),
        hide_index=True,
        alt="The device's alerts",
    )
