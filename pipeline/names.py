"""Physical names of a stage's resources, and where things lie in its buckets.

Buckets and DynamoDB tables outlive their stacks and have no name here: CloudFormation names them, so that a stack can
be created again next to the data that an earlier one left. Programs find those by the stacks' outputs. Roles are
unnamed too: nothing refers to them by name.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

#: The prefix of every name, of all stages.
PREFIX = "iot-"

Stage = Literal["dev", "staging", "prod"]
StackPart = Literal["ingest", "lake", "alerts", "batch", "monitoring"]

#: What brings the readings in: a Kinesis stream, or a topic of Apache Kafka on Amazon MSK.
Ingest = Literal["kinesis", "msk"]

#: The functions: each is named like its folder in ``lambdas`` and like the service of its metrics.
Service = Literal["detector", "watchdog", "notifier"]

#: What Firehose delivers lies by arrival, UTC. The curation job and the tables over it read this layout.
ARRIVAL_PARTITION = "dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/"
RAW_PREFIX = "raw/"
RAW_ERRORS_PREFIX = "raw-errors/"
ALERTS_PREFIX = "alerts/"
ALERTS_ERRORS_PREFIX = "alerts-errors/"

#: The lake's other folders are its tables'. Here the curation job keeps which raw objects hold readings of which hours,
#: and what else it remembers.
CURATION_PREFIX = "curate/"
CURATION_INDEX_PREFIX = "curate/index/"

#: The table of devices is this one object, which the curation job replaces.
DEVICES_KEY = "devices/devices.parquet"

#: The rules in the config bucket, and in the functions' bundle.
RULES_KEY = "rules.yaml"

#: The registry of devices in the config bucket.
REGISTRY_KEY = "registry/devices.csv"


def cluster_name(cluster_arn: str) -> str:
    """Return the name in the ARN of a Kafka cluster, ``arn:…:cluster/NAME/ID``; empty for no ARN."""
    return cluster_arn.partition(":cluster/")[2].partition("/")[0]


class Names(NamedTuple):
    """The names of one stage's resources, so that stages can share an account and region."""

    stage: str

    @property
    def prefix(self) -> str:
        """The prefix of every name of the stage."""
        return f"{PREFIX}{self.stage}"

    def stack(self, part: StackPart) -> str:
        """The name of a stack."""
        return f"{self.prefix}-{part}"

    @property
    def stream(self) -> str:
        """The Kinesis stream."""
        return f"{self.prefix}-readings"

    @property
    def kafka_cluster(self) -> str:
        """The MSK cluster."""
        return self.prefix

    @property
    def topic(self) -> str:
        """The Kafka topic of readings."""
        return f"{self.prefix}-readings"

    @property
    def consumer_group(self) -> str:
        """The Kafka consumer group of the detector's event source mapping."""
        return self.function("detector")

    @property
    def channel(self) -> str:
        """The MSK channel that delivers the topic to the raw zone."""
        return f"{self.prefix}-raw"

    @property
    def delivery_stream(self) -> str:
        """The Firehose delivery stream to the raw zone."""
        return f"{self.prefix}-raw"

    @property
    def alerts_delivery_stream(self) -> str:
        """The Firehose delivery stream that keeps every change of an alert."""
        return f"{self.prefix}-alerts"

    def function(self, service: Service) -> str:
        """A Lambda function."""
        return f"{self.prefix}-{service}"

    @property
    def watchdog_schedule(self) -> str:
        """The EventBridge rule that runs the watchdog."""
        return f"{self.function('watchdog')}-schedule"

    @property
    def failure_queue(self) -> str:
        """SQS queue of batches that the detector gave up on."""
        return f"{self.prefix}-detector-failures"

    @property
    def transitions_queue(self) -> str:
        """SQS queue of alert transitions, consumed by the notifier."""
        return f"{self.prefix}-transitions"

    @property
    def transitions_failure_queue(self) -> str:
        """SQS queue of messages that the notifier gave up on."""
        return f"{self.transitions_queue}-failures"

    @property
    def alerts_topic(self) -> str:
        """Notifications about alerts of devices, as JSON for programs."""
        return f"{self.prefix}-alerts"

    @property
    def alerts_text_topic(self) -> str:
        """The same notifications, as text for people."""
        return f"{self.alerts_topic}-text"

    @property
    def operations_topic(self) -> str:
        """Alarms about the pipeline itself."""
        return f"{self.prefix}-operations"

    @property
    def notifications_key_alias(self) -> str:
        """The alias of the key that encrypts the topics."""
        return f"alias/{self.prefix}-notifications"

    @property
    def database(self) -> str:
        """The Glue database; Athena accepts no hyphens in it."""
        return self.prefix.replace("-", "_")

    @property
    def workgroup(self) -> str:
        """The Athena workgroup."""
        return self.prefix

    @property
    def curate_job(self) -> str:
        """The Glue job."""
        return f"{self.prefix}-curate"

    @property
    def curate_trigger(self) -> str:
        """The job's schedule."""
        return f"{self.curate_job}-schedule"

    @property
    def curate_security(self) -> str:
        """The job's security configuration."""
        return f"{self.curate_job}-encryption"

    @property
    def curate_failures_rule(self) -> str:
        """The EventBridge rule that matches failed runs of the job."""
        return f"{self.curate_job}-failures"

    @property
    def dashboard(self) -> str:
        """The CloudWatch dashboard."""
        return self.prefix

    def alarm(self, name: str) -> str:
        """An alarm."""
        return f"{self.prefix}-{name}"
