"""Panels of use that AWS charges for, by the hour."""

from __future__ import annotations

from dashboards.grafana.frame import Panels
from dashboards.grafana.panels import graph
from dashboards.grafana.queries import FUNCTIONS, HOUR, NAMES, Metric, of_channel, of_delivery, of_function, of_stream


def costs() -> Panels:
    """Return graphs of use that AWS charges for; prices differ by region."""
    return (
        graph(
            "Bytes through the stream and its deliveries",
            "By the hour: into the stream, and through each delivery. Firehose counts a record as 5 KB or more",
            [
                of_stream("IncomingBytes", "stream", period=HOUR),
                of_delivery(NAMES.delivery_stream, "DataReadFromKinesisStream.Bytes", "to the raw zone", period=HOUR),
                of_channel("BytesIn", "topic to the raw zone", period=HOUR),
                of_delivery(NAMES.alerts_delivery_stream, "IncomingBytes", "to the table of alerts", period=HOUR),
            ],
            unit="decbytes",
        ),
        graph(
            "Invocations of Lambda",
            "By the hour",
            [of_function(name, "Invocations", name, period=HOUR) for name in FUNCTIONS],
        ),
        graph(
            "Run time of Lambda",
            "By the hour; Lambda charges for it times the memory",
            [of_function(name, "Duration", name, period=HOUR) for name in FUNCTIONS],
            unit="ms",
        ),
        graph(
            "Bytes scanned by Athena",
            "By the hour, in the stage's workgroup, by kind of query and how it ended; these dashboards' own too",
            [
                Metric(
                    "${PROP('Dim.QueryType')} ${PROP('Dim.QueryState')}",
                    "AWS/Athena",
                    "ProcessedBytes",
                    {"WorkGroup": NAMES.workgroup, "QueryType": "*", "QueryState": "*"},
                    period=HOUR,
                )
            ],
            unit="decbytes",
        ),
    )
