"""Panels of a Kafka topic: its brokers, the detector's backlog, and the delivery to the raw zone."""

from __future__ import annotations

from dashboards.catalogue import LATE_DELIVERY_SECONDS
from dashboards.grafana.frame import Panels
from dashboards.grafana.panels import Limits, graph, number
from dashboards.grafana.queries import HOUR, NAMES, Metric, of_brokers, of_channel, of_group


def kafka() -> Panels:
    """Return the panels; they have no data where the stage has a Kinesis stream."""
    return (
        graph(
            "Bytes into the topic",
            "Bytes per second that producers put into the topic, per broker of the stage's own cluster",
            [of_brokers("BytesInPerSec", statistic="Average", Topic=NAMES.topic)],
            unit="Bps",
            runbooks=["brokers-near-quota"],
        ),
        graph(
            "Idle processors of brokers",
            "Per broker of the stage's own cluster; 40 % or more should be idle",
            [of_brokers("CpuIdle", statistic="Minimum")],
            unit="percent",
            runbooks=["brokers-busy"],
        ),
        graph(
            "Behind the topic",
            "Time that the detector needs for the longest backlog of a partition",
            [of_group("EstimatedMaxTimeLag", "time")],
            unit="s",
            runbooks=["detector-behind", "detector-stopped"],
        ),
        graph(
            "Records that wait in the topic",
            "Records that the detector has not read yet: of all partitions, and of the partition with the most",
            [of_group("SumOffsetLag", "all partitions"), of_group("MaxOffsetLag", "one partition")],
            runbooks=["detector-behind", "detector-stopped"],
        ),
        graph(
            "Delivery by the channel",
            "Records by five minutes that MSK read for the raw zone, and those that it could not deliver",
            [
                of_channel("RecordCount", "read"),
                of_channel("FailedRecordCount", "failed"),
                of_channel("DLQDeliverySuccess", "dead letters"),
            ],
            runbooks=["raw-delivery-failed"],
        ),
        graph(
            "Bytes stored by the cluster",
            "Of all topics, each byte once; AWS charges for them by the hour",
            [
                Metric(
                    "stored", "AWS/Kafka", "StorageUsed", {"Cluster Name": NAMES.kafka_cluster}, "Average", period=HOUR
                )
            ],
            unit="decbytes",
        ),
        number(
            "Raw zone, by the channel",
            "Age of the oldest record that MSK has not delivered yet",
            of_channel("DataFreshness", "age", statistic="Maximum"),
            unit="s",
            span=6,
            limits=Limits(warning=LATE_DELIVERY_SECONDS / 2, critical=LATE_DELIVERY_SECONDS),
            runbooks=["raw-delivery-late"],
        ),
    )
