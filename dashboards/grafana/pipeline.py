"""The dashboard of the pipeline itself: what comes in, how long it takes, what goes wrong, how fresh, what it costs."""

from __future__ import annotations

from typing import get_args

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.catalogue import DURATION_STATISTICS, GRAPHED, LATE_DELIVERY_SECONDS, Unit
from dashboards.grafana.costs import costs
from dashboards.grafana.frame import Panels, Rows, frame
from dashboards.grafana.panels import Limits, graph, listing, number
from dashboards.grafana.queries import (
    FUNCTIONS,
    HOUR,
    MINUTE,
    NAMES,
    Formula,
    Metric,
    of_delivery,
    of_function,
    of_queue,
    of_stream,
    ours,
)
from telemetry.reading.codec import Reason
from telemetry.rules.rule_set import Severity

_LABELS = dict(zip(DURATION_STATISTICS, ("median", "p95", "longest"), strict=True))

#: Grafana's names of CloudWatch's units.
_UNITS: dict[Unit, str] = {"Count": "short", "Milliseconds": "ms", "Seconds": "s", "Percent": "percent"}


def pipeline(runbooks: str) -> Dashboard:
    """Asks CloudWatch every five minutes, and Athena once."""
    rows: Rows = (
        ("Ingest: from the gateways to the stream and the raw zone", _ingest()),
        ("Delays: how long everything takes", _delays()),
        ("Errors: what went wrong, and what was given up", _errors()),
        ("Freshness: how old the newest is", _freshness()),
        ("Quality: lines that are no readings", _quality()),
        ("Other metrics of the functions", _others()),
        ("Cost drivers: what the bill is made of", costs()),
    )
    return frame(
        "pipeline",
        "Whether every reading comes in, is looked at, told of and kept, how fast, and what it takes",
        rows,
        since="now-6h",
        refresh="5m",
        runbooks=runbooks,
        of_sites=False,
    )


def _ingest() -> Panels:
    return (
        graph(
            "Records", "Batches that gateways put into the stream, by the minute", [of_stream("IncomingRecords", "in")]
        ),
        graph("Bytes", "What they add up to, by the minute", [of_stream("IncomingBytes", "in")], unit="decbytes"),
        graph(
            "Readings",
            "What the detector looked at, by five minutes: readings, and lines that are none",
            [ours("Readings", "readings"), ours("RejectedReadings", "refused")],
            runbooks=["rejected-readings"],
        ),
        graph(
            "Throttled",
            "Requests that the stream refused, by the minute: more comes in than the shards take",
            [
                of_stream("WriteProvisionedThroughputExceeded", "writes"),
                of_stream("ReadProvisionedThroughputExceeded", "reads"),
            ],
            runbooks=["stream-throttled"],
        ),
    )


def _delays() -> Panels:
    return (
        graph(
            "From a reading to its evaluation",
            "From the newest event time of a batch to the detector's look at it",
            [ours("DetectionDelay", label, statistic=s) for s, label in _LABELS.items()],
            unit="ms",
            runbooks=["detector-behind", "detector-slow"],
        ),
        graph(
            "Behind the stream",
            "How old the last record is that the detector took",
            [of_function("detector", "IteratorAge", "age", statistic="Maximum", period=MINUTE)],
            unit="ms",
            runbooks=["detector-behind"],
        ),
        graph(
            "From a change to its notification",
            "From an alert's change to the publishing, waiting for its group included",
            [ours("NotificationDelay", label, statistic=s) for s, label in _LABELS.items()],
            unit="ms",
            runbooks=["notifications-late"],
        ),
        graph(
            "A batch of the detector's",
            "How long an invocation takes",
            [of_function("detector", "Duration", label, statistic=s) for s, label in _LABELS.items()],
            unit="ms",
            runbooks=["detector-slow"],
        ),
    )


