"""How named queries are found, and what each of them answers. That they run on Athena: ``tests/contract``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.named_queries import find, load
from tests.contract import lake

NOW = dt.datetime(2026, 11, 23, 12)
TODAY, YESTERDAY = "2026-11-23", "2026-11-22"


def ask(name: str, **rows: Iterable[lake.Row]) -> list[dict[str, Any]]:
    """What the query answers at noon from tables with these rows."""
    return lake.rows_of(lake.connect(rows), lake.at(NOW, find(name).sql))


def ago(**time: float) -> dt.datetime:
    return NOW - dt.timedelta(**time)


def rfc3339(moment: dt.datetime) -> str:
    return f"{moment.isoformat()}Z"


def test_should_read_what_a_query_is_about_from_its_file(tmp_path: Path) -> None:
    sql = "-- title: The rooms\n-- description: Each room, once\n-- more\nSELECT 1\n"
    (tmp_path / "rooms.sql").write_text(sql)
    (query,) = load(tmp_path)
    assert (query.name, query.title, query.description, query.sql) == ("rooms", "The rooms", "Each room, once", sql)


@pytest.mark.parametrize(
    "sql", ["SELECT 1\n", "-- title: The rooms\nSELECT 1\n", "-- description: x\n-- title: The rooms\nSELECT 1\n"]
)
def test_should_refuse_a_file_that_does_not_say_what_it_is(sql: str, tmp_path: Path) -> None:
    (tmp_path / "rooms.sql").write_text(sql)
    with pytest.raises(PipelineError, match=r"rooms.sql has to begin with the lines '-- title: ...'"):
        load(tmp_path)


def test_should_say_which_query_was_meant() -> None:
    with pytest.raises(PipelineError) as raised:
        find("hotest-device")
    assert str(raised.value) == (
        "no query is named 'hotest-device': did you mean hottest-devices? 'iot query --list' says what each answers"
    )
    with pytest.raises(PipelineError, match=r"no query is named 'x': there are alert-durations, .*, site-day\. 'iot"):
        find("x")


def test_should_find_the_hottest_devices_and_when() -> None:
    hour = {"device_id": "d", "dt": TODAY, "temperature_count": 1}
    hottest, other = ask(
        "hottest-devices",
        readings_hourly=[
            hour | {"temperature_max": 30.0, "temperature_mean": 20.0, "hour_start": ago(hours=2), "site": "old"},
            hour | {"temperature_max": 45.0, "temperature_mean": 40.0, "hour_start": ago(hours=1), "site": "new"}
            | {"temperature_count": 3},
            hour | {"device_id": "e", "temperature_max": 31.0},
            hour | {"device_id": "f", "temperature_max": None, "temperature_mean": None, "temperature_count": 0},
            hour | {"device_id": "g", "temperature_max": 99.0, "dt": "2026-11-15"},
        ],
    )  # fmt: skip
    assert hottest == {
        "device_id": "d", "site": "new", "hottest_celsius": 45, "hour_start": ago(hours=1), "mean_celsius": 35,
        "readings": 4,
    }  # fmt: skip
    assert other["device_id"] == "e"


def test_should_show_today_by_site() -> None:
    days: list[lake.Row] = [
        {"site": "b", "dt": TODAY}, {"site": "a", "dt": TODAY, "received": 7}, {"site": "c", "dt": YESTERDAY}
    ]  # fmt: skip
    assert [(row["site"], row["received"]) for row in ask("site-day", site_daily=days)] == [("a", 7), ("b", 1)]


def test_should_show_the_fleet_hour_by_hour() -> None:
    hour = {"hour_start": ago(hours=1), "dt": TODAY, "received": 8, "expected": 10, "duplicates": 2}
    rows = [
        hour | {"device_id": "a", "temperature_count": 1, "temperature_mean": 10.0, "temperature_max": 11.0},
        hour | {"device_id": "b", "temperature_count": 3, "temperature_mean": 30.0, "temperature_max": 31.0},
        hour | {"hour_start": ago(days=1), "dt": YESTERDAY, "temperature_count": 0, "temperature_mean": None},
        hour | {"hour_start": ago(days=2), "dt": "2026-11-21"},
    ]
    earlier, later = ask("hourly-fleet", readings_hourly=rows)
    assert (earlier["hour_start"], earlier["devices"], earlier["mean_celsius"]) == (ago(days=1), 1, None)
    assert (later["devices"], later["readings"], later["missing"], later["repeated"]) == (2, 16, 4, 4)
    assert (later["mean_celsius"], later["hottest_celsius"]) == (25, 31)


def test_should_put_the_least_complete_devices_first() -> None:
    day = {"dt": TODAY, "received": 10, "expected": 10}
    rows = [
        day | {"device_id": "whole"},
        day | {"device_id": "half", "received": 5},
        day | {"device_id": "half", "received": 7, "dt": YESTERDAY, "site": "old"},
        day | {"device_id": "twice", "received": 20},
        day | {"device_id": "gone", "received": 0, "dt": "2026-11-15"},
    ]
    answer = ask("completeness", device_health=rows)
    assert [(row["device_id"], row["complete"], row["days"]) for row in answer] == [
        ("half", 0.6, 2), ("twice", 1, 1), ("whole", 1, 1)
    ]  # fmt: skip
    assert answer[0]["site"] == "site"


def test_should_tell_who_loses_most_and_when() -> None:
    day = {"dt": TODAY, "received": 90, "gaps": 1}
    rows = [
        day | {"device_id": "a", "lost": 8},
        day | {"device_id": "a", "lost": 12, "dt": YESTERDAY, "gaps": 2},
        day | {"device_id": "b", "lost": 30},
        day | {"device_id": "c", "lost": 0},
    ]
    answer = ask("losses", device_health=rows)
    assert [(row["device_id"], row["missing"], row["times"], row["worst_day"]) for row in answer] == [
        ("b", 30, 1, TODAY), ("a", 20, 3, YESTERDAY)
    ]  # fmt: skip
    assert answer[1]["share"] == 0.1


def test_should_give_percentiles_of_lateness_by_site() -> None:
    rows = [
        {"site": site, "dt": TODAY, "arrived": NOW, "ts": ago(seconds=late)}
        for site, latenesses in {"steady": [*range(1, 101)], "bursts": [1] * 90 + [4000] * 10}.items()
        for late in latenesses
    ]
    bursts, steady = ask("late-data", readings=[*rows, {"dt": "2026-11-20"}])
    assert steady == {
        "site": "steady", "readings": 100, "p50_seconds": 50, "p95_seconds": 95, "latest_seconds": 100,
        "over_an_hour": 0,
    }  # fmt: skip
    assert (bursts["p50_seconds"], bursts["p95_seconds"], bursts["over_an_hour"]) == (1, 4000, 10)


def test_should_tell_when_batteries_will_be_low() -> None:
    def days(device: str, *volts: float, trend: float = 0) -> list[lake.Row]:
        return [
            {
                "device_id": device, "dt": f"{ago(days=number):%Y-%m-%d}", "battery_last": each, "battery_trend": trend,
                "last_seen": ago(days=number),
            }
            for number, each in enumerate(volts)
        ]  # fmt: skip

    rows = [
        *days("falling", 2.5, 2.51, 2.52, 2.53, trend=5),
        *days("new-and-falling", 2.45, trend=-0.0125),
        *days("low", 2.3, trend=1),
        *days("slow", 3.0, 3.001, 3.002),
        *days("charging", 2.5, 2.4, 2.3),
        *days("steady", 2.5, 2.5, 2.5),
        {"device_id": "mains", "dt": TODAY, "battery_last": None},
    ]
    answer = ask("battery-low-soon", device_health=rows)
    assert [row["device_id"] for row in answer] == ["low", "new-and-falling", "falling"]
    assert [row["days_left"] for row in answer] == pytest.approx([0, 4, 10])
    assert answer[2]["volts_a_day"] == pytest.approx(-0.01)


def test_should_miss_devices_that_are_registered_or_were_seen() -> None:
    seen = [
        {"device_id": "talks", "last_seen": ago(hours=23), "dt": YESTERDAY},
        {"device_id": "stopped", "last_seen": ago(days=5), "dt": "2026-11-18"},
        {"device_id": "stopped", "last_seen": ago(days=4), "dt": "2026-11-19"},
        {"device_id": "unknown", "last_seen": ago(hours=25), "dt": YESTERDAY, "site": "attic"},
    ]
    registered = [{"device_id": "talks"}, {"device_id": "stopped", "site": "hall"}, {"device_id": "never"}]
    answer = ask("silent-devices", device_health=seen, devices=registered)
    assert [(row["device_id"], row["site"], row["registered"], row["silent_hours"]) for row in answer] == [
        ("never", "site", True, None), ("stopped", "hall", True, 96), ("unknown", "attic", False, 25)
    ]  # fmt: skip


def test_should_count_the_quarantine_by_reason() -> None:
    line = {"dt": TODAY, "reason": "not_json", "arrived": ago(hours=2), "raw_object": "one"}
    rows = [
        line,
        line | {"arrived": ago(hours=1), "raw_object": "two", "detail": "newest"},
        line | {"reason": "empty"},
        line | {"reason": "too_late", "dt": "2026-11-10"},
    ]
    first, second = ask("quarantine-by-reason", quarantine=rows)
    assert first == {
        "reason": "not_json", "lines": 2, "objects": 2, "first_arrived": ago(hours=2), "last_arrived": ago(hours=1),
        "newest_detail": "newest",
    }  # fmt: skip
    assert (second["reason"], second["lines"]) == ("empty", 1)


def test_should_tell_which_devices_contradict_themselves() -> None:
    conflict = {"dt": YESTERDAY, "reason": "conflict", "ts": ago(days=1), "arrived": ago(hours=3)}
    rows = [
        conflict | {"line": '{"device_id":"a","seq":1}'},
        conflict | {"line": '{"seq":1, "device_id" : "b"}'},
        conflict | {"line": '{"seq":2, "device_id" : "b"}', "arrived": ago(hours=2)},
        conflict | {"reason": "not_json", "line": "{"},
    ]
    answer = ask("conflicts", quarantine=rows)
    assert [(row["device_id"], row["conflicts"]) for row in answer] == [("b", 2), ("a", 1)]
    assert answer[0]["newest_line"] == '{"seq":2, "device_id" : "b"}'


def test_should_tell_whose_readings_come_twice() -> None:
    day = {"dt": TODAY, "received": 30}
    rows = [
        day | {"device_id": "a", "duplicates": 10},
        day | {"device_id": "b", "duplicates": 0},
        day | {"device_id": "a", "duplicates": 30, "dt": YESTERDAY},
    ]
    (row,) = ask("duplicates", device_health=rows)
    assert (row["device_id"], row["removed"], row["share"], row["worst_day"]) == ("a", 40, 0.4, YESTERDAY)


def test_should_count_each_alert_of_a_rule_once() -> None:
    change = {"dt": TODAY, "rule": "too-hot", "alert_id": "1", "device": "a", "site": "s", "change": "firing"}
    rows = [
        change | {"changed_at": rfc3339(ago(hours=3))},
        change | {"changed_at": rfc3339(ago(hours=3))},
        change | {"change": "acknowledged"},
        change | {"change": "resolved"},
        change | {"alert_id": "2", "device": "b", "changed_at": rfc3339(ago(hours=1))},
        change | {"rule": "quiet", "alert_id": "", "change": "disabled"},
    ]
    hot, quiet = ask("alerts-by-rule", alerts=rows)
    assert hot == {
        "rule": "too-hot", "fired": 2, "escalated": 0, "flapped": 0, "acknowledged": 1, "resolved": 1, "devices": 2,
        "sites": 1, "last_fired": ago(hours=1),
    }  # fmt: skip
    assert (quiet["fired"], quiet["last_fired"]) == (0, None)


def test_should_tell_how_long_alerts_last() -> None:
    rows: list[dict[str, Any]] = [
        {
            "alert_id": str(minutes), "rule": "too-hot", "change": "resolved", "dt": TODAY,
            "fired_at": rfc3339(ago(minutes=minutes)), "changed_at": rfc3339(NOW),
        }
        for minutes in (1, 2, 3, 30)
    ]  # fmt: skip
    others = [rows[0], rows[0] | {"alert_id": "x", "change": "inactive", "fired_at": None}]
    assert ask("alert-durations", alerts=[*rows, *others]) == [
        {"rule": "too-hot", "alerts": 4, "median_minutes": 2, "p95_minutes": 30, "longest_minutes": 30}
    ]


def test_should_put_the_stalest_site_first() -> None:
    rows = [
        {"site": "fresh", "device_id": "a", "last_seen": ago(minutes=1), "dt": TODAY},
        {"site": "fresh", "device_id": "a", "last_seen": ago(days=1), "dt": YESTERDAY},
        {"site": "fresh", "device_id": "b", "last_seen": ago(minutes=9), "dt": TODAY},
        {"site": "stale", "device_id": "c", "last_seen": ago(days=2), "dt": "2026-11-21"},
    ]
    assert [(row["site"], row["devices"], row["minutes_old"]) for row in ask("freshness", device_health=rows)] == [
        ("stale", 1, 2880), ("fresh", 2, 1)
    ]  # fmt: skip
