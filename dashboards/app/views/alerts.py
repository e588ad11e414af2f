"""Alerts: what is active, what happened, and what is being done about it."""

from __future__ import annotations

import datetime as dt
import getpass

import pandas as pd
import streamlit as st

from dashboards.app import charts, fetching, sql
from dashboards.app.page import clock, guarded, nothing_yet, shown, today
from dashboards.app.pipeline_in_use import Source, deployed, session
from pipeline import holds
from pipeline.alerts import Place, Standing
from telemetry.durations import parse_duration
from telemetry.rules import SEVERITIES

_SNOOZES = ["30m", "1h", "2h", "8h", "1d", "7d"]
_DAYS = {"24 hours": 1, "7 days": 7, "30 days": 30}


@shown("Alerts", "What is active now, by the state table; and what happened, by the table of alerts.")
def alerts(chosen: Source) -> None:
    """Draw the page."""
    if done := st.session_state.pop("done", ""):
        st.toast(done, icon=":material/check:")
    active, history = st.tabs(["Active", "History"])
    with active:
        guarded(lambda: _active(chosen))
    with history:
        guarded(lambda: _history(chosen))


def _active(chosen: Source) -> None:
    found = fetching.standings(chosen)
    left, middle, right = st.columns(3)
    severities = left.multiselect("Severity", SEVERITIES[::-1], placeholder="all severities", key="severities")
    sites = middle.multiselect(
        "Site", sorted({one.site for one in found if one.site}), placeholder="all sites", key="alert_sites"
    )
    names = right.multiselect("Rule", sorted({one.rule for one in found}), placeholder="all rules", key="rules")
    kept = [
        one
        for one in found
        if (not severities or one.severity in severities)
        and (not sites or one.site in sites)
        and (not names or one.rule in names)
    ]
    if not kept:
        st.success(
            "No alert is active." if not found else "No active alert is like that.", icon=":material/check_circle:"
        )
        return
    st.caption(
        f"{len(kept)} of {len(found)}. Choose some with the boxes on their left, and say what is done about them."
    )
    picked = st.dataframe(
        _rows(kept),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key="active_alerts",
        alt="Active alerts",
        column_config={"value": st.column_config.NumberColumn("value", format="%.2f")},
    )
    chosen_rows = [kept[row] for row in picked["selection"]["rows"] if row < len(kept)]
    _order(chosen, chosen_rows)


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
    """What is being done about the chosen alerts: one form, as the command line has it."""
    with st.form("order", border=True):
        st.markdown(f"**{_named(picked)}**" if picked else "No alert is chosen.")
        left, middle, right = st.columns([2, 3, 1])
        who = left.text_input("Who", value=_me(chosen), key="who")
        why = middle.text_input("Why", placeholder="for those who wonder later", key="why")
        lasts = right.selectbox("Snooze for", _SNOOZES, index=2, key="lasts")
        buttons = st.columns(3)
        acknowledge = buttons[0].form_submit_button(
            "Acknowledge",
            type="primary",
            disabled=not picked,
            icon=":material/check:",
            width="stretch",
            help="Somebody is on it: no repetitions and no escalation until it ends.",
        )
        snooze = buttons[1].form_submit_button(
            "Snooze", disabled=not picked, icon=":material/snooze:", width="stretch", help="Tell nobody for that long."
        )
        end = buttons[2].form_submit_button(
            "End snooze", disabled=not picked, icon=":material/alarm_on:", width="stretch", help="Tell of it again."
        )
    if acknowledge or snooze or end:
        if not who.strip() or (not why.strip() and not end):
            st.warning("Say who you are and why: others will read it.", icon=":material/edit:")
            return
        orders = holds.open_orders(session(), deployed(chosen), fetching.rules(chosen), who=who.strip())
        try:
            for one in picked:
                place = Place(one.gateway, one.device, one.rule, one.alert_id)
                if end:
                    orders.release(place, "snoozed", why.strip())
                elif snooze:
                    orders.hold(place, "snoozed", why.strip(), parse_duration(lasts))
                else:
                    orders.hold(place, "acknowledged", why.strip(), None)
        finally:
            fetching.forget_standings()
        done = "No longer snoozed" if end else "Snoozed" if snooze else "Acknowledged"
        st.session_state["done"] = f"{done}: {_named(picked)}"
        st.rerun()


def _named(picked: list[Standing]) -> str:
    first = f"{picked[0].rule} at {picked[0].where}"
    return first if len(picked) == 1 else f"{first} and {len(picked) - 1} more"


def _me(chosen: Source) -> str:
    if chosen.aws:
        return holds.caller(session())
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _history(chosen: Source) -> None:
    span = st.segmented_control("The last", list(_DAYS), default="24 hours", key="days") or "24 hours"
    since = today() - dt.timedelta(days=_DAYS[span])
    fired = fetching.table(chosen, sql.fired(since))
    if fired.empty:
        nothing_yet("No alert fired in this time.", "One that fires is in its table a minute or two later.")
        return
    by_hour = fired.assign(at=pd.to_datetime(fired["hour"] + ":00:00Z", utc=True))
    st.altair_chart(
        charts.bars_by_severity(by_hour, hours=24 * _DAYS[span]), alt="Alerts fired by the hour and severity"
    )
    left, right = st.columns(2)
    for column, by in ((left, "site"), (right, "rule")):
        with column:
            counted = fired.groupby([by, "severity"], as_index=False)[["alerts"]].sum()
            st.altair_chart(charts.bars_of_severity(counted, by), alt=f"Alerts fired by {by} and severity")
    changes = fetching.table(chosen, sql.changes(since))
    st.subheader("What happened, newest first")
    if len(changes) == sql.MOST_CHANGES:
        st.caption(f"The newest {sql.MOST_CHANGES:,} changes; 'iot query' has all.")
    when = pd.to_datetime(changes["recorded_at"], utc=True, format="ISO8601")
    st.dataframe(
        changes.assign(when=[clock(moment) for moment in when])[
            ["when", "change", "severity", "rule", "device", "site", "summary", "who", "why"]
        ],
        hide_index=True,
        height=420,
        alt="Changes of alerts, newest first",
    )
