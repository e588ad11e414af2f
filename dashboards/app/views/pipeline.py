"""Pipeline: alarms of the system itself, its delays, and its cost so far."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pandas as pd
import streamlit as st

from dashboards.app import aws_measures, charts, fetching, measures, sql
from dashboards.app.page import (
    CURATE,
    Figure,
    ago,
    clock,
    figures,
    guarded,
    nothing_yet,
    plain,
    shown,
    times,
    today,
    wall,
)
from dashboards.app.pipeline_in_use import Source, deployed, sink

_REFRESH = "30s"
_FIVE_MINUTES = 300
_HOUR = 3600
_HOURS = 3


@shown("Pipeline", "Alarms of the pipeline itself, the delays of its parts, and its cost.")
def pipeline(chosen: Source) -> None:
    """Draw the page."""
    _moving(chosen)
    _freshness(chosen)
    _costs(chosen)


@st.fragment(run_every=_REFRESH)
def _moving(chosen: Source) -> None:
    guarded(lambda: _now(chosen))


def _now(chosen: Source) -> None:
    delays = fetching.metrics(measures.detection(chosen.stage), _HOURS, _FIVE_MINUTES)
    notified = fetching.metrics(measures.notification(chosen.stage), _HOURS, _FIVE_MINUTES)
    runs = fetching.metrics(measures.curation(chosen.stage), 24, _HOUR)
    alarms = fetching.alarms(chosen)
    off = [alarm for alarm in alarms if alarm.state == "ALARM"]
    figures(
        Figure("Alarms", f"{len(off)} of {len(alarms)}", "Alarms that are on."),
        Figure("From reading to evaluation", _newest(delays, "p95", "{:,.1f} s"), "95th percentile of five minutes."),
        Figure("Newest reading curated", _newest(runs, "newest", "{:,.0f} min old"), "At the curation's last run."),
        Figure("Complete", _newest(runs, "completeness", "{:.2f} %"), "Readings received, of those expected."),
    )
    figures(*_service(chosen))
    _alarms(alarms)
    left, right = st.columns(2)
    with left:
        st.subheader("From a reading to its evaluation")
        _lines(delays, "seconds", f"Send some readings: **iot simulate --sink {sink(chosen)}**")
    with right:
        st.subheader("From a change to its notification")
        _lines(notified, "seconds, group_wait included", "It takes an alert: **iot simulate --scenario demo**")


def _service(chosen: Source) -> Iterator[Figure]:
    """Yield what AWS itself measures, of a stream or of a topic."""
    found = deployed(chosen)
    service = fetching.metrics(aws_measures.service(found), _HOURS, _FIVE_MINUTES)
    not_here = "The local AWS does not measure it."
    behind, undelivered = _newest(service, "behind", "{:,.1f} s"), _newest(service, "undelivered", "{:,.0f} s")
    if found.ingest == "msk":
        yield _behind_topic(chosen, behind)
        yield Figure("Raw zone behind", undelivered, f"The oldest record of MSK's channel. {not_here}")
        yield Figure(
            "Records not delivered", _total(service, "refused"), f"To the raw zone, in three hours. {not_here}"
        )
    else:
        yield Figure("Behind the stream", behind, f"The detector's IteratorAge. {not_here}")
        yield Figure("Raw zone behind", undelivered, f"Firehose's oldest. {not_here}")
        yield Figure("Writes throttled", _total(service, "refused"), f"By the stream, in three hours. {not_here}")
    yield Figure("Detector errors", _total(service, "errors"), f"In three hours. {not_here}")


def _behind_topic(chosen: Source, seconds: str) -> Figure:
    """Return the detector's backlog: in time by MSK, and next to an emulator in records by the broker."""
    if deployed(chosen).kafka_cluster_arn:
        return Figure("Behind the topic", seconds, "Time to read the longest backlog of a partition, by MSK.")
    value, _, why = fetching.waiting_records(chosen).partition(": ")
    return Figure("Behind the topic", value, plain(why) or "Records that the detector has not read, by the broker.")


def _total(frame: pd.DataFrame, column: str) -> str:
    return f"{frame[column].sum():,.0f}" if column in frame and frame[column].notna().any() else "not measured"


def _newest(frame: pd.DataFrame, column: str, form: str) -> str:
    values = frame[column].dropna() if column in frame else frame["at"][:0]
    return form.format(values.iloc[-1]) if len(values) else "not measured"


def _lines(frame: pd.DataFrame, unit: str, todo: str) -> None:
    if frame.drop(columns="at").dropna(how="all").empty:
        nothing_yet("Nothing was measured in the last three hours.", todo)
    else:
        charts.draw(charts.lines(frame, unit, hours=_HOURS), f"Line chart over three hours, {unit}")


def _alarms(alarms: list[measures.Alarm]) -> None:
    off = [alarm for alarm in alarms if alarm.state == "ALARM"]
    for alarm in off:
        st.error(f"**{alarm.name}** since {clock(alarm.since)}: {plain(alarm.meaning)}", icon=":material/warning:")
    if not off and alarms:
        st.success("No alarm is on.", icon=":material/check_circle:")
    with st.expander(f"All {len(alarms)} alarms"):
        st.dataframe(
            pd.DataFrame(
                [(one.name, one.state.replace("_", " ").lower(), clock(one.since), one.meaning) for one in alarms],
                columns=["alarm", "state", "since", "meaning and runbook"],
            ),
            hide_index=True,
            alt="All alarms of the pipeline",
        )


def _freshness(chosen: Source) -> None:
    st.subheader("Freshness of the tables")
    sites = fetching.table(chosen, sql.freshness(today() - dt.timedelta(days=7)))
    if sites.empty:
        nothing_yet(
            "Nothing is in the tables of the last 7 days.",
            CURATE,
        )
        return
    st.dataframe(
        sites.assign(
            newest_reading=wall(sites["newest_reading"]), age=[ago(moment) for moment in sites["newest_reading"]]
        ),
        hide_index=True,
        alt="Newest reading of each site in the tables",
        column_config={
            "devices": st.column_config.NumberColumn("devices", format="localized"),
            "newest_reading": times("newest reading"),
            "age": st.column_config.TextColumn("age"),
        },
    )


def _costs(chosen: Source) -> None:
    st.subheader("Cost of this month so far")
    items = fetching.spent(chosen)
    if not items:
        nothing_yet(
            "Nothing that AWS bills was counted this month; the local AWS counts nothing and bills nothing.",
            "What a fleet would cost: **iot plan --devices 10000 --interval 10s**",
        )
        return
    rows = pd.DataFrame(
        [(one.service, one.what, one.quantity, one.unit, one.usd_per_month) for one in items],
        columns=["service", "what", "quantity", "unit", "usd"],
    )
    figures(Figure("US dollars since the first of the month (UTC)", f"{rows['usd'].sum():,.2f}"))
    st.dataframe(
        rows,
        hide_index=True,
        alt="Costs of this month by service",
        column_config={
            "quantity": st.column_config.NumberColumn("quantity", format="localized"),
            "usd": st.column_config.NumberColumn("USD", format="%.2f"),
        },
    )
    st.caption(
        "By CloudWatch's counts and list prices of us-east-1, since the first of the month or the stream's creation. "
        "Left out are the lake's storage, Glue, logs, metrics and alarms, keys, queues and notifications, and taxes: "
        "the trend is right, the bill is in Cost Explorer. A Kafka cluster counts in full, even if other teams use it."
    )
