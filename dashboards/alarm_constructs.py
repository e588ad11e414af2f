"""CloudWatch alarms, the composite alarm over the critical ones, and their actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from aws_cdk.aws_cloudwatch import ComparisonOperator
from constructs import Construct

from dashboards.alarm_spec import AlarmSpec, Severity

#: The alarm that is on while any critical one is.
COMPOSITE = "pipeline-unhealthy"


def create_composite(
    scope: Construct,
    specs: Sequence[AlarmSpec],
    alarms: Sequence[cloudwatch.Alarm],
    *,
    topic: sns.ITopic,
    name: Callable[[str], str],
) -> cloudwatch.CompositeAlarm:
    """Create the alarm that is on while any critical one of ``alarms`` is; ``specs`` has their severities.

    A pager subscribes to the topic with a filter on this alarm's name (see its runbook). It gets one message when the
    first critical alarm goes off and one when the last is over. The critical alarms still notify the topic themselves:
    otherwise nobody would hear of a second cause while this alarm is on, and their messages name the runbook. A
    subscriber to everything gets two more messages per incident. Warnings are for office hours and not included.
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
    _notify(composite, topic)
    return composite


def create_alarms(
    scope: Construct, specs: Sequence[AlarmSpec], *, topic: sns.ITopic, name: Callable[[str], str]
) -> list[cloudwatch.Alarm]:
    """Create the alarms; each notifies ``topic`` when it goes off and when it is over."""
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
        _notify(alarm, topic)
        alarms.append(alarm)
    return alarms


def _id(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("-"))


def _description(name: str, severity: Severity, meaning: str) -> str:
    return f"[{severity}] {meaning}. Runbook: docs/runbooks/{name}.md"


def _notify(alarm: cloudwatch.AlarmBase, topic: sns.ITopic) -> None:
    alarm.add_alarm_action(actions.SnsAction(topic))
    alarm.add_ok_action(actions.SnsAction(topic))
