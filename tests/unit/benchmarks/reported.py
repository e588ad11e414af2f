"""Records of measurements, made up."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from benchmarks.report.machine import Machine
from benchmarks.report.measurements import Record

NOW = dt.datetime(2026, 11, 25, 12, 0, tzinfo=dt.UTC)
MACHINE = Machine("Abacus 3000", 2, 16.0, "Debian", "Linux 6 x86_64", "CPython 3.11.7")


def rates(others: tuple[str, ...], ours: float = 400_000, rows: int = 1_000, **more: Any) -> dict[str, Any]:
    *peers, floor = others
    return {
        "unit": "readings/s, higher is better",
        "rows": rows,
        "ours": ours,
        "peers": dict.fromkeys(peers, ours / 4),
        "floor": ours * 2,
        "ratios": {**{name: ratio(4) for name in peers}, floor: ratio(0.5)},
        "peak_memory_mb": dict.fromkeys(("ours", *others), 100.0),
        **more,
    }


def ratio(median: float) -> dict[str, float]:
    return {"median": median, "best": median + 0.5}


def benchmark(name: str, *peers: str, **more: Any) -> dict[str, Any]:
    return {"benchmark": name, "versions": {"python": "3.11.7"}, **rates((*peers, "floor"), **more)}


def scored(name: str, *, good: bool = True, **total: Any) -> dict[str, Any]:
    delays = {"p50": 60.0, "p95": 120.0}
    usual = {
        "expected": 20, "found": 19, "false": 0, "precision": 1.0, "recall": 0.95, "fires_after": delays,
        "told_after": delays, "notifications": 19, "a_incident": 0.9, "false_resolves": 0,
    }  # fmt: skip
    return {"name": name, "good": good, "incidents": 20, "messages": 40, "total": {**usual, **total}}


def demo(*latencies: float, lost: int = 0) -> dict[str, Any]:
    return {
        "sent": 1_000, "raw": 1_000, "curated": 990 - lost, "duplicates": 6, "quarantined": 4, "lost": lost,
        "alerts": len(latencies), "notifications": 2, "precision": 1.0, "recall": 1.0,
        "notifications_an_incident": 0.9, "alert_latencies_ms": sorted(latencies),
        "seconds": {"deploy": 4.1, "simulate": 30.0, "etl": 2.2, "total": 40.3},
    }  # fmt: skip


def plan(devices: int) -> dict[str, Any]:
    costs = {"ours": 10.0, "one reading a record": 40.0, "MSK": 400.0}
    return {
        "devices": devices,
        "usd": {name: usd * devices / 100 for name, usd in costs.items()},
        "prices": {"region": "us-east-1", "looked_up": "2026-11"},
        "fleet": {"devices": devices, "interval_seconds": 10.0},
    }


def record(name: str, result: Any = None, *, error: str = "", command: str = "", minute: int = 0) -> Record:
    return Record(
        name=name,
        command=command or f"iot {name} --json",
        began_at=NOW + dt.timedelta(minutes=minute),
        seconds=12.3,
        load=0.4,
        commit="abc1234",
        machine=MACHINE,
        versions={"python": "3.11.7", "duckdb": "1.4.5"},
        error=error,
        result=msgspec.Raw(msgspec.json.encode(result)),
    )


def everything() -> dict[str, Record]:
    """All that a page is about."""
    stream = rates(("random + json.dumps, a reading a record", "ready records"))
    windows = {"ours_with_windows": 2e5, "ratios_with_windows": {"json.loads": ratio(2)}}
    made = benchmark("simulator", "random", ours=1.2e6, ours_otherwise={"ours, faulty": 7e5}, kinesis=stream)
    found = [
        record("detector", benchmark("detector", "json.loads", **windows, cold_import_seconds={"boto3": 0.5})),
        record("simulator", made, minute=1),
        record("curate-small", benchmark("curate", "pandas", "polars", rows=10_000), minute=2),
        record("curate-large", benchmark("curate", "pandas", "polars", rows=160_000), minute=3),
        record("scores", [scored("calm"), scored("storm", good=False, precision=0.5, false=19)], minute=4),
        record("demo-1", demo(5_100.0, 5_400.0, 6_900.0), minute=5),
        record("demo-2", demo(5_200.0), minute=6),
        record("cost-100", plan(100), minute=7),
        record("cost-1000", plan(1_000), minute=8),
    ]
    return {each.name: each for each in found}
