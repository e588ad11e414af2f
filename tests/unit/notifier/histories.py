"""Alerts from their firing to their end, the ways in which the notifier may hear of them, and what it has to tell."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from telemetry.alerting.transitions import Transition
from telemetry.notifying.message import NotifiedAlert
from tests.unit.notifier.samples import MINUTE, NOW, SECOND, firing, then


class Delivery(NamedTuple):
    """Transitions that come together, how long after the ones before, and what is inhibited from then on."""

    wait: dt.timedelta
    transitions: list[Transition]
    inhibited: frozenset[str]


@st.composite
def lives(draw: st.DrawFn, device: str) -> list[Transition]:
    """All transitions of one alert, in their order."""
    life = [firing(device, at=NOW + draw(st.integers(0, 60)) * SECOND)]
    for change in draw(st.lists(st.sampled_from(["escalated", "acknowledged", "snoozed", "disabled"]), max_size=3)):
        before = life[-1]
        if before.held in ("snoozed", "disabled"):
            life.append(then(before, "unsnoozed" if before.held == "snoozed" else "enabled"))
        elif change == "escalated":
            life.append(then(before, change, severity="critical"))
        else:
            life.append(then(before, change))
    if draw(st.booleans()):
        life.append(then(life[-1], "resolved"))
        if silenced(life[-1]) and draw(st.booleans()):
            life.append(then(life[-1], "unsnoozed" if life[-1].held == "snoozed" else "enabled"))
    return life


@st.composite
def deliveries(draw: st.DrawFn, inhibiting: bool = False) -> tuple[list[list[Transition]], list[Delivery]]:
    """Some alerts' lives, and a way in which their transitions come: each at least once, in any order, cut anyhow."""
    alerts = [draw(lives(f"d{number}")) for number in range(draw(st.integers(1, 3)))]
    everything = [transition for life in alerts for transition in life]
    again = draw(st.lists(st.sampled_from(everything), max_size=6))
    waits = st.sampled_from([dt.timedelta(0), SECOND, 5 * SECOND, 20 * SECOND, 2 * MINUTE])
    muted = st.frozensets(st.sampled_from(["d0", "d1"])) if inhibiting else st.just(frozenset())
    way: list[Delivery] = []
    order = draw(st.permutations(everything + again)) if draw(st.booleans()) else everything + again
    while order:
        size = draw(st.integers(1, len(order)))
        way.append(Delivery(draw(waits), order[:size], draw(muted)))
        order = order[size:]
    return alerts, way


def silenced(transition: Transition) -> bool:
    return transition.held in ("snoozed", "disabled")


def check_each_alert(alerts: Sequence[list[Transition]], by_alert: Mapping[str, Sequence[NotifiedAlert]]) -> None:
    """What holds whatever the order, and whatever was inhibited on the way."""
    for life in alerts:
        last = life[-1]
        about = by_alert.get(last.alert_id, [])
        sequences = [alert.sequence for alert in about]
        assert sequences == sorted(set(sequences)), "nothing is told twice, nor what is old after what is new"
        assert all(alert.held not in ("snoozed", "disabled") or alert.status == "resolved" for alert in about)
        states = [alert.status for alert in about]
        assert "firing" not in states[states.index("resolved") :] if "resolved" in states else True
        if last.status == "firing":
            assert states or silenced(last), f"{last.device} fires, and nobody knows"
        elif "firing" in states:
            assert states[-1] == "resolved", f"{last.device} is over, and nobody knows"
