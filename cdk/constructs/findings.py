"""Reasons why a finding of cdk-nag is none, one finding at a time, beside the resource it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import Construct


def acknowledge(construct: Construct, rule: str, reason: str) -> None:
    """Say why ``construct`` breaks ``rule`` (such as ``SQS3``) all the same."""
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason))


def acknowledge_wildcard(role: Construct, arn: str, reason: str) -> None:
    """Say why ``role`` needs the wildcard in ``arn``; other wildcards stay findings."""
    acknowledge(role, f"IAM5[Resource::{_spelled(Stack.of(role).resolve(arn))}]", reason)


def _spelled(value: Any) -> str:
    """A resolved ARN the way cdk-nag spells it: ``<LogicalId.Arn>/raw/*``."""
    if not isinstance(value, Mapping):
        return str(value)
    if "Ref" in value:
        return f"<{value['Ref']}>"
    if "Fn::GetAtt" in value:
        return f"<{'.'.join(value['Fn::GetAtt'])}>"
    separator, parts = value["Fn::Join"]
    return str(separator).join(_spelled(part) for part in parts)
