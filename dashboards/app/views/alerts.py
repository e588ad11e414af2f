"""Alerts: active ones, their history, and orders to acknowledge, snooze or close them."""

from __future__ import annotations

import datetime as dt
import getpass
from typing import Literal

import pandas as pd
import streamlit as st
from botocore.exceptions import BotoCoreError, ClientError

from dashboards.app import charts, fetching, sql
from dashboards.app.page import clock, guarded, nothing_yet, plain, shown
from dashboards.app.pipeline_in_use import Source, deployed, session
from pipeline import holds
from pipeline.alerts import Place, Standing
from pipeline.errors import PipelineError
from telemetry.rules.rule_set import SEVERITIES
from telemetry.text.durations import parse_duration

_REFRESH = "10s"
_SNOOZES = ["30m", "1h", "2h", "8h", "1d", "7d"]
_DAYS = {"24 hours": 1, "7 days": 7, "30 days": 30}

Order = Literal["acknowledge", "snooze", "end snooze", "close"]


@shown("Alerts", "Active alerts, from the state table, and their history, from the table of alerts.")
def alerts(chosen: Source) -> None:
    """Draw the page."""
    part = st.segmented_control("Show", ["Active", "History"], default="Active", key="part") or "Active"
    if part == "Active":
        _moving(chosen)
    else:
        guarded(lambda: _history(chosen))


@st.fragment(run_every=_REFRESH)
def _moving(chosen: Source) -> None:
    for text, went_well in st.session_state.pop("done", []):
        if went_well:
            st.toast(text, icon=":material/check:")
        else:
            st.error(text, icon=":material/error:")
    guarded(lambda: _active(chosen))


def _active(chosen: Source) -> None:
    found = fetching.standings(chosen)
    left, middle, right = st.columns(3)
    severities = left.multiselect("Severity", SEVERITIES[::-1], placeholder="all severities", key="severities")
    there = sorted({one.site for one in found if one.site} | set(st.session_state.get("alert_sites", ())))
    sites = middle.multiselect("Site", there, placeholder="all sites", key="alert_sites")
    there = sorted({one.rule for one in found} | set(st.session_state.get("rules", ())))
    names = right.multiselect("Rule", there, placeholder="all rules", key="rules")
    kept = [
        one
        for one in found
        if (not severities or one.severity in severities)
        and (not sites or one.site in sites)
        and (not names or one.rule in names)
    ]
    if not kept:
        nothing = "No alert is active." if not found else "No active alerts match these filters."
        st.success(nothing, icon=":material/check_circle:")
        return
    st.caption(
        f"{len(kept)} of {len(found)}. Select alerts with the boxes on their left, then acknowledge, snooze or close "
        "them."
    )
    _order(chosen, _picked(kept))


def _picked(kept: list[Standing]) -> list[Standing]:
    """Return the selected alerts, by their keys: the row of an alert changes when others come and go."""
    places = [one.place for one in kept]
    before = st.session_state.get("picked", frozenset())
    picked = st.dataframe(
        _rows(kept),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [row for row, place in enumerate(places) if place in before]}},
        key=f"active {hash(tuple(places))}",
        alt="Active alerts",
    )
    rows = picked["selection"]["rows"]
    st.session_state["picked"] = frozenset(places[row] for row in rows)
    return [kept[row] for row in rows]


def _rows(found: list[Standing]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "severity": [one.severity for one in found],
            "status": [_status(one) for one in found],
            "rule": [one.rule for one in found],
            "where": [one.where for one in found],
            "site": [one.site for one in found],
            "since": [clock(one.fired_at or one.active_at) for one in found],
            "summary": [one.summary for one in found],
            "held": [_held(one) for one in found],
        }
    )


def _status(one: Standing) -> str:
    return f"{one.status}, flapping" if one.flapping else one.status


def _held(one: Standing) -> str:
    if one.hold is None:
        return ""
    until = f" until {clock(one.hold.until, '%m-%d %H:%M')}" if one.hold.until else ""
    return f"{one.hold.kind}{until} by {one.hold.who}: {one.hold.why}"


