"""What subscribers receive: the alert message, as JSON for programs and as text for people."""

from __future__ import annotations

import datetime as dt

import msgspec

from telemetry.alerting import AlertStatus, Transition
from telemetry.rules import Severity, summarize


class AlertMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One alert that fired or resolved. Times are RFC 3339, UTC; ``value`` is in the metric's unit.

    ``alert_id`` is the same for the firing and the resolved message of one alert, and for a message sent
    twice. ``started_at`` is when the condition first held, ``changed_at`` the time of the reading that
    made this message, ``published_at`` when it was handed to SNS.
    """

    alert_id: str
    state: AlertStatus
    rule: str
    severity: Severity
    device: str
    site: str
    gateway: str
    metric: str
    value: float
    condition: str
    threshold: float
    summary: str
    runbook: str
    started_at: dt.datetime
    changed_at: dt.datetime
    published_at: dt.datetime

    def attributes(self) -> dict[str, str]:
        """What a subscription's filter policy can match on."""
        return {"severity": self.severity, "site": _printable(self.site), "rule": self.rule, "state": self.state}

    def subject(self) -> str:
        """The e-mail's subject: one line of printable ASCII, less than 100 characters, as SNS requires.

        https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
        """
        line = f"[{self.state.upper()}] {self.severity}: {self.rule} {self.device}"
        return "".join(char if " " <= char <= "~" else "?" for char in line)[:99]

    def text(self) -> str:
        """The e-mail's body."""
        return "\n".join(
            _printable(line)
            for line in (
                self.summary,
                "",
                f"State:     {self.state}",
                f"Severity:  {self.severity}",
                f"Rule:      {self.rule} ({self.condition})",
                f"Value:     {self.value:g}",
                f"Device:    {self.device} at {self.site}, behind {self.gateway}",
                f"Since:     {self.started_at.isoformat()}",
                f"This:      {self.changed_at.isoformat()}",
                f"Runbook:   {self.runbook or '-'}",
                f"Alert id:  {self.alert_id}",
            )
        )


def _printable(text: str) -> str:
    """``text`` without the control characters that a device may have put into its name, and SQS refuses."""
    return "".join(char if char.isprintable() else "?" for char in text)


def alert_message(transition: Transition, published_at: dt.datetime) -> AlertMessage:
    """The message for a transition."""
    rule, reading = transition.rule, transition.reading
    condition, summary = rule.when, summarize(rule, device=reading.device_id, site=reading.site, value=transition.value)
    if transition.state.status == "resolved":
        # A rule's summary says what is wrong; what is over needs other words.
        condition = rule.clear
        summary = (
            f"{rule.name} is over at {reading.device_id}, {reading.site}: {rule.clear.metric} is {transition.value:g}"
        )
    return AlertMessage(
        alert_id=transition.alert_id,
        state=transition.state.status,
        rule=rule.name,
        severity=rule.severity,
        device=reading.device_id,
        site=reading.site,
        gateway=transition.gateway,
        metric=condition.metric,
        value=transition.value,
        condition=str(condition),
        threshold=condition.threshold,
        summary=summary,
        runbook=rule.runbook,
        started_at=_utc(transition.state.started_at),
        changed_at=_utc(reading.ts),
        published_at=_utc(published_at),
    )


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.timezone.utc)
