"""Specification of a CloudWatch alarm."""

from __future__ import annotations

from typing import Literal, NamedTuple

from aws_cdk.aws_cloudwatch import IMetric, TreatMissingData

Severity = Literal["warning", "critical"]


class AlarmSpec(NamedTuple):
    """An alarm: breached when ``datapoints`` of the last ``periods`` values reach ``threshold``.

    With ``below``, when they are less than it.
    """

    name: str
    severity: Severity
    meaning: str
    metric: IMetric
    threshold: float
    datapoints: int = 1
    periods: int = 1
    missing: TreatMissingData = TreatMissingData.NOT_BREACHING
    below: bool = False