def _order(chosen: Source, picked: list[Standing]) -> None:
    """Draw the form of orders on the chosen alerts, the same as those of the command line.

    A button applies to the alerts that the form named when it was drawn, whatever has come or gone since.
    """
    with st.form("order", border=True, enter_to_submit=False):
        st.markdown(f"**{plain(_named(picked))}**" if picked else "No alert is selected.")
        left, middle, right = st.columns([2, 3, 1])
        left.text_input("Who", value=_me(chosen), key="who")
        middle.text_input("Why", placeholder="for those who wonder later", key="why")
        right.selectbox("Snooze for", _SNOOZES, index=2, key="lasts")
        labels: list[tuple[Order, str, str]] = [
            (
                "acknowledge",
                ":material/check:",
                "Mark as being worked on: no repetition and no escalation until it ends.",
            ),
            ("snooze", ":material/snooze:", "Suppress notifications for that long."),
            ("end snooze", ":material/alarm_on:", "Resume notifications."),
            ("close", ":material/cancel:", "End it, whatever the readings say. A newer reading can begin it again."),
        ]
        for column, (order, icon, words) in zip(st.columns(len(labels)), labels, strict=True):
            column.form_submit_button(
                order.capitalize(),
                type="primary" if order == "acknowledge" else "secondary",
                disabled=not picked,
                icon=icon,
                width="stretch",
                help=words,
                on_click=_give,
                args=(chosen, [(one.place, _named([one])) for one in picked], order),
            )


def _named(picked: list[Standing]) -> str:
    first = f"{picked[0].rule} at {picked[0].where}"
    return first if len(picked) == 1 else f"{first} and {len(picked) - 1} more"


def _me(chosen: Source) -> str:
    if chosen.aws:
        return fetching.caller()
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _give(chosen: Source, places: list[tuple[Place, str]], order: Order) -> None:
    """Give an order on each of the places; one that fails does not stop the others."""
    who, why = st.session_state["who"].strip(), st.session_state["why"].strip()
    if not who or (not why and order != "end snooze"):
        st.session_state["done"] = [("Say who you are and why: others will read it.", False)]
        return
    done: list[str] = []
    failed: list[str] = []
    try:
        orders = holds.open_orders(session(), deployed(chosen), fetching.rules(chosen), who=who)
        for place, name in places:
            try:
                _one(orders, place, order, why)
                done.append(name)
            except PipelineError as error:
                failed.append(f"{name}: {error}")
    except (PipelineError, ClientError, BotoCoreError) as error:
        failed.append(str(error))
    fetching.forget_standings()
    verb = {
        "acknowledge": "Acknowledged",
        "snooze": "Snoozed",
        "end snooze": "No longer snoozed",
        "close": "Closed",
    }[order]
    said = [(f"{verb}: {plain(done[0] if len(done) == 1 else f'{len(done)} alerts')}", True)] if done else []
    st.session_state["done"] = [*said, *((plain(text), False) for text in failed)]
    if not failed:
        st.session_state["why"] = ""


def _one(orders: holds.Orders, place: Place, order: Order, why: str) -> None:
    if order == "end snooze":
        orders.release(place, "snoozed", why)
    elif order == "snooze":
        orders.hold(place, "snoozed", why, parse_duration(st.session_state["lasts"]))
    elif order == "close":
        orders.close(place, why)
    else:
        orders.hold(place, "acknowledged", why, None)


def _history(chosen: Source) -> None:
    span = st.segmented_control("The last", list(_DAYS), default="24 hours", key="days") or "24 hours"
    # By the hour, so that viewers share cached queries.
    since = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0) - dt.timedelta(days=_DAYS[span])
    fired = fetching.table(chosen, sql.fired_by_hour(since))
    if fired.empty:
        nothing_yet("No alert fired in this time.", "An alert is in its table a minute or two after it fires.")
    else:
        by_hour = fired.assign(at=pd.to_datetime(fired["hour"] + ":00:00Z", utc=True))
        charts.draw(charts.bars_by_severity(by_hour, hours=24 * _DAYS[span]), "Alerts fired by the hour and severity")
        places = fetching.table(chosen, sql.fired_by_place(since))
        for column, by in zip(st.columns(2), ("site", "rule"), strict=True):
            with column:
                counted = places.groupby([by, "severity"], as_index=False)[["alerts"]].sum()
                charts.draw(charts.bars_of_severity(counted, by), f"Alerts fired by {by} and severity")
    _changes(fetching.table(chosen, sql.changes(since)))


def _changes(changes: pd.DataFrame) -> None:
    st.subheader("Changes, newest first")
    if changes.empty:
        st.caption("Nothing.")
        return
    if len(changes) == sql.MOST_CHANGES:
        st.caption(f"The newest {sql.MOST_CHANGES:,} changes; 'iot query' has all.")
    when = pd.to_datetime(changes["recorded_at"], utc=True, format="ISO8601")
    st.dataframe(
        changes.assign(when=[clock(moment) for moment in when])[
            ["when", "change", "severity", "rule", "device", "site", "summary", "who", "why"]
        ],
        hide_index=True,
        height="auto" if len(changes) < 12 else 420,
        alt="Changes of alerts, newest first",
    )