def _errors() -> Panels:
    return (
        graph(
            "Invocations that failed",
            "By five minutes; each is tried again",
            [of_function(name, "Errors", name) for name in FUNCTIONS],
            runbooks=["pipeline-unhealthy", "detector-errors", "notifier-errors", "watchdog-failing"],
        ),
        graph(
            "Invocations that were throttled",
            "By five minutes; of the watchdog there should be a run each minute",
            [
                *(of_function(name, "Throttles", name) for name in FUNCTIONS),
                of_function("watchdog", "Invocations", "runs of the watchdog"),
            ],
            runbooks=["detector-throttled", "watchdog-stopped"],
        ),
        graph(
            "Given up",
            "Messages in the failure queues, to be looked at by a person: batches, and changes of alerts",
            [
                of_queue(NAMES.failure_queue, "ApproximateNumberOfMessagesVisible", "batches"),
                of_queue(NAMES.transitions_failure_queue, "ApproximateNumberOfMessagesVisible", "changes"),
            ],
            runbooks=["detector-gave-up", "alerts-undelivered"],
        ),
        graph(
            "Notifications sent",
            "By five minutes: published, and of these the deliveries of SNS to subscribers that failed",
            [
                ours("NotificationsPublished", "published"),
                Metric(
                    "failed deliveries", "AWS/SNS", "NumberOfNotificationsFailed", {"TopicName": NAMES.alerts_topic}
                ),
            ],
            runbooks=["notifications-failing", "notifications-failed"],
        ),
        graph(
            "Gateways due",
            "At a run of the watchdog: states that are due by the clock, and those that it failed on",
            [
                ours("GatewaysDue", "due"),
                ours("GatewaysFailed", "failed"),
            ],
            runbooks=["watchdog-failing"],
        ),
        graph(
            "Rules refused",
            "1 while the rules in the config bucket are broken, and the last good ones are used",
            [ours("RulesRejected", "refused")],
            runbooks=["rules-rejected"],
        ),
        graph(
            "Runs of the curation",
            "By the hour: those that succeeded, and those that failed or timed out",
            [
                ours("CurateRuns", "succeeded"),
                Metric(
                    "failed",
                    "AWS/Events",
                    "Invocations",
                    {"RuleName": NAMES.curate_failures_rule},
                    period=HOUR,
                ),
            ],
            bars=True,
            runbooks=["curate-failed"],
        ),
        graph(
            "Alerts fired",
            "By severity and five minutes, to compare with the rest; more is on the dashboard of alerts",
            [ours("AlertsFiring", severity, severity=severity) for severity in get_args(Severity)],
            bars=True,
            runbooks=["alert-storm"],
        ),
    )


def _undelivered(delivery: str, label: str) -> Metric:
    """Return the age of the oldest record that a delivery stream has not delivered yet."""
    return of_delivery(delivery, "DeliveryToS3.DataFreshness", label, statistic="Maximum")


def _freshness() -> Panels:
    return (
        number(
            "Newest curated reading",
            "How old it was when the last run of the curation ended",
            ours("NewestReadingAge", "age"),
            unit="s",
            span=6,
            runbooks=["curated-data-stale"],
        ),
        number(
            "Raw zone",
            "How old the oldest record is that Firehose has not delivered yet",
            _undelivered(NAMES.delivery_stream, "age"),
            unit="s",
            span=6,
            limits=Limits(warning=LATE_DELIVERY_SECONDS / 2, critical=LATE_DELIVERY_SECONDS),
            runbooks=["raw-delivery-late"],
        ),
        number(
            "Table of alerts",
            "How old the oldest change is that Firehose has not delivered yet",
            _undelivered(NAMES.alerts_delivery_stream, "age"),
            unit="s",
            span=6,
            limits=Limits(warning=LATE_DELIVERY_SECONDS / 2, critical=LATE_DELIVERY_SECONDS),
            runbooks=["alerts-delivery-late"],
        ),
        number(
            "Queue of changes",
            "How old the oldest change of an alert is that waits for the notifier",
            of_queue(NAMES.transitions_queue, "ApproximateAgeOfOldestMessage", "age", period=MINUTE),
            unit="s",
            span=6,
            runbooks=["notifications-late"],
        ),
        graph(
            "Delivery by Firehose",
            "How old the oldest record is that is not delivered yet",
            [
                _undelivered(NAMES.delivery_stream, "raw zone"),
                of_delivery(
                    NAMES.alerts_delivery_stream, "DeliveryToS3.DataFreshness", "table of alerts", statistic="Maximum"
                ),
            ],
            unit="s",
            span=12,
            runbooks=["raw-delivery-late", "alerts-delivery-late"],
        ),
        listing(
            "Newest curated reading, by site",
            "Of the sites that sent in the last 7 days, the stalest first; from the lake",
            "pipeline/freshness",
            units={"age": "s"},
            runbooks=["curated-data-stale"],
        ),
    )


def _quality() -> Panels:
    reasons = [ours("RejectedReadings", reason, reason=reason) for reason in get_args(Reason)]
    return (
        graph(
            "Share of all lines",
            "Lines that are no readings, of all that the detector saw",
            [
                ours("RejectedReadings", "rejected", hidden=True),
                ours("Readings", "readings", hidden=True),
                Formula("no readings", "100 * rejected / (readings + rejected)"),
            ],
            unit="percent",
            runbooks=["rejected-readings"],
        ),
        graph("By reason", "Lines by five minutes", reasons, bars=True, runbooks=["rejected-readings"]),
        graph(
            "Found by the curation",
            "By the hour: readings curated, lines put into quarantine, copies removed",
            [
                ours("CuratedReadings", "readings"),
                ours("QuarantinedLines", "quarantined"),
                ours("DuplicateReadings", "copies"),
            ],
        ),
        graph(
            "Readings that came",
            "Of those expected, in the days that a run of the curation wrote",
            [ours("Completeness", "complete")],
            unit="percent",
        ),
    )


def _others() -> Panels:
    return tuple(
        graph(
            metric.graph,
            metric.meaning,
            [ours(metric.name, service, service=service) for service in metric.services],
            unit=_UNITS[metric.unit],
        )
        for metric in GRAPHED
    )
