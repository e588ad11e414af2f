"""Metrics as a table, and what they say was spent."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import boto3
import pandas as pd
from moto import mock_aws

from dashboards.app import measures

START = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
END = START + dt.timedelta(minutes=4, seconds=30)


class CloudWatch:
    """Answers in two pages, the second metric with a gap."""

    def client(self, name: str) -> CloudWatch:
        assert name == "cloudwatch"
        return self

    def get_paginator(self, name: str) -> CloudWatch:
        assert name == "get_metric_data"
        return self

    def paginate(self, **asked: Any) -> list[dict[str, Any]]:
        self.asked = asked["MetricDataQueries"]
        minute = dt.timedelta(minutes=1)
        return [
            {
                "MetricDataResults": [
                    {"Id": "m0", "Timestamps": [START, START + minute], "Values": [60.0, 120.0]},
                    {"Id": "m2", "Timestamps": [START + minute], "Values": [1500.0]},
                ]
            },
            {"MetricDataResults": [{"Id": "m0", "Timestamps": [START + 2 * minute], "Values": [180.0]}]},
        ]


def fetched(session: object, wanted: tuple[measures.Measure, ...]) -> pd.DataFrame:
    return measures.fetch(cast("boto3.Session", session), wanted, START, END, 60)


def test_should_put_each_measure_in_a_column_and_each_period_in_a_row() -> None:
    cloudwatch = CloudWatch()
    frame = fetched(cloudwatch, measures.flow("dev"))
    assert list(frame.columns) == ["at", "readings", "rejected", "p95"]
    assert frame["at"].iloc[0] == START
    assert frame["p95"].dropna().tolist() == [1.5]  # seconds
    assert cloudwatch.asked[0]["MetricStat"]["Metric"]["Dimensions"] == [
        {"Name": "service", "Value": "detector"},
        {"Name": "stage", "Value": "dev"},
    ]


def test_should_count_nothing_where_nothing_came_and_leave_the_period_under_way_out() -> None:
    frame = fetched(CloudWatch(), measures.flow("dev"))
    assert frame["readings"].tolist() == [60, 120, 180, 0]
    assert frame["rejected"].isna().all()  # never measured, which is not none


def test_should_give_an_empty_table_where_nothing_was_measured() -> None:
    with mock_aws():
        frame = fetched(boto3.Session(region_name="us-east-1"), measures.flow("dev"))
    assert frame.empty
    assert str(frame["at"].dtype).startswith("datetime64[ns, UTC")
