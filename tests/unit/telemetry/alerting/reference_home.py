"""Everything that ever happened to a home, for the reference model of alerting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from telemetry.rules.rule_set import Rule
from tests.unit.telemetry.alerting.reference_alerting import Story
from tests.unit.telemetry.alerting.reference_conditions import THE_GATEWAY
from tests.unit.telemetry.alerting.reference_events import Event, OperatorHolds, RecordArrives, RulesAre, Told


@dataclass
class ReferenceHome:
    """Everything that ever happened to one home, in order."""

    events: list[Event] = field(default_factory=list)

    def transitions(self) -> list[Told]:
        """What is told of every alert there may be, alert by alert."""
        return [told for device, name in self.alerts() for told in self.story(device, name).told]

    def alerts(self) -> list[tuple[str, str]]:
        """What alerts there may be: device and rule."""
        records = [event for event in self.events if isinstance(event, RecordArrives)]
        devices = {reading.device_id for record in records for reading in record.readings} | {THE_GATEWAY}
        devices |= {line.device for record in records for line in record.refused}
        held = {(event.device, event.rule) for event in self.events if isinstance(event, OperatorHolds)}
        return sorted({(device, rule.name) for device in devices for rule in self._rules()} | held)

    def _rules(self) -> Iterator[Rule]:
        for event in self.events:
            if isinstance(event, RulesAre):
                yield from event.rules

    def story(self, device: str, name: str) -> Story:
        """Walk through all that happened as this one alert sees it."""
        story = Story(device, name)
        rule: Rule | None = None
        for event in self.events:
            if isinstance(event, RulesAre):
                rule = next((rule for rule in event.rules if rule.name == name), None)
            story.happens(event, rule)
        return story
