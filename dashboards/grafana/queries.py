"""Queries of panels: CloudWatch metrics, and the tables of the lake through Athena.

Which data source answers is a variable of the dashboard, so that it works in any Grafana. So is the stage in the names
of resources.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, get_args

from grafana_foundation_sdk.builders import athena, cloudwatch
from grafana_foundation_sdk.models.athena import FormatOptions
from grafana_foundation_sdk.models.cloudwatch import MetricEditorMode, MetricQueryType, QueryMode
from grafana_foundation_sdk.models.common import DataSourceRef

from dashboards import catalogue
from dashboards.catalogue import METRICS
from glue_jobs.curate.metrics import NAMESPACE
from pipeline.names import Names, Service

SQL = Path(__file__).parent / "sql"

CLOUDWATCH = DataSourceRef(type_val="cloudwatch", uid="${cloudwatch}")
ATHENA = DataSourceRef(type_val="grafana-athena-datasource", uid="${athena}")

NAMES = Names("$stage")
FUNCTIONS: tuple[Service, ...] = get_args(Service)

MINUTE, FIVE_MINUTES, HOUR = 60, 300, 3600

#: Athena reuses the result of the same query for this long, free of charge.
_REUSED_MINUTES = 10


class Metric(NamedTuple):
    """A CloudWatch metric by its exact dimensions; a value of ``*`` stands for any value.

    ``period`` is in seconds. A ``hidden`` one is only for a :class:`Formula`, which refers to it by its ``label``.
    """

    label: str
    namespace: str
    name: str
    dimensions: dict[str, str]
    statistic: str = "Sum"
    period: int = FIVE_MINUTES
    hidden: bool = False


class Formula(NamedTuple):
    """Metric math over the labels of a panel's metrics."""

    label: str
    expression: str


def ours(
    name: str,
    label: str,
    *,
    service: catalogue.Service | None = None,
    statistic: str | None = None,
    hidden: bool = False,
    **part: str,
) -> Metric:
    """Return a metric of the catalogue; with ``severity``, ``site`` or ``reason``, only the part with that value."""
    metric = METRICS[name]
    dimensions = metric.dimensions(NAMES.stage, service, **part)
    return Metric(label, NAMESPACE, name, dimensions, statistic or metric.statistic, metric.period_seconds, hidden)


def of_function(
    service: Service, name: str, label: str, *, statistic: str = "Sum", period: int = FIVE_MINUTES, hidden: bool = False
) -> Metric:
    """Return a metric of Lambda about a function."""
    return Metric(label, "AWS/Lambda", name, {"FunctionName": NAMES.function(service)}, statistic, period, hidden)


def of_queue(queue: str, name: str, label: str, *, period: int = FIVE_MINUTES) -> Metric:
    """Return a metric of SQS about a queue: how many messages wait, or how old the oldest is."""
    return Metric(label, "AWS/SQS", name, {"QueueName": queue}, "Maximum", period)


def of_delivery(delivery: str, name: str, label: str, *, statistic: str = "Sum", period: int = FIVE_MINUTES) -> Metric:
    """Return a metric of Firehose about a delivery stream."""
    dimensions = {"DeliveryStreamName": delivery}
    return Metric(label, "AWS/Firehose", name, dimensions, statistic, period)


def of_stream(name: str, label: str, *, statistic: str = "Sum", period: int = MINUTE) -> Metric:
    """Return a metric of Kinesis about the stream of readings."""
    return Metric(label, "AWS/Kinesis", name, {"StreamName": NAMES.stream}, statistic, period)


def of_group(name: str, label: str, *, statistic: str = "Maximum") -> Metric:
    """Return a metric of MSK about the detector's consumer group, in whichever cluster it is."""
    dimensions = {"Cluster Name": "*", "Consumer Group": NAMES.consumer_group, "Topic": "*"}
    return Metric(label, "AWS/Kafka", name, dimensions, statistic, MINUTE)


def of_channel(name: str, label: str, *, statistic: str = "Sum", period: int = FIVE_MINUTES) -> Metric:
    """Return a metric of MSK about the channel to the raw zone, in whichever cluster it is."""
    dimensions = {"ChannelName": NAMES.channel, "ClusterName": "*", "Topic": "*"}
    return Metric(label, "AWS/Kafka", f"DeliveryToS3.{name}", dimensions, statistic, period)


def of_brokers(name: str, *, statistic: str, **more: str) -> Metric:
    """Return a metric of MSK per broker of the stage's own cluster."""
    dimensions = {"Broker ID": "*", "Cluster Name": NAMES.kafka_cluster, **more}
    return Metric("broker ${PROP('Dim.Broker ID')}", "AWS/Kafka", name, dimensions, statistic, MINUTE)


def ask_cloudwatch(series: Metric | Formula, ref_id: str) -> cloudwatch.MetricsQuery:
    """Return the query for a series."""
    query = (
        cloudwatch.MetricsQuery()
        .ref_id(ref_id)
        .datasource(CLOUDWATCH)
        .query_mode(QueryMode.METRICS)
        .metric_query_type(MetricQueryType.SEARCH)
        .region("default")
    )
    if isinstance(series, Formula):
        # The builders leave out what is empty, and the plugin wants an id that is.
        return (
            query.id("formula")
            .metric_editor_mode(MetricEditorMode.CODE)
            .expression(series.expression)
            .label(series.label)
        )
    query = (
        query.id(series.label if series.hidden else "")
        .metric_editor_mode(MetricEditorMode.BUILDER)
        .namespace(series.namespace)
        .metric_name(series.name)
        .dimensions({**series.dimensions})
        .match_exact(True)
        .statistic(series.statistic)
        .period(str(series.period))
        .label(series.label)
    )
    return query.hide(True) if series.hidden else query


def sql(name: str) -> str:
    """Return the SQL in ``sql/<name>.sql``."""
    return (SQL / f"{name}.sql").read_text(encoding="utf-8").strip()


def ask_athena(name: str, *, over_time: bool = False) -> athena.Dataquery:
    """Return the query in ``sql/<name>.sql``; with ``over_time``, each number is a line over the column ``time``."""
    return (
        athena.Dataquery()
        .ref_id("A")
        .datasource(ATHENA)
        .format(FormatOptions.TIME_SERIES if over_time else FormatOptions.TABLE)
        .connection_args(
            athena.ConnectionArgs()
            .region("__default")
            .catalog("__default")
            .database(NAMES.database)
            .result_reuse_enabled(True)
            .result_reuse_max_age_in_minutes(_REUSED_MINUTES)
        )
        .raw_sql(sql(name))
    )
