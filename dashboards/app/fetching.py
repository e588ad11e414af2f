"""Data of the pages, cached, so that ten viewers cost as much as one.

Data that changes by the second (DynamoDB, CloudWatch) is cached for seconds; data of the curation for a minute.
"""

from __future__ import annotations

import datetime as dt
import importlib.util

import pandas as pd
import streamlit as st

from dashboards.app import aws_measures, measures
from dashboards.app.measures import Alarm, Measure
from dashboards.app.pipeline_in_use import Source, deployed, session
from pipeline import alerts, athena, holds
from pipeline.alerts import Standing
from pipeline.errors import PipelineError
from planning.plan import cost_so_far
from planning.services import Item
from telemetry.rules.rule_set import RuleSet

_SECONDS = 10
_MINUTE = 60
_HOUR = 3600

#: Cached results per function, of all viewers.
_ENTRIES = 200

#: Columns of times; the local AWS returns some of them as text.
_TIMES = ("arrived", "hour_start", "last_seen", "newest_reading", "ts")


@st.cache_data(ttl=_MINUTE, max_entries=_ENTRIES, show_spinner="Asking Athena …")
def table(chosen: Source, sql: str) -> pd.DataFrame:
    """Return the result of a query: numbers are floats, texts never null, times UTC.

    Raises :class:`~pipeline.errors.PipelineError`.
    """
    frame = athena.query(session(), deployed(chosen), sql)
    for column in frame.columns:
        kind = str(frame[column].dtype)
        if column in _TIMES:
            frame[column] = pd.to_datetime(frame[column], utc=True, format="ISO8601")
        elif kind.startswith("string"):
            frame[column] = frame[column].astype(object).where(frame[column].notna(), "")
        elif kind in ("Int64", "Float64"):
            frame[column] = frame[column].astype("float64")
    return frame


@st.cache_data(ttl=_SECONDS, max_entries=_ENTRIES, show_spinner=False)
def metrics(wanted: tuple[Measure, ...], hours: float, period: int) -> pd.DataFrame:
    """Return metrics of the last ``hours``, by periods of ``period`` seconds."""
    end = dt.datetime.now(dt.UTC)
    return measures.fetch(session(), wanted, end - dt.timedelta(hours=hours), end, period)


@st.cache_data(ttl=_SECONDS, max_entries=_ENTRIES, show_spinner=False)
def waiting_records(chosen: Source) -> str:
    """Return how many records of the topic the detector has not read, as its broker says; or why that is unknown."""
    if not importlib.util.find_spec("confluent_kafka"):
        return "unknown: install confluent-kafka"
    from pipeline.kafka import consumer_lag  # noqa: PLC0415  # needs the optional package

    try:
        return f"{consumer_lag(deployed(chosen)).behind:,} records"
    except PipelineError as error:
        return f"unknown: {error}"


@st.cache_data(ttl=10 * _MINUTE, max_entries=_ENTRIES, show_spinner=False)
def spent(chosen: Source) -> list[Item]:
    """Return the cost of this month (UTC) so far, as far as CloudWatch counts it; empty if it counted nothing."""
    now = dt.datetime.now(dt.UTC)
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = deployed(chosen)
    counted = measures.fetch(session(), aws_measures.spent(found), first, now, _HOUR)
    if counted.empty or found.kafka_bootstrap:
        return []
    capacity = aws_measures.capacity(session(), found)
    hours = (now - max(first, capacity.created)).total_seconds() / 3600
    return cost_so_far(aws_measures.usage(counted, hours, capacity))


@st.cache_data(ttl=10 * _MINUTE, max_entries=1, show_spinner=False)
def caller() -> str:
    """Return the identity of the credentials."""
    return holds.caller(session())


@st.cache_data(ttl=_SECONDS, max_entries=1, show_spinner=False)
def alarms(chosen: Source) -> list[Alarm]:
    """Return the pipeline's own alarms."""
    return measures.alarms(session(), chosen.stage)


@st.cache_resource(ttl=_MINUTE, show_spinner=False)
def rules(chosen: Source) -> RuleSet:
    """Return the rules in use."""
    return alerts.rules_in_use(session(), deployed(chosen))


@st.cache_data(ttl=_SECONDS, show_spinner=False)
def standings(chosen: Source) -> list[Standing]:
    """Return active alerts and holds, the most severe first. It reads the whole state table, once for all viewers."""
    return alerts.standings(session(), deployed(chosen), rules(chosen))


def forget_standings() -> None:
    """Drop cached alerts, so that the page shows the state after an order."""
    standings.clear()
