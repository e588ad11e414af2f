"""The alarms in CloudWatch, the one over the critical ones, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from aws_cdk.aws_cloudwatch import ComparisonOperator
from constructs import Construct

from dashboards.alarms import AlarmSpec, Severity

#: The one sign that something is wrong.
COMPOSITE = "pipeline-unhealthy"


def create_composite(
    scope: Construct,
    specs: Sequence[AlarmSpec],
    alarms: Sequence[cloudwatch.Alarm],
    *,
    topic: sns.ITopic,
    name: Callable[[str], str],
) -> cloudwatch.CompositeAlarm:
    """Make the alarm that is on for as long as any critical one of ``alarms`` is; they are those of ``specs``.

    It is what should wake somebody: one page when the first critical alarm goes off and one when the last is over,
    however many come and go meanwhile. A pager subscribes to the topic with a filter on its name (see its runbook).
    The critical alarms still tell the topic themselves: a second cause that begins while it is on would go unheard
    otherwise, and their messages have the runbook. Who reads everything gets two messages more an incident, which is
    cheaper than a suppressed cause. Warnings are for office hours and not in it.
    """
    critical = [alarm for spec, alarm in zip(specs, alarms, strict=True) if spec.severity == "critical"]
    composite = cloudwatch.CompositeAlarm(
        scope,
        _id(COMPOSITE),
        composite_alarm_name=name(COMPOSITE),
        alarm_description=_description(
            COMPOSITE, "critical", "One critical alarm or more is on: readings, alerts or notifications are at risk"
        ),
        alarm_rule=cloudwatch.AlarmRule.any_of(
            *(cloudwatch.AlarmRule.from_alarm(alarm, cloudwatch.AlarmState.ALARM) for alarm in critical)
        ),
    )
    _tell(composite, topic)
    return composite


def create_alarms(
    scope: Construct, specs: Sequence[AlarmSpec], *, topic: sns.ITopic, name: Callable[[str], str]
) -> list[cloudwatch.Alarm]:
    """Make the alarms; each tells ``topic`` when it goes off and when it is over."""
    alarms = []
    for spec in specs:
        alarm = cloudwatch.Alarm(
            scope,
            _id(spec.name),
            alarm_name=name(spec.name),
            alarm_description=_description(spec.name, spec.severity, spec.meaning),
            metric=spec.metric,
            threshold=spec.threshold,
            comparison_operator=ComparisonOperator.LESS_THAN_THRESHOLD
            if spec.below
            else ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            datapoints_to_alarm=spec.datapoints,
            evaluation_periods=spec.periods,
            treat_missing_data=spec.missing,
        )
        _tell(alarm, topic)
        alarms.append(alarm)
    return alarms


def _id(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("-"))


def _description(name: str, severity: Severity, meaning: str) -> str:
    return f"[{severity}] {meaning}. Runbook: docs/runbooks/{name}.md"


def _tell(alarm: cloudwatch.AlarmBase, topic: sns.ITopic) -> None:
    alarm.add_alarm_action(actions.SnsAction(topic))
    alarm.add_ok_action(actions.SnsAction(topic))
