"""What panels ask: CloudWatch's metrics, and the lake's tables through Athena.

Which data source answers is a variable of the dashboard, so that it works in any Grafana. The names are those of
``cdk.naming``, with the stage as a variable too; a test holds them against the synthesised stacks.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from grafana_foundation_sdk.builders import athena, cloudwatch
from grafana_foundation_sdk.models.athena import FormatOptions
from grafana_foundation_sdk.models.cloudwatch import MetricEditorMode, MetricQueryType, QueryMode
from grafana_foundation_sdk.models.common import DataSourceRef

SQL = Path(__file__).parent / "sql"

CLOUDWATCH = DataSourceRef(type_val="cloudwatch", uid="${cloudwatch}")
ATHENA = DataSourceRef(type_val="grafana-athena-datasource", uid="${athena}")

PREFIX = "iot-$stage"
DATABASE = "iot_$stage"
#: As in the folder ``lambdas``.
FUNCTIONS = ("detector", "watchdog", "notifier")

MINUTE, FIVE_MINUTES, HOUR = 60, 300, 3600

#: An answer of Athena's is used again for this long where the very same question is asked: it costs nothing then.
_REUSED_MINUTES = 10


class Metric(NamedTuple):
    """A CloudWatch metric by its exact dimensions; a value of ``*`` stands for each value that there is.

    ``period`` is in seconds. A ``hidden`` one is only there for a :class:`Formula`, which calls it by its ``label``.
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
    service: str,
    name: str,
    label: str,
    *,
    statistic: str = "Sum",
    period: int = FIVE_MINUTES,
    hidden: bool = False,
    **dimension: str,
) -> Metric:
    """A metric that one of our programs emits; with ``severity``, ``site`` or ``reason`` the part with that value."""
    dimensions = {"service": service, "stage": "$stage", **dimension}
    return Metric(label, "IoTPipeline", name, dimensions, statistic, period, hidden)


def of_function(
    service: str, name: str, label: str, *, statistic: str = "Sum", period: int = FIVE_MINUTES, hidden: bool = False
) -> Metric:
    """A metric of AWS about one of our functions."""
    return Metric(label, "AWS/Lambda", name, {"FunctionName": f"{PREFIX}-{service}"}, statistic, period, hidden)


def of_queue(queue: str, name: str, label: str, *, period: int = FIVE_MINUTES) -> Metric:
    """A metric of AWS about one of our queues: how many messages wait, or how old the oldest is."""
    return Metric(label, "AWS/SQS", name, {"QueueName": f"{PREFIX}-{queue}"}, "Maximum", period)


def of_delivery(delivery: str, name: str, label: str, *, statistic: str = "Sum", period: int = FIVE_MINUTES) -> Metric:
    """A metric of AWS about one of our Firehose delivery streams."""
    dimensions = {"DeliveryStreamName": f"{PREFIX}-{delivery}"}
    return Metric(label, "AWS/Firehose", name, dimensions, statistic, period)


def of_stream(name: str, label: str, *, statistic: str = "Sum", period: int = MINUTE) -> Metric:
    """A metric of AWS about the stream of readings."""
    return Metric(label, "AWS/Kinesis", name, {"StreamName": f"{PREFIX}-readings"}, statistic, period)


def ask_cloudwatch(series: Metric | Formula, ref_id: str) -> cloudwatch.MetricsQuery:
    """The query for a series."""
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
    """The SQL in ``sql/<name>.sql``."""
    return (SQL / f"{name}.sql").read_text(encoding="utf-8").strip()


def ask_athena(name: str, *, over_time: bool = False) -> athena.Dataquery:
    """The query in ``sql/<name>.sql``; ``over_time`` makes a line of each number, by the column ``time``."""
    return (
        athena.Dataquery()
        .ref_id("A")
        .datasource(ATHENA)
        .format(FormatOptions.TIME_SERIES if over_time else FormatOptions.TABLE)
        .connection_args(
            athena.ConnectionArgs()
            .region("__default")
            .catalog("__default")
            .database(DATABASE)
            .result_reuse_enabled(True)
            .result_reuse_max_age_in_minutes(_REUSED_MINUTES)
        )
        .raw_sql(sql(name))
    )
