"""The CloudWatch alarms, as data over the resources to watch.

They are about symptoms and end-to-end freshness rather than every cause. Each names its runbook,
``docs/runbooks/<alarm>.md``, in its description, which is what CloudWatch puts into the notification.
"""

from __future__ import annotations

from aws_cdk.aws_cloudwatch import TreatMissingData

from dashboards import metrics
from dashboards.alarm_spec import AlarmSpec
from dashboards.alarms_by_stream import raw_zone_alarms, stream_alarms
from dashboards.catalogue import LATE_DELIVERY_SECONDS
from dashboards.metrics import FIVE_MINUTES, MINUTE, Watched

#: Percent of all lines; an occasional invalid line of a device stays below it.
_REJECTED_PERCENT = 1.0

#: Healthy runs find readings that are minutes old.
_STALE_SECONDS = 2 * 3600

#: A message that wakes a group is sent up to 90 s ahead, and its age counts from then. A message that is five minutes
#: old waits for a notifier that does not run.
_LATE_NOTIFICATION_SECONDS = 300


def alarm_specs(watched: Watched) -> list[AlarmSpec]:
    """Return the alarms, in the order of a reading's way to an alert, a notification and the tables."""
    return [*_detection(watched), *_clock(watched), *_notification(watched), *_lake(watched)]


def _detection(watched: Watched) -> list[AlarmSpec]:
    """Return the alarms from the stream to the evaluation of readings."""
    detector = watched.detector
    return [
        *stream_alarms(watched),
        AlarmSpec(
            "detector-errors",
            "critical",
            "The detector fails on whole batches; they are tried again and hold up their shard",
            detector.metric_errors(period=FIVE_MINUTES),
            threshold=1,
            datapoints=2,
            periods=3,
        ),
        AlarmSpec(
            "detector-throttled",
            "warning",
            "Lambda refuses to run the detector: the account's concurrency is used up",
            detector.metric_throttles(period=MINUTE),
            threshold=1,
            datapoints=3,
            periods=5,
        ),
        AlarmSpec(
            "detector-slow",
            "warning",
            "A batch takes the detector half its time-out; the next step is batches that never finish",
            detector.metric_duration(statistic="p95", period=FIVE_MINUTES),
            threshold=watched.detector_timeout.to_milliseconds() / 2,
            datapoints=3,
            periods=3,
        ),
        AlarmSpec(
            "detector-gave-up",
            "critical",
            "Batches were given up after all retries: their readings were never checked against the rules",
            metrics.waiting(watched.failure_queue),
            threshold=1,
        ),
        AlarmSpec(
            "windows-dropped",
            "warning",
            "Windows of readings do not fit into an item: rules with windows see too little of some devices",
            metrics.ours(watched, "WindowsDropped"),
            threshold=1,
            datapoints=3,
            periods=3,
        ),
        AlarmSpec(
            "rejected-readings",
            "warning",
            f"{_REJECTED_PERCENT:g} % or more of the lines are not valid readings; they are quarantined, not checked",
            metrics.rejected_percent(watched),
            threshold=_REJECTED_PERCENT,
            datapoints=3,
            periods=3,
        ),
    ]


def _clock(watched: Watched) -> list[AlarmSpec]:
    """Return the alarms on the watchdog's runs, which also read the rules."""
    return [
        AlarmSpec(
            "watchdog-stopped",
            "critical",
            "For five minutes no run of the watchdog succeeded: the timers of alerts do not run",
            metrics.successes(watched.watchdog),
            threshold=1,
            below=True,
            missing=TreatMissingData.BREACHING,
        ),
        AlarmSpec(
            "watchdog-failing",
            "critical",
            "The watchdog fails on some gateways: the timers of their alerts do not run",
            metrics.ours(watched, "GatewaysFailed"),
            threshold=1,
            datapoints=2,
            periods=3,
        ),
        AlarmSpec(
            "rules-rejected",
            "critical",
            "The rules in the config bucket cannot be used; the last good ones stay in force",
            metrics.ours(watched, "RulesRejected"),
            threshold=1,
        ),
    ]


def _notification(watched: Watched) -> list[AlarmSpec]:
    """Return the alarms from a change of an alert to its subscribers."""
    return [
        AlarmSpec(
            "alert-storm",
            "warning",
            "100 critical alerts or more fired in five minutes: one common cause, or a rule set too tight",
            metrics.ours(watched, "AlertsFiring", severity="critical"),
            threshold=100,
        ),
        AlarmSpec(
            "notifications-late",
            "critical",
            "Changes of alerts wait for the notifier, so notifications are late",
            metrics.age_of_oldest(watched.transitions),
            threshold=_LATE_NOTIFICATION_SECONDS,
            datapoints=3,
            periods=3,
        ),
        AlarmSpec(
            "notifier-errors",
            "critical",
            "The notifier fails on whole batches; they are retried, and their notifications are late",
            watched.notifier.metric_errors(period=FIVE_MINUTES),
            threshold=1,
            datapoints=2,
            periods=3,
        ),
        AlarmSpec(
            "notifications-failing",
            "critical",
            "Some messages fail in the notifier and are retried; their notifications are late or missing",
            metrics.ours(watched, "MessagesFailed"),
            threshold=1,
            datapoints=2,
            periods=3,
        ),
        AlarmSpec(
            "notifications-failed",
            "critical",
            "The notifier gave up on messages after all retries: nobody was notified of their changes of alerts",
            metrics.waiting(watched.transitions_failures),
            threshold=1,
        ),
        AlarmSpec(
            "alerts-undelivered",
            "critical",
            "SNS could not deliver alerts to a subscriber",
            metrics.undelivered(watched),
            threshold=1,
        ),
    ]


def _lake(watched: Watched) -> list[AlarmSpec]:
    """Return the alarms on the raw zone and the tables."""
    return [
        AlarmSpec(
            "alerts-delivery-late",
            "warning",
            "Changes of alerts reach the table of alerts half an hour late or more",
            metrics.of_delivery(watched.alerts_delivery),
            threshold=LATE_DELIVERY_SECONDS,
            datapoints=3,
            periods=3,
        ),
        *raw_zone_alarms(watched),
        AlarmSpec(
            "curate-failed",
            "warning",
            "A run of the curation job failed; the next one continues where the last good one ended",
            metrics.curate_failures(watched),
            threshold=1,
        ),
        *_stale(watched),
    ]


def _stale(watched: Watched) -> list[AlarmSpec]:
    """Return the alarm on tables that get no new readings, unless it is switched off."""
    hours = watched.stale_after_hours
    if not hours:
        return []
    return [
        AlarmSpec(
            "curated-data-stale",
            "critical",
            f"For {hours} hours no run has left readings younger than two hours in the curated tables",
            metrics.ours(watched, "NewestReadingAge"),
            threshold=_STALE_SECONDS,
            datapoints=hours,
            periods=hours,
            missing=TreatMissingData.BREACHING,
        )
    ]
