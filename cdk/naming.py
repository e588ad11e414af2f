"""Every physical name, in one place.

What outlives its stack (buckets, the state table) has no name here: CloudFormation names it, so that a
stack can be created again beside the data that an earlier one left. Programs find everything by the
stacks' outputs. Roles are unnamed too: nothing refers to them by name.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

StackPart = Literal["ingest", "alerts", "lake", "batch", "monitoring"]

#: Raw objects: by arrival, UTC. The curation job and the raw table read this layout.
RAW_PREFIX = "raw/"
RAW_PARTITION = "dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/"
RAW_ERRORS_PREFIX = "raw-errors/"

#: The rules in the config bucket, and in the detector's bundle.
RULES_KEY = "rules.yaml"

DETECTOR_SERVICE = "detector"
METRICS_NAMESPACE = "IoTPipeline"


class Names(NamedTuple):
    """The names of one stage's resources, so that stages can share an account and region."""

    stage: str

    @property
    def prefix(self) -> str:
        """What every name starts with."""
        return f"iot-{self.stage}"

    def stack(self, part: StackPart) -> str:
        """The name of a stack."""
        return f"{self.prefix}-{part}"

    @property
    def stream(self) -> str:
        """The Kinesis stream."""
        return f"{self.prefix}-readings"

    @property
    def delivery_stream(self) -> str:
        """The Firehose delivery stream to the raw zone."""
        return f"{self.prefix}-raw"

    @property
    def delivery_log_group(self) -> str:
        """Firehose's error log, where its console looks for it."""
        return f"/aws/kinesisfirehose/{self.delivery_stream}"

    @property
    def detector(self) -> str:
        """The detector function."""
        return f"{self.prefix}-detector"

    @property
    def detector_log_group(self) -> str:
        """The detector's log, where Lambda's console looks for it."""
        return f"/aws/lambda/{self.detector}"

    @property
    def failure_queue(self) -> str:
        """Where batches go that the detector gave up on."""
        return f"{self.prefix}-detector-failures"

    @property
    def alerts_topic(self) -> str:
        """Alerts about devices."""
        return f"{self.prefix}-alerts"

    @property
    def operations_topic(self) -> str:
        """Alarms about the pipeline itself."""
        return f"{self.prefix}-operations"

    @property
    def notifications_key_alias(self) -> str:
        """The key that encrypts both topics."""
        return f"alias/{self.prefix}-notifications"

    @property
    def database(self) -> str:
        """The Glue database; Athena wants no hyphens in it."""
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
        """The EventBridge rule that sees the job fail."""
        return f"{self.curate_job}-failures"

    @property
    def dashboard(self) -> str:
        """The CloudWatch dashboard."""
        return self.prefix

    def alarm(self, name: str) -> str:
        """An alarm."""
        return f"{self.prefix}-{name}"
