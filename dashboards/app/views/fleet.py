"""Fleet: completeness of the devices' readings and their batteries, by site and model."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from dashboards.app import charts, fetching, sql
from dashboards.app.page import CURATE, Figure, figures, plain, shown, stop, times, today, wall
from dashboards.app.pipeline_in_use import Source
from dashboards.app.views import device

_DAYS_BACK = 30


@shown("Fleet", "Devices on a day (UTC), from the tables: readings received and missing, and batteries.")
def fleet(chosen: Source) -> None:
    """Draw the page."""
    days = fetching.table(chosen, sql.days_with_devices(today() - dt.timedelta(days=_DAYS_BACK)))
    if days.empty:
        stop(
            f"No device is in the tables of the last {_DAYS_BACK} days.",
            CURATE,
        )
    day = dt.date.fromisoformat(st.selectbox("Day (UTC)", days["dt"].tolist(), key="day"))
    groups = fetching.table(chosen, sql.fleet(day))
    left, right = st.columns(2)
    sites = left.multiselect("Sites", sorted(groups["site"].unique()), placeholder="all sites", key="sites")
    models = right.multiselect("Models", sorted(groups["model"].unique()), placeholder="all models", key="models")
    kept = _of(groups, sites, models)
    if kept.empty:
        stop("No device is of these sites and models.", "Remove a site or model from the filters.")
    _figures(kept)
    _by_group(kept)
    _batteries(_of(fetching.table(chosen, sql.batteries(day)), sites, models))
    _devices(fetching.table(chosen, sql.devices(day, tuple(sites), tuple(models))), int(kept["devices"].sum()))


def _figures(groups: pd.DataFrame) -> None:
    total, expected = groups["received"].sum(), groups["expected"].sum()
    figures(
        Figure("Devices", f"{groups['devices'].sum():,.0f}"),
        Figure(
            "Complete",
            f"{min(100.0, 100 * total / expected):.2f} %" if expected else "unknown",
            "Readings received of those that should be there between each device's first and last.",
        ),
        Figure("Devices under 95 %", f"{groups['incomplete'].sum():,.0f}", "Of the expected readings."),
        Figure("Batteries at 2.4 V or less", f"{groups['low'].sum():,.0f}"),
    )


def _by_group(groups: pd.DataFrame) -> None:
    left, right = st.columns(2)
    with left:
        st.subheader("Readings missing")
        missing = groups.assign(
            missing=(100 * (1 - groups["received"] / groups["expected"])).clip(lower=0),
            group=groups["site"] + ", " + groups["model"],
        )
        charts.draw(
            charts.bars(
                missing.nlargest(12, "missing")[["group", "missing", "devices", "gaps", "lost"]],
                "missing|missing, % of expected",
                "group|",
            ),
            "Bars: percent of expected readings that are missing, by site and model",
        )
    with right:
        st.subheader("Devices")
        charts.draw(
            charts.bars(groups[["site", "model", "devices"]], "devices|devices", "site|", colour="model"),
            "Bars: devices by site and model",
        )


def _of(frame: pd.DataFrame, sites: list[str], models: list[str]) -> pd.DataFrame:
    """Return the rows of these sites and models; none given means all."""
    kept = frame[frame["site"].isin(sites)] if sites else frame
    return kept[kept["model"].isin(models)] if models else kept


def _batteries(batteries: pd.DataFrame) -> None:
    st.subheader("Batteries")
    if batteries.empty:
        st.caption("No device reported its battery.")
        return
    charts.draw(
        charts.histogram(batteries, "volts|last battery voltage of the day, V", "devices|devices", 0.1, colour="model"),
        "Histogram: devices by the last voltage of their batteries",
    )


def _devices(devices: pd.DataFrame, total: int) -> None:
    st.subheader("Devices, the least complete first")
    if total > len(devices):
        st.caption(f"{len(devices):,} of {total:,}: choose a site or model to see others.")
    identity = hash(tuple(devices["device_id"]))
    picked = st.dataframe(
        devices.assign(last_seen=wall(devices["last_seen"])),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"devices {identity}",  # a row means a device of this list, not of the next one
        height=420,
        alt="Devices with completeness, gaps and battery",
        column_config={
            "device_id": st.column_config.TextColumn("device", pinned=True),
            "last_seen": times("last seen"),
            "completeness": st.column_config.ProgressColumn("complete", format="percent", min_value=0, max_value=1),
            "received": st.column_config.NumberColumn("readings", format="localized"),
            "lateness_p95": st.column_config.NumberColumn("late (p95) s", format="%.0f"),
            "battery_last": st.column_config.NumberColumn("battery V", format="%.2f"),
            "battery_trend": st.column_config.NumberColumn("trend V a day", format="%.3f"),
        },
    )
    rows = picked["selection"]["rows"]
    if rows:
        name = devices.iloc[rows[0]]["device_id"]
        to_device = st.Page(device.device, title="Device", url_path="device")
        label = f"Readings of {plain(name)}"
        st.page_link(to_device, label=label, icon=":material/device_thermostat:", query_params={"device": name})
