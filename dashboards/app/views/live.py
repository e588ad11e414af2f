"""Live: readings per second, alerts as they fire, a map, and the newest values of each site."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from dashboards.app import charts, fetching, measures, sql
from dashboards.app.page import CURATE, Figure, ago, clock, figures, guarded, nothing_yet, shown, times, today, wall
from dashboards.app.pipeline_in_use import Source, sink
from dashboards.app.views import alerts
from pipeline.alerts import Standing
from telemetry.rules.rule_set import SEVERITIES

_REFRESH = "10s"
_MINUTE = 60
_LENGTH = dt.timedelta(seconds=_MINUTE)
_ALERTS_SHOWN = 12

#: The time without a reading after which the stream counts as stopped.
_STOPPED = dt.timedelta(minutes=4)


@shown("Live", "The last hour by the minute. Figures and alerts refresh automatically.")
def live(chosen: Source) -> None:
    """Draw the page."""
    _moving(chosen)
    st.subheader("Sites")
    _on_the_map(chosen, fetching.table(chosen, sql.places()))
    _sites(chosen)


@st.fragment(run_every=_REFRESH)
def _on_the_map(chosen: Source, places: pd.DataFrame) -> None:
    guarded(lambda: _map(chosen, places))


@st.fragment(run_every=_REFRESH)
def _moving(chosen: Source) -> None:
    guarded(lambda: _now(chosen))


def _now(chosen: Source) -> None:
    flow = fetching.metrics(measures.flow(chosen.stage), 1, _MINUTE)
    firing = [standing for standing in fetching.standings(chosen) if standing.status == "firing"]
    _figures(flow, firing)
    left, right = st.columns([5, 4])
    with left:
        st.subheader("Readings a second")
        if flow["readings"].sum() == 0:
            nothing_yet(
                "No reading was seen in the last hour.",
                f"Send some: **iot simulate --scenario demo --speed 60 --sink {sink(chosen)}**",
            )
        else:
            rate = pd.DataFrame({"at": flow["at"], "readings a second": flow["readings"] / _MINUTE})
            charts.draw(charts.lines(rate, "readings/s", hours=1), "Line chart of readings a second over the last hour")
    with right:
        st.subheader("Firing now")
        _feed(firing)


def _figures(flow: pd.DataFrame, firing: list[Standing]) -> None:
    seen = flow[flow["readings"] > 0]
    newest = seen.iloc[-1] if len(seen) else None
    flows = newest is not None and dt.datetime.now(dt.UTC) - newest["at"] < _STOPPED
    total, rejected = float(flow["readings"].sum()), float(flow["rejected"].sum())
    worst = max((standing.severity for standing in firing), key=SEVERITIES.index, default="")
    figures(
        Figure(
            "Readings a second",
            f"{newest['readings'] / _MINUTE:,.1f}" if newest is not None and flows else "none",
            "Of the last whole minute; CloudWatch itself may be a minute or two late.",
            "" if flows or newest is None else f"since {clock(newest['at'] + _LENGTH, '%H:%M')}",
        ),
        Figure(
            "Rejected lines",
            f"{100 * rejected / (total + rejected):.2f} %" if total + rejected else "none",
            "Lines of the last hour that do not decode or break a bound. They are in quarantine.",
        ),
        Figure(
            "From reading to evaluation",
            "unknown" if newest is None or pd.isna(newest["p95"]) else f"{newest['p95']:,.1f} s",
            "95th percentile of the newest minute, by the devices' clocks.",
        ),
        Figure("Alerts firing", f"{len(firing)}", note=f"worst: {worst}" if worst else ""),
    )


def _feed(firing: list[Standing]) -> None:
    if not firing:
        st.success("No alert is firing.", icon=":material/check_circle:")
        return
    newest = sorted(firing, key=lambda standing: standing.fired_at or dt.datetime.min.replace(tzinfo=dt.UTC))[::-1]
    rows = [(one.severity, clock(one.fired_at, "%H:%M"), one.where, one.rule) for one in newest[:_ALERTS_SHOWN]]
    st.dataframe(
        pd.DataFrame(rows, columns=["severity", "since", "where", "rule"]),
        hide_index=True,
        alt="The newest alerts that are firing",
    )
    if len(newest) > _ALERTS_SHOWN:
        st.caption(f"The newest {_ALERTS_SHOWN} of {len(newest)}.")
    to_alerts = st.Page(alerts.alerts, title="Alerts", url_path="alerts")
    st.page_link(to_alerts, label="Acknowledge and snooze them", icon=":material/notifications:")


def _sites(chosen: Source) -> None:
    newest = fetching.table(chosen, sql.newest_hours(today() - dt.timedelta(days=1)))
    if newest.empty:
        nothing_yet(
            "There is nothing in the tables since yesterday.",
            CURATE,
        )
        return
    began = ago(newest["hour_start"].max())
    st.caption(f"The newest hour of each site that the curation has left in the tables; the newest began {began}.")
    st.dataframe(
        newest.assign(hour_start=wall(newest["hour_start"])),
        hide_index=True,
        alt="Newest values of each site",
        column_config={
            "site": st.column_config.TextColumn("site"),
            "hour_start": times("hour from", "MM-DD HH:mm"),
            "devices": st.column_config.NumberColumn("devices", format="localized"),
            "received": st.column_config.NumberColumn("readings", format="localized"),
            "temperature": st.column_config.NumberColumn("mean °C", format="%.1f"),
            "temperature_min": st.column_config.NumberColumn("min °C", format="%.1f"),
            "temperature_max": st.column_config.NumberColumn("max °C", format="%.1f"),
            "humidity": st.column_config.NumberColumn("mean %RH", format="%.0f"),
            "battery_min": st.column_config.NumberColumn("lowest battery V", format="%.2f"),
        },
    )


def _map(chosen: Source, places: pd.DataFrame) -> None:
    if places.empty:
        nothing_yet("No device has a location.", "Upload a registry: **iot registry apply registry/devices.csv**")
        return
    active = pd.DataFrame(
        [
            (standing.site, SEVERITIES.index(standing.severity))
            for standing in fetching.standings(chosen)
            if standing.status == "firing"
        ],
        columns=["site", "rank"],
    )
    by_site = active.groupby("site").agg(alerts=("rank", "size"), rank=("rank", "max")).reset_index()
    sites = places.merge(by_site, on="site", how="left").fillna({"alerts": 0})
    sites["state"] = [SEVERITIES[int(rank)] if pd.notna(rank) else "no alert" for rank in sites["rank"]]
    charts.draw(charts.site_map(sites.drop(columns="rank")), "Map of the sites, coloured by their worst active alert")
