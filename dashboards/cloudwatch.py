"""The CloudWatch dashboard: alarms, the fleet, then each part of a reading's way, and the cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from aws_cdk import Duration
from aws_cdk.aws_cloudwatch import (
    AlarmStatusWidget,
    Dashboard,
    GraphWidget,
    IAlarm,
    IMetric,
    IWidget,
    MathExpression,
    Metric,
    TextWidget,
)
from constructs import Construct

from dashboards import costs, topic
from dashboards.catalogue import DURATION_STATISTICS, GRAPHED
from dashboards.metrics import (
    FIVE_MINUTES,
    HOUR,
    MINUTE,
    KafkaTopic,
    Watched,
    age_of_oldest,
    by_site,
    curate_failures,
    of_delivery,
    of_stream,
    ours,
    rejected_percent,
    waiting,
)
from telemetry.reading.codec import Reason
from telemetry.rules.rule_set import Severity

#: A dashboard is 24 units wide: four graphs a row.
_WIDTH = 24


def create_dashboard(scope: Construct, watched: Watched, alarms: Sequence[IAlarm], *, name: str) -> Dashboard:
    """Create the dashboard of a stage's resources."""
    rows: list[list[IWidget]] = [[AlarmStatusWidget(title="Alarms", alarms=list(alarms), width=_WIDTH, height=4)]]
    for title, graphs in (
        ("Fleet: alerts, and completeness of the readings", _fleet(watched)),
        ("Ingest: from the gateways to the stream and the raw zone", _ingest(watched)),
        ("Detection: from the stream to an alert", _detection(watched)),
        ("Notification: from a change of an alert to its subscribers", _notification(watched)),
        ("Clock: timers of alerts, run by the watchdog", _clock(watched)),
        ("Quality: lines that are not valid readings", _quality(watched)),
        ("Lake: from raw lines to tables", _lake(watched)),
        ("Other metrics of the functions", _others(watched)),
        ("Cost: use that AWS charges for, by the hour", _costs(watched)),
    ):
        rows += [[TextWidget(markdown=f"## {title}", width=_WIDTH, height=1)], graphs]
    return Dashboard(scope, "Dashboard", dashboard_name=name, default_interval=Duration.hours(3), widgets=rows)


def _fleet(watched: Watched) -> list[IWidget]:
    return [
        _graph("Alerts fired, by severity", **_by_severity(watched, "AlertsFiring")),
        _searched("Alerts fired, by site", by_site(watched)),
        _graph("Alerts resolved, by severity", **_by_severity(watched, "AlertsResolved")),
        _graph("Readings received (% of expected)", of_expected=ours(watched, "Completeness")),
    ]


def _by_severity(watched: Watched, name: str) -> dict[str, Metric]:
    return {s: ours(watched, name, severity=s) for s in get_args(Severity)}


def _ingest(watched: Watched) -> list[IWidget]:
    stream = watched.stream
    if isinstance(stream, KafkaTopic):
        return _topic_ingest(stream)
    return [
        _graph("Records", incoming=of_stream(stream, "IncomingRecords")),
        _graph("Bytes", incoming=of_stream(stream, "IncomingBytes")),
        _graph(
            "Throttled",
            writes=of_stream(stream, "WriteProvisionedThroughputExceeded"),
            reads=of_stream(stream, "ReadProvisionedThroughputExceeded"),
        ),
        _graph(
            "Oldest record not in the raw zone yet (s)",
            age=of_delivery(watched.raw_delivery),
        ),
    ]


def _topic_ingest(stream: KafkaTopic) -> list[IWidget]:
    return [
        _searched(
            "Bytes per second into the topic, per broker", topic.by_broker(stream, "BytesInPerSec", Topic=stream.topic)
        ),
        _searched("Messages per second, per broker", topic.by_broker(stream, "MessagesInPerSec")),
        _graph(
            "Records in the delivery to the raw zone",
            read=topic.of_channel(stream, "RecordCount"),
            delivered=topic.of_channel(stream, "SuccessfulRecordCount"),
            failed=topic.of_channel(stream, "FailedRecordCount"),
            dead_letters=topic.of_channel(stream, "DLQDeliverySuccess"),
        ),
        _graph(
            "Oldest record not in the raw zone yet (s)",
            age=topic.of_channel(stream, "DataFreshness", statistic="Maximum"),
        ),
        _searched("Idle processor, per broker (%)", topic.by_broker(stream, "CpuIdle", statistic="Minimum")),
        _searched("Free memory, per broker (bytes)", topic.by_broker(stream, "MemoryFree", statistic="Minimum")),
        _searched(
            "Connections of clients, per broker",
            topic.by_broker(stream, "ClientConnectionCount", "Client Authentication", statistic="Sum"),
        ),
        _searched("Leaders of partitions, per broker", topic.by_broker(stream, "LeaderCount")),
    ]


def _behind(watched: Watched) -> list[IWidget]:
    stream = watched.stream
    if isinstance(stream, KafkaTopic):
        return [
            _graph("Behind the topic (s)", time=topic.of_group(stream, "EstimatedMaxTimeLag")),
            _graph(
                "Behind the topic (records)",
                of_all_partitions=topic.of_group(stream, "SumOffsetLag"),
                of_one_partition_at_most=topic.of_group(stream, "MaxOffsetLag"),
            ),
        ]
    return [
        _graph("Behind the stream (ms)", age=watched.detector.metric("IteratorAge", statistic="Maximum", period=MINUTE))
    ]


