"""The rules object in the config bucket: what the detector uses, seconds after it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline import registry
from pipeline.errors import PipelineError
from telemetry.registry.registry import EMPTY, Registry
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet
from telemetry.text.errors import TextError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client

    from pipeline.deployment import Deployment


class Applied(NamedTuple):
    """Rules in use: their text, and when they were applied (ISO 8601, UTC)."""

    text: str
    since: str


class Changes(NamedTuple):
    """Difference between two rule sets: names of rules, and whether the inhibitions differ."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    inhibitions: bool

    def __str__(self) -> str:
        parts = [
            f"{what}: {', '.join(names)}"
            for what, names in (("added", self.added), ("removed", self.removed), ("changed", self.changed))
            if names
        ]
        return "; ".join([*parts, *(["the inhibitions changed"] if self.inhibitions else [])]) or "nothing changed"


def check(text: str, registered: Registry = EMPTY) -> RuleSet:
    """Return the rules in ``text`` about a registry; raises :class:`PipelineError` that explains what is wrong."""
    try:
        return parse_rules(text, registered)
    except TextError as error:
        raise PipelineError(str(error)) from error


def current(session: boto3.Session, deployed: Deployment) -> Applied | None:
    """Return the rules that were applied, or None where the detector uses those it was packaged with."""
    s3 = session.client("s3")
    try:
        found = s3.get_object(Bucket=deployed.config_bucket_name, Key=deployed.rules_key)
    except s3.exceptions.NoSuchKey:
        return None
    return Applied(found["Body"].read().decode(), found["LastModified"].isoformat())


def check_in_use(session: boto3.Session, deployed: Deployment, registered: Registry) -> None:
    """Raise :class:`PipelineError` where the rules that were applied cannot be used with this registry."""
    applied = current(session, deployed)
    try:
        parse_rules(applied.text if applied else "rules: []", registered)
    except TextError as error:
        raise PipelineError(
            "the rules in use cannot be used with this registry, so it was not applied; "
            f"change the registry, or apply other rules first: {error}"
        ) from error


def apply(session: boto3.Session, deployed: Deployment, text: str) -> RuleSet:
    """Check ``text`` against the registry in use and put it into use; the bucket keeps the version before it."""
    rules = check(text, registry.in_use(session, deployed))
    session.client("s3").put_object(
        Bucket=deployed.config_bucket_name,
        Key=deployed.rules_key,
        Body=text.encode(),
        ContentType="application/yaml",
    )
    return rules


def rollback(session: boto3.Session, deployed: Deployment) -> RuleSet:
    """Put the version before the current one into use again, as a new version: twice brings back the first.

    Raises :class:`PipelineError` where there is no earlier version.
    """
    s3 = session.client("s3")
    versions = _versions(s3, deployed)
    if len(versions) < 2:
        raise PipelineError("there are no earlier rules to go back to; 'iot rules show' shows those in use")
    earlier = s3.get_object(Bucket=deployed.config_bucket_name, Key=deployed.rules_key, VersionId=versions[1])
    return apply(session, deployed, earlier["Body"].read().decode())


def changes(before: RuleSet, after: RuleSet) -> Changes:
    """Return what ``after`` changes, in the order of the files; a rule is known by its name."""
    old = {rule.name: rule for rule in before.rules}
    new = {rule.name: rule for rule in after.rules}
    return Changes(
        added=[name for name in new if name not in old],
        removed=[name for name in old if name not in new],
        changed=[name for name, rule in new.items() if name in old and rule != old[name]],
        inhibitions=before.inhibitions != after.inhibitions,
    )


def _versions(s3: S3Client, deployed: Deployment) -> list[str]:
    """Return the ids of the object's two newest versions, newest first."""
    listing = s3.list_object_versions(Bucket=deployed.config_bucket_name, Prefix=deployed.rules_key)
    return [version["VersionId"] for version in listing.get("Versions", []) if version["Key"] == deployed.rules_key][:2]
