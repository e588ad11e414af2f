"""A device's chart: which thresholds belong on it, and from when to when its alerts lasted."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from dashboards.app.series import Threshold, chart, near, spans_of, thresholds_of
from telemetry.rules.parse import parse_rules

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
RULES = parse_rules(
    """
    rules:
      - {name: too-hot, when: temperature > 40 and battery > 2, severity: critical}
      - {name: freezer, match: {device: "freezer-*"}, when: "avg(temperature, 10m) > -12", severity: page}
      - {name: rising, when: "rate(temperature, 10m) > 2"}
      - {name: silent, when: no_data, for: 10m}
    """
)


def change(alert: str, sequence: int, what: str, minute: int, severity: str = "warning") -> dict[str, object]:
    at = f"2026-11-23T11:{minute:02}:00.5Z"
    texts = {"alert_id": alert, "change": what, "severity": severity, "rule": "too-hot", "summary": what}
    return texts | {"sequence": sequence, "changed_at": at, "recorded_at": at}


def test_should_have_the_thresholds_of_the_rules_that_watch_the_device() -> None:
    on = {(one.rule, one.metric, one.value, one.severity) for one in thresholds_of(RULES, "freezer-1", "north")}
    assert on == {
        ("too-hot", "temperature", 40, "critical"),
        ("too-hot", "battery", 2, "critical"),
        ("freezer", "temperature", -12, "page"),
    }
    assert {one.rule for one in thresholds_of(RULES, "room-1", "north")} == {"too-hot"}


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(-20.0, -18.0, [-30, -12]), (-20.0, 0.0, [-30, -12, 40]), (45.0, 50.0, [40]), (-50.0, -40.0, [-30])],
)
def test_should_draw_the_thresholds_among_the_values_and_the_next_ones(
    low: float, high: float, shown: list[float]
) -> None:
    thresholds = [Threshold("r", "info", "temperature", value, "") for value in (40.0, -12.0, -30.0)]
    assert sorted(one.value for one in near(thresholds, low, high)) == shown


def test_should_know_from_when_to_when_alerts_lasted_whatever_the_order_of_their_changes() -> None:
    found = spans_of(
        pd.DataFrame(
            [
                change("b", 1, "firing", 40),
                change("a", 3, "resolved", 20, "page"),
                change("a", 2, "escalated", 10, "page"),
                change("a", 1, "firing", 5),
                change("c", 1, "acknowledged", 1),
                change("", 0, "snoozed", 2),
            ]
        ),
    )
    ends = [one.end and one.end.minute for one in found]
    assert ends == [20, None]  # the second is still active
    assert [(one.start.minute, one.severity) for one in found] == [(5, "page"), (40, "warning")]


def test_should_have_no_span_without_a_change() -> None:
    assert spans_of(pd.DataFrame(columns=["alert_id", "sequence", "change"])) == []


def test_should_put_units_and_the_time_zone_on_the_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamlit.session_state", {"zone": "Asia/Tokyo"})
    times = pd.to_datetime([NOW, NOW + dt.timedelta(minutes=1)], utc=True)
    readings = pd.DataFrame({"ts": times, "temperature": [20.0, 45.0]})
    spans = spans_of(pd.DataFrame([change("a", 1, "firing", 5)]))
    drawn = chart(readings, "temperature", "°C", thresholds_of(RULES, "room-1", "north"), spans).to_dict()
    marks = [layer["mark"]["type"] for layer in drawn["layer"]]
    assert marks == ["rect", "line", "rule", "text"]
    line = drawn["layer"][1]["encoding"]
    assert (line["x"]["title"], line["y"]["title"]) == ("time, Asia/Tokyo", "temperature, °C")
