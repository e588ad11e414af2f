"""Rehearsal: the notifications of a deployment for given records, in simulated time on this machine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import NamedTuple

from evaluation.playback.pipeline import PipelinePlayback
from pipeline.inbox import Received
from simulator.sinks.record import Record
from telemetry.alerting.transitions import Transition
from telemetry.rules.rule_set import RuleSet

#: How often progress is told, in records.
_OFTEN = 1_000


class Rehearsal(NamedTuple):
    """The notifications in the order in which they would have been published, and every change of every alert."""

    received: list[Received]
    transitions: list[Transition]


def rehearse(
    records: Iterable[Record],
    rules: RuleSet,
    until: dt.datetime,
    on_progress: Callable[[dt.datetime], None] = lambda _: None,
) -> Rehearsal:
    """Play the records, which are in the order of their times, through the rules, and on until ``until`` (UTC).

    :class:`~evaluation.playback.pipeline.PipelinePlayback` says how time passes.
    """
    pipeline = PipelinePlayback(rules)
    for number, record in enumerate(records):
        now = dt.datetime.fromtimestamp(record.at, dt.UTC)
        pipeline.wait(now)
        pipeline.arrive(record.gateway, record.payload, now)
        if number % _OFTEN == 0:
            on_progress(now)
    pipeline.wait(until)
    return Rehearsal(pipeline.received, pipeline.transitions)
