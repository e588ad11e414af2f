"""The preview of a replay: what would be sent, and what is wrong with the data."""

from __future__ import annotations

import datetime as dt
import sys

from simulator.models.epoch import moment
from simulator.replay.columns import TARGETS
from simulator.replay.dataset import DEFAULT_SITE, Dataset, counted, described
from simulator.replay.send import ReplayPlan, first_lines
from telemetry.reading.model import MAX_CLOCK_SKEW, MAX_LATENESS

#: Readings that a dry run shows.
_SHOWN = 5


def findings(dataset: Dataset) -> list[str]:
    """Return what is wrong with the data, a line each."""
    return [
        *(f"{described(finding)}: left out" for finding in dataset.skipped),
        *(f"{described(finding)}: sent as they are, to be quarantined" for finding in dataset.refused),
        *(described(finding) for finding in dataset.noted),
    ]


def untimely(planned: ReplayPlan) -> list[str]:
    """Return what the pipeline will refuse because of when it arrives, a line each."""
    now = dt.datetime.now(dt.UTC)
    length = planned.until - planned.since
    ends = now + (length / planned.speed if planned.speed else dt.timedelta())
    warnings = []
    if planned.since < now - MAX_LATENESS:
        warnings.append(
            f"the first readings are of {planned.since:%Y-%m-%d}: those that arrive more than {MAX_LATENESS.days} days "
            "after their time will be quarantined; give --start or --speed, a part with --where, or --sink raw-zone"
        )
    if planned.since > now + MAX_CLOCK_SKEW or planned.until > ends + MAX_CLOCK_SKEW:
        warnings.append(
            f"the readings go up to {planned.until:%Y-%m-%d %H:%M}, and are sent before: those that are more than "
            f"{MAX_CLOCK_SKEW.seconds // 60} minutes early will be quarantined; give an earlier --start"
        )
    return warnings


def show(dataset: Dataset, planned: ReplayPlan, devices_per_gateway: int | None) -> None:
    """Print what a replay would do."""
    unmapped = {
        "device": "the name of the file",
        "site": repr(DEFAULT_SITE),
        "gateway": f"one for {devices_per_gateway} devices" if devices_per_gateway else "one a site",
        "seq": "counted",
        "status": "ok",
    }
    lines = [f"columns     {', '.join(dataset.columns)}", ""]
    for field in TARGETS:
        value = dataset.values.get(field)
        from_where = value.shown if value else unmapped.get(field, "nothing")
        lines.append(f"{field:<12}{from_where}{'   (guessed)' if value and value.guessed else ''}")
    first, last = moment(dataset.first), moment(dataset.last)
    lines += [
        "",
        (
            f"{counted(dataset.rows, 'row')}: {counted(dataset.readings, 'reading')} of "
            f"{counted(len(dataset.devices), 'device')} behind {counted(len(dataset.gateways), 'gateway')}"
        ),
        f"from {_time(first)} to {_time(last)}, sent as from {_time(planned.since)} to {_time(planned.until)}",
        *findings(dataset),
        *untimely(planned),
        "",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.write(b"".join(first_lines(dataset, planned, _SHOWN)).decode())
    sys.stdout.flush()


def _time(time: dt.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}Z"
