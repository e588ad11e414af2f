"""Settings of a deployment, typed and checked at synth.

From CDK context (``cdk deploy -c stage=prod``) and from environment variables (``IOT_PIPELINE_STAGE=prod``);
context wins. A key that is not known, a value that is out of bounds and a half-set combination are errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from aws_cdk import RemovalPolicy

from cdk.kafka_settings import (
    CHANNEL_MINIMUM_SECONDS,
    Brokers,
    BrokerType,
    Partitions,
    check_bootstrap,
    check_existing,
    check_partitions,
)
from pipeline.names import Ingest, Stage
from telemetry.reading.model import MAX_LATENESS

Days = Annotated[int, msgspec.Meta(ge=1, le=36500)]
#: A late reading has its hour computed again from the raw zone: all of that hour must still be there.
RawDays = Annotated[int, msgspec.Meta(ge=MAX_LATENESS.days + 2, le=36500)]
#: When objects move to a cheaper storage class; 0 leaves them where they are.
ArchiveDays = Annotated[int, msgspec.Meta(ge=0, le=36500)]
Email = Annotated[str, msgspec.Meta(pattern=r"^[^@\s]+@[^@\s]+$")]

#: CloudWatch evaluates an alarm over seven days at most:
#: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
StaleHours = Annotated[int, msgspec.Meta(ge=0, le=7 * 24)]

#: The retentions CloudWatch Logs takes, in days:
#: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
LogRetention = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]

#: The engine of the curation: a Python shell job with DuckDB on one machine, or a Spark job on up to ten.
EtlEngine = Literal["pythonshell", "spark"]

#: Glacier Instant Retrieval bills every object for at least as long:
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html#sc-compare
GLACIER_MINIMUM_DAYS = 90

#: https://docs.aws.amazon.com/glue/latest/dg/monitor-data-warehouse-schedule.html
_SCHEDULE = re.compile(r"cron\((\S+ +){5}\S+\)")
_HOURLY = "cron(10 * * * ? *)"
#: The hours after which tables count as stale where the schedule is the default: two runs may fail, the third may not.
_HOURLY_STALE_AFTER = 3

_ENVIRONMENT_PREFIX = "IOT_PIPELINE_"
_HOW = f"(set with -c key=value or {_ENVIRONMENT_PREFIX}KEY=value)"
#: What ``cdk acknowledge`` and ``cdk cli-telemetry`` write into ``cdk.context.json`` and ``~/.cdk.json``.
_COMMAND_LINES_OWN = ("acknowledged-issue-numbers", "cli-telemetry")
_LISTS = ("alert_emails", "operations_emails")

#: Settings of one kind of stream, and those of a cluster that the app creates.
_KINESIS_ONLY = ("stream_mode", "shards")
_CLUSTER_ONLY = ("kafka_broker_type", "kafka_brokers")
_MSK_ONLY = (*_CLUSTER_ONLY, "kafka_partitions", "kafka_cluster_arn", "kafka_topic", "kafka_bootstrap")

#: Defaults by stage.
STAGE_DEFAULTS: dict[str, dict[str, int]] = {
    "dev": {
        "raw_retention_days": 35,
        "raw_archive_after_days": 0,
        "curated_archive_after_days": 0,
        "log_retention_days": 14,
        "raw_buffer_seconds": 60,
    },
    "staging": {
        "raw_retention_days": 90,
        "raw_archive_after_days": 0,
        "curated_archive_after_days": 0,
        "log_retention_days": 30,
        "raw_buffer_seconds": 300,
    },
    # Late readings have raw objects read, and partitions written, again for 30 days: archived objects no longer change.
    "prod": {
        "raw_retention_days": 365,
        "raw_archive_after_days": 35,
        "curated_archive_after_days": 35,
        "log_retention_days": 90,
        "raw_buffer_seconds": 300,
    },
}


class SettingsError(ValueError):
    """A setting cannot be used; the message says which, why, and what can be written."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One deployment's settings. Durations carry their unit in the name.

    ``curated_retention_days`` unset keeps the curated tables for ever. ``raw_archive_after_days`` and
    ``curated_archive_after_days`` are when objects move to a cheaper storage class, see ``cdk.constructs.storage``;
    0 is never. ``curated_stale_after_hours`` must be set with any ``curate_schedule`` but the default.
    ``kafka_cluster_arn`` and ``kafka_topic`` name a topic that exists and has ``kafka_partitions`` partitions; without
    them the app creates a cluster and a topic. ``kafka_bootstrap`` is the broker next to an emulator, which has no MSK.
    ``delete_data_on_destroy`` is the second, explicit word without which ``cdk destroy`` leaves every bucket and table
    with data in place.
    """

    stage: Stage = "dev"
    ingest: Ingest = "kinesis"
    stream_mode: Literal["on_demand", "provisioned"] = "on_demand"
    shards: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    kafka_partitions: Partitions = 6
    kafka_broker_type: BrokerType = "express.m7g.large"
    kafka_brokers: Brokers = 3
    kafka_cluster_arn: str | None = None
    kafka_topic: str | None = None
    kafka_bootstrap: str | None = None
    stream_retention_hours: Annotated[int, msgspec.Meta(ge=24, le=8760)] = 24
    alert_emails: tuple[Email, ...] = ()
    operations_emails: tuple[Email, ...] = ()
    raw_buffer_seconds: Annotated[int, msgspec.Meta(ge=60, le=900)]
    raw_retention_days: RawDays
    raw_archive_after_days: ArchiveDays
    curated_retention_days: Days | None = None
    curated_archive_after_days: ArchiveDays
    query_results_retention_days: Days = 7
    log_retention_days: LogRetention
    curate_schedule: str = _HOURLY
    curated_stale_after_hours: StaleHours | None = None
    etl_engine: EtlEngine = "pythonshell"
    athena_scan_limit_gb: Annotated[float, msgspec.Meta(ge=0.01, le=100_000)] = 10.0
    delete_data_on_destroy: bool = False

    def __post_init__(self) -> None:
        if self.stream_mode == "provisioned" and self.shards is None:
            raise ValueError("stream_mode=provisioned needs shards, such as shards=2")
        if self.stream_mode == "on_demand" and self.shards is not None:
            raise ValueError("shards goes with stream_mode=provisioned; an on-demand stream scales by itself")
        if self.stage == "prod" and self.delete_data_on_destroy:
            raise ValueError("delete_data_on_destroy is refused for stage=prod; empty and delete its buckets by hand")
        self._check_kafka()
        self._check_schedule()
        self._check_archives()

    def _check_kafka(self) -> None:
        if self.ingest == "msk" and self.raw_buffer_seconds < CHANNEL_MINIMUM_SECONDS:
            raise ValueError(
                f"raw_buffer_seconds={self.raw_buffer_seconds} is too short with ingest=msk: MSK delivers a topic to "
                f"S3 every {CHANNEL_MINIMUM_SECONDS} to 900 seconds"
            )
        check_existing(self.kafka_cluster_arn, self.kafka_topic)
        if self.kafka_bootstrap is not None:
            check_bootstrap(self.kafka_bootstrap)
        if self.kafka_cluster_arn is None:
            check_partitions(self.kafka_partitions, brokers=self.kafka_brokers, broker_type=self.kafka_broker_type)

    def _check_schedule(self) -> None:
        schedule = self.curate_schedule
        if not _SCHEDULE.fullmatch(schedule) or schedule.count("?") != 1:
            raise ValueError(
                f"curate_schedule={schedule} is not a schedule of Glue: write cron(Minutes Hours Day-of-month Month "
                f"Day-of-week Year) in UTC, with ? for one of the two days, such as {_HOURLY}; Glue has no rate()"
            )
        if schedule != _HOURLY and self.curated_stale_after_hours is None:
            raise ValueError(
                f"curate_schedule={schedule} needs curated_stale_after_hours, when to alarm on old tables: write three "
                "times the longest wait between two runs, such as 18 for a run every six hours, or 0 for no alarm"
            )

    def _check_archives(self) -> None:
        archived, kept = self.raw_archive_after_days, self.raw_retention_days
        if archived and archived + GLACIER_MINIMUM_DAYS > kept:
            raise ValueError(
                f"raw_archive_after_days={archived} and raw_retention_days={kept} leave raw objects less than the "
                f"{GLACIER_MINIMUM_DAYS} days in Glacier Instant Retrieval that it bills at least: "
                f"keep them {archived + GLACIER_MINIMUM_DAYS} days or more, or set raw_archive_after_days=0"
            )
        archived = self.curated_archive_after_days
        if self.curated_retention_days and archived >= self.curated_retention_days:
            raise ValueError(
                f"curated_archive_after_days={archived} must be less than "
                f"curated_retention_days={self.curated_retention_days}, or 0 to archive nothing"
            )

    @property
    def stale_after_hours(self) -> int:
        """The hours without new curated readings after which to alarm; 0 is never."""
        return _HOURLY_STALE_AFTER if self.curated_stale_after_hours is None else self.curated_stale_after_hours

    @property
    def data_removal(self) -> RemovalPolicy:
        """The removal policy of data when its stack is destroyed."""
        # Retained, but not where the very creation of the stack failed: there is nothing in it yet.
        return RemovalPolicy.DESTROY if self.delete_data_on_destroy else RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE


#: Settings with a fixed set of values, and these as they are written.
_CHOICES = {
    key: tuple(map(str, get_args(kind)))
    for key, kind in get_type_hints(Settings).items()
    if get_origin(kind) is Literal
}


def load(context: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Read the settings from ``context`` and ``environ``; raises :class:`SettingsError`."""
    given: dict[str, Any] = {
        key.removeprefix(_ENVIRONMENT_PREFIX).lower(): value
        for key, value in environ.items()
        if key.startswith(_ENVIRONMENT_PREFIX)
    }
    given |= {key: value for key, value in context.items() if not _is_cdks(key)}
    known = Settings.__struct_fields__
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise SettingsError(f"unknown setting {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
    given = {key: value for key, value in given.items() if value not in ("", None)}
    for key in _LISTS:
        if isinstance(given.get(key), str):
            given[key] = [item.strip() for item in given[key].split(",") if item.strip()]
    for key, choices in _CHOICES.items():
        if key in given and str(given[key]) not in choices:
            raise SettingsError(f"settings: {key}={given[key]} is none of {', '.join(choices)} {_HOW}")
    _refuse_misplaced(given)
    try:
        return msgspec.convert({**_defaults(given), **given}, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"settings: {error} {_HOW}") from None


def _refuse_misplaced(given: Mapping[str, Any]) -> None:
    """Raise :class:`SettingsError` for settings that the others leave without effect."""
    ingest = str(given.get("ingest", "kinesis"))
    other, misplaced = ("msk", _MSK_ONLY) if ingest == "kinesis" else ("kinesis", _KINESIS_ONLY)
    for key in (key for key in misplaced if key in given):
        raise SettingsError(f"settings: {key} goes with ingest={other}, not with ingest={ingest} {_HOW}")
    if "kafka_cluster_arn" in given:
        for key in (key for key in _CLUSTER_ONLY if key in given):
            raise SettingsError(f"settings: {key} is of a cluster to create, but kafka_cluster_arn names one {_HOW}")


def _defaults(given: Mapping[str, Any]) -> dict[str, int]:
    """Return the stage's defaults, with a buffer of the raw zone that the kind of stream can have."""
    defaults = STAGE_DEFAULTS[str(given.get("stage", "dev"))]
    if str(given.get("ingest")) == "msk":
        return {**defaults, "raw_buffer_seconds": max(defaults["raw_buffer_seconds"], CHANNEL_MINIMUM_SECONDS)}
    return defaults


def _is_cdks(key: str) -> bool:
    """Return whether a context key is the CDK's own: feature flags, look-ups, the command line's."""
    return ":" in key or "/" in key or key.startswith(("@", "aws-cdk", "cdk-")) or key in _COMMAND_LINES_OWN
