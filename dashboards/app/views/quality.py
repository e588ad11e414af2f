"""Quality: lines that are not valid readings, copies, losses and lateness."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from dashboards.app import charts, fetching, sql
from dashboards.app.page import CURATE, Figure, figures, nothing_yet, shown, stop, times, today, wall
from dashboards.app.pipeline_in_use import Source

_DAYS = {"2 days": 1, "7 days": 7, "30 days": 30}


@shown("Quality", "Quarantine, copies, losses and lateness, from the tables. Days are in UTC.")
def quality(chosen: Source) -> None:
    """Draw the page."""
    span = st.segmented_control("The last", list(_DAYS), default="7 days", key="quality_days") or "7 days"
    since = today() - dt.timedelta(days=_DAYS[span])
    sites = fetching.table(chosen, sql.quality(since))
    reasons = fetching.table(chosen, sql.quarantined(since))
    if sites.empty and reasons.empty:
        stop(
            "Nothing is in the tables of this time.",
            CURATE,
        )
    _figures(sites, reasons)
    _quarantine(chosen, reasons, since)
    if not sites.empty:
        _by_site(sites)


def _figures(sites: pd.DataFrame, reasons: pd.DataFrame) -> None:
    received, copies = sites["received"].sum(), sites["duplicates"].sum()
    figures(
        Figure("Readings", f"{received:,.0f}"),
        Figure("In quarantine", f"{reasons['lines'].sum():,.0f}", "Lines, with the reason."),
        Figure(
            "Copies removed",
            f"{copies:,.0f}",
            note=f"{100 * copies / received:.2f} % of readings" if received else "",
        ),
        Figure("Lost, by seq", f"{sites['lost'].sum():,.0f}", "Sequence numbers that are missing."),
    )


def _quarantine(chosen: Source, reasons: pd.DataFrame, since: dt.date) -> None:
    st.subheader("Quarantine")
    if reasons.empty:
        st.success("No line is in quarantine.", icon=":material/check_circle:")
        return
    by_reason = reasons.groupby("reason", as_index=False)[["lines"]].sum().sort_values("lines", ascending=False)
    left, right = st.columns([2, 3])
    with left:
        charts.draw(charts.bars(by_reason, "lines|lines", "reason|"), "Lines in quarantine by reason")
    with right:
        reason = st.selectbox("Newest lines of", by_reason["reason"].tolist(), key="reason")
        lines = fetching.table(chosen, sql.quarantined_lines(since, reason))
        st.dataframe(
            lines.assign(arrived=wall(lines["arrived"])),
            hide_index=True,
            height=260,
            alt="Newest lines in quarantine for the reason",
            column_config={
                "arrived": times("arrived"),
                "raw_object": st.column_config.TextColumn("raw object"),
                "raw_line": st.column_config.NumberColumn("line number", format="%d"),
            },
        )
        st.caption("**iot quarantine list** has them all; repaired, **iot quarantine replay** sends them again.")


def _by_site(sites: pd.DataFrame) -> None:
    late, copies = st.columns(2)
    with late:
        st.subheader("Lateness")
        worst = sites.groupby("site", as_index=False).agg(p50=("lateness_p50", "mean"), p95=("lateness_p95", "max"))
        long = worst.rename(columns={"p50": "median, mean of devices", "p95": "95th percentile, worst device"}).melt(
            "site", var_name="what", value_name="seconds"
        )
        charts.draw(
            charts.points(long, "seconds|from a reading to its raw object, s", "site"), "Lateness by site, seconds"
        )
        st.caption("Firehose's buffering is in it: a minute or five.")
    with copies:
        st.subheader("Copies and losses")
        shares = sites.groupby("site", as_index=False)[["received", "duplicates", "lost"]].sum()
        long = shares.assign(
            copies=100 * shares["duplicates"] / shares["received"],
            lost=100 * shares["lost"] / (shares["received"] + shares["lost"]),
        )[["site", "copies", "lost"]].melt("site", var_name="what", value_name="percent")
        if long["percent"].sum() == 0:
            nothing_yet("No reading came twice, and none is missing.", "")
        else:
            charts.draw(charts.points(long, "percent|% of readings", "site"), "Copies and losses by site, percent")
