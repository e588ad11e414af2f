"""Catalogue of the metrics that the functions and the curation job emit: one entry per metric.

The alarms, the CloudWatch dashboard, the Grafana dashboards and the Streamlit app take each metric's service, statistic
and unit from here, by its name. To add a metric, emit it and add its entry. With ``graph``, both dashboards draw a
graph of it; without, a graph must be composed by hand. Tests hold the entries against what the programs emit.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pipeline import names

Service = Literal[names.Service, "curate"]
Unit = Literal["Count", "Milliseconds", "Seconds", "Percent"]

#: Percentiles and extremes of a duration that dashboards draw together.
DURATION_STATISTICS = ("p50", "p95", "Maximum")

#: Late for any deployment: twice the longest buffering that one can choose, 900 s.
LATE_DELIVERY_SECONDS = 1_800


class Metric(NamedTuple):
    """A metric with the dimensions ``service`` and ``stage``, and in addition per value of each of ``parts``.

    Where several services emit it, the first is the one that alarms look at. ``statistic`` sums a period up.
    """

    name: str
    services: tuple[Service, ...]
    unit: Unit
    statistic: str
    meaning: str
    parts: tuple[str, ...] = ()
    graph: str = ""

    @property
    def period_seconds(self) -> int:
        """The length of a period: the job runs by the hour, the functions all the time."""
        return 3600 if self.services == ("curate",) else 300

    def dimensions(self, stage: str, service: Service | None = None, **part: str) -> dict[str, str]:
        """Return the dimensions that identify the metric; by default those of its first service."""
        return {"service": service or self.services[0], "stage": stage, **part}


_ENTRIES = (
    Metric(
        "Records",
        ("detector",),
        "Count",
        "Sum",
        "Batches of gateways that the detector read from the stream",
        graph="Records read by the detector",
    ),
    Metric("Readings", ("detector",), "Count", "Sum", "Readings evaluated against the rules"),
    Metric("RejectedReadings", ("detector",), "Count", "Sum", "Lines that are not valid readings", parts=("reason",)),
    Metric("DetectionDelay", ("detector",), "Milliseconds", "p95", "From a batch's newest reading to its evaluation"),
    Metric(
        "Transitions",
        ("detector", "watchdog"),
        "Count",
        "Sum",
        "Changes of alerts, by the service that found them: from readings or by the clock",
        graph="Changes of alerts",
    ),
    Metric(
        "WindowsDropped",
        ("detector",),
        "Count",
        "Sum",
        "Times that windows of a home's devices did not fit into their item and were not written",
        graph="Windows not written",
    ),
    # The watchdog reads the rules each minute, whether there are readings or not.
    Metric("RulesRejected", ("watchdog", "detector", "notifier"), "Count", "Maximum", "1 while the rules are invalid"),
    Metric("GatewaysDue", ("watchdog",), "Count", "Maximum", "Gateways with an alert state that was due by the clock"),
    Metric("GatewaysFailed", ("watchdog",), "Count", "Maximum", "Gateways that a run of the watchdog failed on"),
    Metric(
        "GroupsDue",
        ("watchdog",),
        "Count",
        "Maximum",
        "Notification groups that were due, per run of the watchdog",
        graph="Notification groups due",
    ),
    Metric(
        "MessagesFailed",
        ("notifier",),
        "Count",
        "Sum",
        "Messages that the notifier failed on; SQS delivers them again",
        graph="Messages failed in the notifier",
    ),
    Metric("NotificationsPublished", ("notifier",), "Count", "Sum", "Notifications published to SNS"),
    Metric(
        "NotificationDelay",
        ("notifier",),
        "Milliseconds",
        "p95",
        "From a change of an alert to its notification, group_wait included",
    ),
    Metric("AlertsFiring", ("notifier",), "Count", "Sum", "Alerts that began to fire", parts=("severity", "site")),
    Metric("AlertsResolved", ("notifier",), "Count", "Sum", "Alerts that resolved", parts=("severity",)),
    Metric("CuratedReadings", ("curate",), "Count", "Sum", "Readings in the partitions that a run wrote"),
    Metric("DuplicateReadings", ("curate",), "Count", "Sum", "Copies of readings that a run removed"),
    Metric("QuarantinedLines", ("curate",), "Count", "Sum", "Lines that a run put into quarantine"),
    Metric("CurateRuns", ("curate",), "Count", "Sum", "Runs that succeeded"),
    # A run over late readings, or over an old window, finds old ones; one run that finds new ones is enough.
    Metric("NewestReadingAge", ("curate",), "Seconds", "Minimum", "Age of the newest curated reading when a run ended"),
    Metric("Completeness", ("curate",), "Percent", "Minimum", "Readings received, of those expected on days written"),
)

METRICS = {metric.name: metric for metric in _ENTRIES}

#: Metrics with a graph of their own.
GRAPHED = tuple(metric for metric in _ENTRIES if metric.graph)
