"""Resources that MiniStack's CloudFormation refuses, left out with a note at synth, and settings that it ignores."""

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


def refuse_pretence(settings: Settings, target: Target) -> None:
    """Raise :class:`SettingsError` for a setting that ``target`` would accept and ignore."""
    if target == "ministack" and settings.etl_engine == "spark":
        raise SettingsError(
            "settings: etl_engine=spark does not run on the embedded AWS, which reports success for Spark jobs without "
            "running them; leave it out there, and set it for AWS (with AWS_ENDPOINT_URL unset)"
        )
