"""Acknowledged findings of cdk-nag, each with its reason, next to the resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import Construct


def acknowledge(construct: Construct, rule: str, reason: str) -> None:
    """Acknowledge that ``construct`` breaks ``rule`` (such as ``SQS3``), with the reason."""
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason))


def acknowledge_wildcard(role: Construct, arn: str, reason: str) -> None:
    """Acknowledge the wildcard in ``arn`` of ``role``, with the reason; other wildcards stay findings."""
    acknowledge(role, f"IAM5[Resource::{_spelled(Stack.of(role).resolve(arn))}]", reason)


def _spelled(value: Any) -> str:
    """Spell a resolved ARN the way cdk-nag does: ``<LogicalId.Arn>/raw/*``."""
    if not isinstance(value, Mapping):
        return str(value)
    if "Ref" in value:
        return f"<{value['Ref']}>"
    if "Fn::GetAtt" in value:
        return f"<{'.'.join(value['Fn::GetAtt'])}>"
    separator, parts = value["Fn::Join"]
    return str(separator).join(_spelled(part) for part in parts)
