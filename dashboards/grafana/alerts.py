"""The dashboard of alerts: active ones, when and where they fired, and how long they lasted."""

from __future__ import annotations

from typing import get_args

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana.frame import Panels, Rows, frame
from dashboards.grafana.panels import WIDTH, graph, listing, tally
from dashboards.grafana.queries import ours
from telemetry.rules.rule_set import Severity


def alerts(runbooks: str) -> Dashboard:
    """Return the dashboard. It does not refresh automatically: Athena charges for each query."""
    rows: Rows = (
        ("Active alerts, from the table of alerts", _now()),
        ("Over time", _over_time()),
        ("Durations and noisiest rules", _durations()),
    )
    return frame(
        "alerts",
        "Alerts of devices: active ones, by severity and site, over time, and their durations",
        rows,
        since="now-7d",
        refresh="",
        runbooks=runbooks,
        of_sites=True,
    )


def _now() -> Panels:
    known = "By the last change of each alert that reached the table within 30 days; Firehose takes minutes to deliver"
    return (
        tally("Active now", f"Alerts that fire, by severity. {known}", "alerts/active-by-severity", span=WIDTH),
        listing(
            "Active alerts",
            f"The newest first, with how long they have lasted. {known}",
            "alerts/active",
            span=WIDTH,
            units={"lasting": "s"},
            links={"runbook": "${__value.raw}"},
        ),
    )


def _over_time() -> Panels:
    return (
        graph(
            "Fired, by severity",
            "Alerts that fired, by the hour of the event; from the table of alerts",
            "alerts/fired-by-severity",
            bars=True,
            span=12,
            runbooks=["alert-storm"],
        ),
        graph(
            "Fired, by site",
            "The same by site",
            "alerts/fired-by-site",
            bars=True,
            span=12,
            runbooks=["alert-storm"],
        ),
        graph(
            "Notified, by severity",
            "Alerts that the notifier took up when they fired, by five minutes: within seconds, and of all sites",
            [ours("AlertsFiring", severity, severity=severity) for severity in get_args(Severity)],
            bars=True,
            runbooks=["alert-storm"],
        ),
        graph(
            "Notified, by site",
            "The same by site; of all sites",
            [ours("AlertsFiring", "${PROP('Dim.site')}", site="*")],
            bars=True,
        ),
        graph(
            "Resolved, by severity",
            "Alerts that the notifier took up when they resolved, by five minutes; of all sites",
            [ours("AlertsResolved", severity, severity=severity) for severity in get_args(Severity)],
            bars=True,
        ),
        graph(
            "Notifications",
            "Messages published, each of a group of alerts, by five minutes",
            [ours("NotificationsPublished", "published")],
            runbooks=["notifications-failing", "notifications-failed", "notifications-late"],
        ),
    )


def _durations() -> Panels:
    return (
        graph(
            "From firing to resolved",
            "Of the alerts that resolved on the day (UTC), by the event time",
            "alerts/duration-by-day",
            unit="s",
            span=8,
        ),
        listing(
            "By rule",
            "From firing to resolved, of the alerts that resolved in the time that is shown",
            "alerts/duration-by-rule",
            span=8,
            units={"median": "s", "p95": "s", "longest": "s"},
        ),
        listing(
            "Noisiest rules and devices",
            "Rules and devices whose alerts fired most in the time shown",
            "alerts/noisiest",
            span=8,
        ),
    )