def _detection(watched: Watched) -> list[IWidget]:
    detector = watched.detector
    return [
        _graph(
            "From a reading to its evaluation (ms)",
            **{s: ours(watched, "DetectionDelay", statistic=s) for s in DURATION_STATISTICS},
        ),
        *_behind(watched),
        _graph(
            "Failed invocations",
            errors=detector.metric_errors(period=MINUTE),
            throttles=detector.metric_throttles(period=MINUTE),
            given_up=waiting(watched.failure_queue),
        ),
        _graph(
            "Duration of a batch (ms)",
            **{s: detector.metric_duration(statistic=s, period=MINUTE) for s in DURATION_STATISTICS},
        ),
    ]


def _notification(watched: Watched) -> list[IWidget]:
    notifier = watched.notifier
    programs, people = watched.alerts_topics
    return [
        _graph(
            "From a change to its notification, group_wait included (ms)",
            **{s: ours(watched, "NotificationDelay", statistic=s) for s in DURATION_STATISTICS},
        ),
        _graph("Oldest change in the queue (s)", age=age_of_oldest(watched.transitions)),
        _graph(
            "Failed invocations",
            errors=notifier.metric_errors(period=MINUTE),
            throttles=notifier.metric_throttles(period=MINUTE),
            given_up=waiting(watched.transitions_failures),
        ),
        _graph(
            "Notifications",
            published=ours(watched, "NotificationsPublished"),
            to_programs=programs.metric_number_of_notifications_delivered(period=FIVE_MINUTES),
            to_programs_failed=programs.metric_number_of_notifications_failed(period=FIVE_MINUTES),
            to_people=people.metric_number_of_notifications_delivered(period=FIVE_MINUTES),
            to_people_failed=people.metric_number_of_notifications_failed(period=FIVE_MINUTES),
        ),
    ]


def _clock(watched: Watched) -> list[IWidget]:
    watchdog = watched.watchdog
    return [
        _graph(
            "Gateways due, per run of the watchdog",
            gateways=ours(watched, "GatewaysDue"),
            gateways_failed=ours(watched, "GatewaysFailed"),
        ),
        _graph(
            "Duration of a run (ms)",
            **{s: watchdog.metric_duration(statistic=s, period=FIVE_MINUTES) for s in ("p50", "Maximum")},
        ),
        _graph(
            "Runs",
            all=watchdog.metric_invocations(period=FIVE_MINUTES),
            errors=watchdog.metric_errors(period=FIVE_MINUTES),
            throttles=watchdog.metric_throttles(period=FIVE_MINUTES),
        ),
    ]


def _quality(watched: Watched) -> list[IWidget]:
    return [
        GraphWidget(title="Share of all lines", left=[rejected_percent(watched)], width=_WIDTH // 4),
        _graph(
            "By reason",
            **{r: ours(watched, "RejectedReadings", reason=r) for r in get_args(Reason)},
        ),
        _graph(
            "Quarantined lines and duplicates",
            quarantined_lines=ours(watched, "QuarantinedLines"),
            duplicates_removed=ours(watched, "DuplicateReadings"),
        ),
        _graph("Rules refused", refused=ours(watched, "RulesRejected")),
    ]


def _lake(watched: Watched) -> list[IWidget]:
    return [
        _graph("Readings curated", readings=ours(watched, "CuratedReadings")),
        _graph("Runs", succeeded=ours(watched, "CurateRuns"), failed=curate_failures(watched)),
        _graph("Age of the newest curated reading (s)", age=ours(watched, "NewestReadingAge")),
        _graph("Oldest change not in the table of alerts yet (s)", age=of_delivery(watched.alerts_delivery)),
    ]


def _others(watched: Watched) -> list[IWidget]:
    return [
        _graph(metric.graph, **{service: ours(watched, metric.name, service=service) for service in metric.services})
        for metric in GRAPHED
    ]


def _costs(watched: Watched) -> list[IWidget]:
    return [
        *_stream_costs(watched),
        _graph("Lambda (GB-seconds)", **costs.gb_seconds(watched)),
        _searched("Bytes scanned by queries", costs.bytes_scanned(watched)),
        _searched("DynamoDB write units", *costs.units(watched, "ConsumedWriteCapacityUnits")),
        _searched("DynamoDB read units", *costs.units(watched, "ConsumedReadCapacityUnits")),
        *(
            # One value per day: none in the last hours.
            _searched(f"Bytes in {name}, by the day", costs.bucket_size(bucket), start="-P28D")
            for name, bucket in watched.buckets.items()
        ),
    ]


def _stream_costs(watched: Watched) -> list[IWidget]:
    stream = watched.stream
    if isinstance(stream, KafkaTopic):
        return [
            _graph(
                "Bytes through the topic, its channel and Firehose",
                into_the_topic=topic.bytes_in_per_hour(stream),
                to_the_raw_zone=topic.of_channel(stream, "BytesIn", period=HOUR),
                to_the_table_of_alerts=costs.bytes_of_alerts(watched),
            ),
            _graph("Bytes that the cluster stores", bytes=topic.stored_bytes(stream)),
        ]
    return [
        _graph(
            "Bytes through the stream and Firehose",
            into_the_stream=of_stream(stream, "IncomingBytes").with_(period=HOUR),
            to_the_raw_zone=costs.bytes_from_stream(watched),
            to_the_table_of_alerts=costs.bytes_of_alerts(watched),
        ),
        _graph("Records into the stream", records=of_stream(stream, "IncomingRecords").with_(period=HOUR)),
    ]


def _searched(title: str, *searches: IMetric, start: str | None = None) -> GraphWidget:
    """Return a graph whose lines CloudWatch finds and names."""
    return GraphWidget(title=title, left=list(searches), width=_WIDTH // 4, start=start)


def _graph(title: str, **series: Metric | MathExpression) -> GraphWidget:
    lines = [metric.with_(label=label) for label, metric in series.items()]
    return GraphWidget(title=title, left=lines, width=_WIDTH // 4)
