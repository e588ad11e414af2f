"""The dashboard of the pipeline itself: ingest, delays, errors, freshness, quality and cost."""

from __future__ import annotations

from typing import get_args

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.catalogue import DURATION_STATISTICS, GRAPHED, LATE_DELIVERY_SECONDS, Unit
from dashboards.grafana.costs import costs
from dashboards.grafana.frame import Panels, Rows, frame
from dashboards.grafana.kafka import kafka
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
    """Return the dashboard. It queries CloudWatch every five minutes, and Athena once."""
    rows: Rows = (
        ("Ingest: from the gateways to the stream and the raw zone; with Kafka, see the next row", _ingest()),
        ("Ingest with Kafka: no data where the stage has a Kinesis stream", kafka()),
        ("Delays: from a reading to its evaluation and notification", _delays()),
        ("Errors: failures and given-up messages", _errors()),
        ("Freshness: age of the newest data", _freshness()),
        ("Quality: lines that are not valid readings", _quality()),
        ("Other metrics of the functions", _others()),
        ("Cost drivers: use that AWS charges for", costs()),
    )
    return frame(
        "pipeline",
        "Ingest, delays, errors, freshness, quality and cost of the pipeline",
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
        graph(
            "Bytes",
            "Bytes that gateways put into the stream, by the minute",
            [of_stream("IncomingBytes", "in")],
            unit="decbytes",
        ),
        graph(
            "Readings",
            "Readings that the detector evaluated and lines that it refused, by five minutes",
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
            "From the newest event time of a batch to its evaluation",
            [ours("DetectionDelay", label, statistic=s) for s, label in _LABELS.items()],
            unit="ms",
            runbooks=["detector-behind", "detector-slow"],
        ),
        graph(
            "Behind the stream",
            "Age of the last record that the detector read",
            [of_function("detector", "IteratorAge", "age", statistic="Maximum", period=MINUTE)],
            unit="ms",
            runbooks=["detector-behind"],
        ),
        graph(
            "From a change to its notification",
            "From a change of an alert to its publication, group_wait included",
            [ours("NotificationDelay", label, statistic=s) for s, label in _LABELS.items()],
            unit="ms",
            runbooks=["notifications-late"],
        ),
        graph(
            "Duration of a batch",
            "Duration of an invocation of the detector",
            [of_function("detector", "Duration", label, statistic=s) for s, label in _LABELS.items()],
            unit="ms",
            runbooks=["detector-slow", "windows-dropped"],
        ),
    )


def _errors() -> Panels:
    return (
        graph(
            "Invocations that failed",
            "By five minutes; each is retried",
            [of_function(name, "Errors", name) for name in FUNCTIONS],
            runbooks=["pipeline-unhealthy", "detector-errors", "notifier-errors", "watchdog-failing"],
        ),
        graph(
            "Invocations that were throttled",
            "By five minutes; the watchdog should run each minute",
            [
                *(of_function(name, "Throttles", name) for name in FUNCTIONS),
                of_function("watchdog", "Invocations", "runs of the watchdog"),
            ],
            runbooks=["detector-throttled", "watchdog-stopped"],
        ),
        graph(
            "Given up",
            "Messages in the failure queues, for a person to look at: batches, and changes of alerts",
            [
                of_queue(NAMES.failure_queue, "ApproximateNumberOfMessagesVisible", "batches"),
                of_queue(NAMES.transitions_failure_queue, "ApproximateNumberOfMessagesVisible", "changes"),
            ],
            runbooks=["detector-gave-up", "alerts-undelivered"],
        ),
        graph(
            "Notifications sent",
            "By five minutes: published notifications, and failed deliveries of SNS to subscribers",
            [
                ours("NotificationsPublished", "published"),
                *(
                    Metric(f"failed to {audience}", "AWS/SNS", "NumberOfNotificationsFailed", {"TopicName": name})
                    for audience, name in (("programs", NAMES.alerts_topic), ("people", NAMES.alerts_text_topic))
                ),
            ],
            runbooks=["notifications-failing", "notifications-failed"],
        ),
        graph(
            "Gateways due",
            "Per run of the watchdog: gateways with an alert state that was due, and those that it failed on",
            [
                ours("GatewaysDue", "due"),
                ours("GatewaysFailed", "failed"),
            ],
            runbooks=["watchdog-failing"],
        ),
        graph(
            "Rules refused",
            "1 while the rules in the config bucket are invalid and the last good ones are used",
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
            "Its age when the last run of the curation ended",
            ours("NewestReadingAge", "age"),
            unit="s",
            span=6,
            runbooks=["curated-data-stale"],
        ),
        number(
            "Raw zone",
            "Age of the oldest record that Firehose has not delivered yet",
            _undelivered(NAMES.delivery_stream, "age"),
            unit="s",
            span=6,
            limits=Limits(warning=LATE_DELIVERY_SECONDS / 2, critical=LATE_DELIVERY_SECONDS),
            runbooks=["raw-delivery-late"],
        ),
        number(
            "Table of alerts",
            "Age of the oldest change that Firehose has not delivered yet",
            _undelivered(NAMES.alerts_delivery_stream, "age"),
            unit="s",
            span=6,
            limits=Limits(warning=LATE_DELIVERY_SECONDS / 2, critical=LATE_DELIVERY_SECONDS),
            runbooks=["alerts-delivery-late"],
        ),
        number(
            "Queue of changes",
            "Age of the oldest change of an alert that waits for the notifier",
            of_queue(NAMES.transitions_queue, "ApproximateAgeOfOldestMessage", "age", period=MINUTE),
            unit="s",
            span=6,
            runbooks=["notifications-late"],
        ),
        graph(
            "Delivery by Firehose",
            "Age of the oldest record that is not delivered yet",
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
            "Sites that sent in the last 7 days, the stalest first; from the lake",
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
            "Lines that are not valid readings, of all lines that the detector read",
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
            "Curated, quarantined and duplicate",
            "By the hour: readings curated, lines quarantined, copies removed",
            [
                ours("CuratedReadings", "readings"),
                ours("QuarantinedLines", "quarantined"),
                ours("DuplicateReadings", "copies"),
            ],
        ),
        graph(
            "Readings received",
            "Of those expected, on the days that a run of the curation wrote",
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
