"""The alarms that differ between a Kinesis stream and a Kafka topic: what arrives, how it is read, and the raw zone."""

from __future__ import annotations

from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_

from dashboards import metrics
from dashboards import topic as kafka
from dashboards.alarm_spec import AlarmSpec
from dashboards.catalogue import LATE_DELIVERY_SECONDS
from dashboards.metrics import MINUTE, KafkaTopic, Watched

#: AWS advises to keep the processors of brokers below 60 %: the rest is for the load of a broker that fails. A query
#: has one metric, so the idle share stands for user and system time.
#: https://docs.aws.amazon.com/msk/latest/developerguide/bestpractices-express.html
_IDLE_PERCENT = 40

#: Of what a broker of a type accepts for long; AWS' own guide to alarms on Express brokers has this share.
#: https://github.com/aws/agent-toolkit-for-aws/tree/main/skills/specialized-skills/analytics-skills/managing-amazon-msk
_QUOTA_SHARE = 0.8


def stream_alarms(watched: Watched) -> list[AlarmSpec]:
    """Return the alarms on the stream or topic, and on how far the detector is behind."""
    stream = watched.stream
    return _kafka(watched, stream) if isinstance(stream, KafkaTopic) else _kinesis(stream, watched.detector)


def _kinesis(stream: kinesis.IStream, detector: lambda_.IFunction) -> list[AlarmSpec]:
    """Return the alarms on a Kinesis stream and on how far its reader is behind."""
    return [
        AlarmSpec(
            "stream-throttled",
            "warning",
            "The stream refuses records; gateways retry, and lose readings when they give up",
            metrics.of_stream(stream, "WriteProvisionedThroughputExceeded"),
            threshold=1,
            datapoints=3,
            periods=5,
        ),
        AlarmSpec(
            "detector-behind",
            "critical",
            "The detector reads the stream a minute late or more, so alerts are late",
            detector.metric("IteratorAge", statistic="Maximum", period=MINUTE),
            threshold=60_000,
            datapoints=5,
            periods=5,
        ),
    ]


def _kafka(watched: Watched, topic: KafkaTopic) -> list[AlarmSpec]:
    """Return the alarms on a Kafka topic, its brokers and how far the detector is behind."""
    near_quota = AlarmSpec(
        "brokers-near-quota",
        "warning",
        f"A broker receives {_QUOTA_SHARE:.0%} of the bytes that its type accepts; above it, producers are throttled",
        kafka.of_worst_broker(topic, "MAX", "BytesInPerSec"),
        threshold=_QUOTA_SHARE * watched.broker_bytes,
        datapoints=5,
        periods=5,
    )
    return [
        *([near_quota] if watched.broker_bytes else []),
        AlarmSpec(
            "brokers-busy",
            "warning",
            f"A broker's processor is {100 - _IDLE_PERCENT} % busy or more; too little is left if another broker fails",
            kafka.of_worst_broker(topic, "MIN", "CpuIdle"),
            threshold=_IDLE_PERCENT,
            datapoints=15,
            periods=15,
            below=True,
        ),
        AlarmSpec(
            "detector-behind",
            "critical",
            "The detector reads the topic a minute late or more, so alerts are late",
            kafka.of_group(topic, "EstimatedMaxTimeLag"),
            threshold=60,
            datapoints=5,
            periods=5,
        ),
        AlarmSpec(
            "detector-stopped",
            "critical",
            "Records wait in the topic and the detector does not run: no reading is checked",
            kafka.unread(topic, watched.detector),
            threshold=1,
            datapoints=5,
            periods=5,
        ),
    ]


def raw_zone_alarms(watched: Watched) -> list[AlarmSpec]:
    """Return the alarms on the way of readings to the raw zone: by Firehose, or by the topic's channel."""
    topic = watched.stream if isinstance(watched.stream, KafkaTopic) else None
    age = (
        kafka.of_channel(topic, "DataFreshness", statistic="Maximum")
        if topic
        else metrics.of_delivery(watched.raw_delivery)
    )
    late = AlarmSpec(
        "raw-delivery-late",
        "critical",
        "Readings reach the raw zone half an hour late or more",
        age,
        threshold=LATE_DELIVERY_SECONDS,
        datapoints=3,
        periods=3,
    )
    if topic is None:
        return [late]
    return [
        late,
        AlarmSpec(
            "raw-delivery-failed",
            "critical",
            "Records could not be delivered to the raw zone; only the topic has them, until its retention ends",
            kafka.undelivered_records(topic),
            threshold=1,
        ),
    ]
