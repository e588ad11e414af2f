"""The figures in docs/plan.md are what a plan says today."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from planning.plan import plan
from planning.traffic import Fleet
from planning.variants import MSK, OURS, SINGLE

PAGE = Path(__file__).resolve().parents[3] / "docs" / "plan.md"


def test_should_print_the_table_of_the_page() -> None:
    lines = PAGE.read_text().splitlines()
    first = lines.index("| devices | Kinesis, 1 s | MSK, 1 s | Kinesis, 5 s | MSK, 5 s | one reading a record |") + 2
    rows = [[int(cell.replace(",", "")) for cell in line.strip("| ").split("|")] for line in lines[first : first + 5]]
    assert [row[0] for row in rows] == [100, 1_000, 10_000, 100_000, 1_000_000]
    for devices, *shown in rows:
        fast, slow = (plan(Fleet(devices=devices, collect=dt.timedelta(seconds=seconds))) for seconds in (1, 5))
        compared = [(fast, OURS), (fast, MSK), (slow, OURS), (slow, MSK), (fast, SINGLE)]
        assert shown == [round(found.variant(name).usd_per_month) for found, name in compared]
