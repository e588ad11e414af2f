"""The rules object in the config bucket: what the detector uses, seconds after it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import PipelineError
from telemetry.rules import RulesError, RuleSet, parse_rules

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client

    from pipeline.deployment import Deployment


class Applied(NamedTuple):
    """Rules in use: their text, and when they were applied (ISO 8601, UTC)."""

    text: str
    since: str


def check(text: str) -> RuleSet:
    """The rules in ``text``; raises :class:`PipelineError` that says what is wrong with them."""
    try:
        return parse_rules(text)
    except RulesError as error:
        raise PipelineError(str(error)) from error


def current(session: boto3.Session, deployed: Deployment) -> Applied | None:
    """The rules that were applied, or None where the detector uses those it was packaged with."""
    s3 = session.client("s3")
    try:
        found = s3.get_object(Bucket=deployed.config_bucket_name, Key=deployed.rules_key)
    except s3.exceptions.NoSuchKey:
        return None
    return Applied(found["Body"].read().decode(), found["LastModified"].isoformat())


def apply(session: boto3.Session, deployed: Deployment, text: str) -> RuleSet:
    """Check ``text`` and put it into use; the bucket keeps the version before it."""
    rules = check(text)
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


def _versions(s3: S3Client, deployed: Deployment) -> list[str]:
    """The ids of the object's two newest versions, newest first."""
    listing = s3.list_object_versions(Bucket=deployed.config_bucket_name, Prefix=deployed.rules_key)
    return [version["VersionId"] for version in listing.get("Versions", []) if version["Key"] == deployed.rules_key][:2]
