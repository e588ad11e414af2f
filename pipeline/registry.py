"""The registry of devices in the config bucket: what rules match attributes by, seconds after it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from telemetry.registry import EMPTY, Registry, RegistryError, parse_registry

if TYPE_CHECKING:
    import boto3

    from pipeline.deployment import Deployment


def check(text: str | bytes, name: str) -> Registry:
    """The registry in the text of this name; raises :class:`PipelineError` that says what is wrong with it."""
    try:
        return parse_registry(text)
    except RegistryError as error:
        raise PipelineError(f"{name}: {error}") from error


def current(session: boto3.Session, deployed: Deployment) -> bytes | None:
    """The text of the registry that was applied, None if none was."""
    s3 = session.client("s3")
    try:
        return s3.get_object(Bucket=deployed.config_bucket_name, Key=deployed.registry_key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None


def in_use(session: boto3.Session, deployed: Deployment) -> Registry:
    """The registry that was applied; raises :class:`PipelineError` where it is broken."""
    text = current(session, deployed)
    return EMPTY if text is None else check(text, f"the registry in use ({deployed.registry_key})")


def apply(session: boto3.Session, deployed: Deployment, text: bytes) -> None:
    """Put a registry into use that was checked; the bucket keeps the version before it."""
    session.client("s3").put_object(
        Bucket=deployed.config_bucket_name, Key=deployed.registry_key, Body=text, ContentType="text/csv; charset=utf-8"
    )
