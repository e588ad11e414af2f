"""Resources that emulators lack, left out with a note at synth, and settings that a target ignores or lacks."""

from __future__ import annotations

from aws_cdk import Annotations
from constructs import Construct

from cdk.settings import Settings, SettingsError
from cdk.target import Target

#: MiniStack refuses a whole stack for one of these. The values say what is missing without it.
_MINISTACK = {
    "AWS::Athena::NamedQuery": "Athena lists none of the named queries; 'iot query --name' runs them all the same",
    "AWS::CloudWatch::CompositeAlarm": "there is no alarm pipeline-unhealthy",
    "AWS::Glue::SecurityConfiguration": "the curation job's logs are not encrypted with a key of ours",
    "alarms on metric math": "there are no alarms alerts-undelivered, rejected-readings and watchdog-stopped",
}


def supports(scope: Construct, target: Target, feature: str) -> bool:
    """Return whether ``target`` accepts ``feature``; if not, a note at synth says what is left out."""
    if target != "ministack":
        return True
    Annotations.of(scope).add_info(f"left out, because MiniStack refuses {feature}: {_MINISTACK[feature]}")
    return False


def has_msk(scope: Construct, target: Target) -> bool:
    """Return whether ``target`` has Amazon MSK; if not, a note at synth says what is left out."""
    if target == "aws":
        return True
    Annotations.of(scope).add_info(
        "left out, because no emulator has Amazon MSK: there are no cluster, topic, channel and event source mapping; "
        "'iot up --ingest msk' has a broker on this machine and a bridge in their place"
    )
    return False


def refuse_pretence(settings: Settings, target: Target) -> None:
    """Raise :class:`SettingsError` for a setting that ``target`` would accept and ignore, or cannot do without."""
    if target == "ministack" and settings.etl_engine == "spark":
        raise SettingsError(
            "settings: etl_engine=spark does not run on the embedded AWS, which reports success for Spark jobs without "
            "running them; leave it out there, and set it for AWS (with AWS_ENDPOINT_URL unset)"
        )
    if settings.ingest == "msk":
        _check_broker(settings, target)


def _check_broker(settings: Settings, target: Target) -> None:
    if target == "aws":
        if settings.kafka_bootstrap is not None:
            raise SettingsError(
                "settings: kafka_bootstrap is for emulators; leave it out on AWS, which has Amazon MSK, or name a "
                "cluster of yours with kafka_cluster_arn and kafka_topic"
            )
        return
    if settings.kafka_cluster_arn is not None:
        raise SettingsError(
            "settings: kafka_cluster_arn is for AWS; an emulator has no Amazon MSK: leave it and kafka_topic out, and "
            "set kafka_bootstrap to a broker on this machine"
        )
    if settings.kafka_bootstrap is None:
        raise SettingsError(
            "settings: ingest=msk needs kafka_bootstrap on an emulator, which has no Amazon MSK: set it to a broker on "
            "this machine, such as 127.0.0.1:9092 ('iot up --ingest msk' starts one and sets it)"
        )
