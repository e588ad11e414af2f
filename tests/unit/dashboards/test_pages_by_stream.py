"""The pages of a deployment with a Kinesis stream, with a topic on MSK, and with a broker next to an emulator."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboards.app import fetching, measures, pipeline_in_use
from dashboards.app.measures import Measure
from dashboards.app.pipeline_in_use import Source
from dashboards.app.views import pipeline
from pipeline import kafka
from pipeline.deployment import Deployment
from pipeline.errors import PipelineError
from tests.deployments import named_deployment

HOUR = dt.timedelta(hours=1)
START = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)

CLUSTER_ARN = "arn:aws:kafka:eu-west-1:123456789012:cluster/iot-dev/0a1b2c3d-4e5f-6789-abcd-ef0123456789-5"
KINESIS = named_deployment()
MSK = named_deployment(ingest="msk", kafka_cluster_arn=CLUSTER_ARN, kafka_bootstrap="")
LOCAL = named_deployment(ingest="msk", kafka_cluster_arn="", kafka_bootstrap="127.0.0.1:9092")

#: The newest values of AWS' own metrics, by the keys of their measures.
MEASURED = {"behind": 12.5, "undelivered": 480.0, "refused": 2.0, "errors": 1.0}


def draw_pipeline() -> None:
    from dashboards.app.pipeline_in_use import Source
    from dashboards.app.views import pipeline

    pipeline._now(Source(aws=True, stage="dev"))


def draw_live() -> None:
    from dashboards.app.pipeline_in_use import Source
    from dashboards.app.views import live

    live._now(Source(aws=True, stage="dev"))


def draw_costs() -> None:
    from dashboards.app.pipeline_in_use import Source
    from dashboards.app.views import pipeline

    pipeline._costs(Source(aws=True, stage="dev"))


class Brokers:
    """A session that describes a cluster of three brokers."""

    def client(self, _: str) -> Brokers:
        return self

    def describe_cluster_v2(self, **_: str) -> dict[str, Any]:
        nodes = {"NumberOfBrokerNodes": 3, "BrokerNodeGroupInfo": {"InstanceType": "express.m7g.large"}}
        return {"ClusterInfo": {"CreationTime": dt.datetime.now(dt.UTC) - HOUR, "Provisioned": nodes}}


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Draw a page of a deployment where only AWS' own metrics have values."""

    def metrics(wanted: tuple[Measure, ...], *_: object) -> pd.DataFrame:
        values = {one.key: [None if one.namespace == "IoTPipeline" else MEASURED.get(one.key)] for one in wanted}
        return pd.DataFrame({"at": pd.to_datetime([START], utc=True), **values})

    def counted(_: object, wanted: tuple[Measure, ...], *__: object) -> pd.DataFrame:
        return pd.DataFrame({"at": pd.to_datetime([START], utc=True), **{one.key: [1e9] for one in wanted}})

    def opened(draw: Callable[[], None], deployed: Deployment) -> AppTest:
        # Streamlit runs the page as the main module, and leaves it there: processes that others spawn would run it.
        monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
        for module in (pipeline_in_use, pipeline):
            monkeypatch.setattr(module, "deployed", lambda _: deployed)
        monkeypatch.setattr(fetching, "deployed", lambda _: deployed)
        monkeypatch.setattr(fetching, "session", Brokers)
        monkeypatch.setattr(measures, "fetch", counted)
        monkeypatch.setattr(fetching, "metrics", metrics)
        fetching.spent.clear()
        monkeypatch.setattr(fetching, "alarms", lambda _: [])
        monkeypatch.setattr(fetching, "standings", lambda _: [])
        monkeypatch.setattr(fetching, "waiting_records", lambda _: "1,234 records")
        page = AppTest.from_function(draw).run()
        assert not page.exception
        return page

    return opened


def figures(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


@pytest.mark.parametrize(
    ("deployed", "shown"),
    [
        (
            KINESIS,
            {
                "Behind the stream": "12.5 s",
                "Raw zone behind": "480 s",
                "Writes throttled": "2",
                "Detector errors": "1",
            },
        ),
        (
            MSK,
            {
                "Behind the topic": "12.5 s",
                "Raw zone behind": "480 s",
                "Records not delivered": "2",
                "Detector errors": "1",
            },
        ),
    ],
    ids=["kinesis", "msk"],
)
def test_should_show_how_far_behind_the_stream_the_pipeline_is(
    deployed: Deployment, shown: dict[str, str], open_page: Callable[..., AppTest]
) -> None:
    page = figures(open_page(draw_pipeline, deployed))

    assert shown.items() <= page.items()
    of_both = {"Behind the stream", "Behind the topic", "Writes throttled", "Records not delivered"}
    assert of_both & page.keys() == of_both & shown.keys()


@pytest.mark.parametrize("draw", [draw_pipeline, draw_live])
@pytest.mark.parametrize(("deployed", "sink"), [(KINESIS, "kinesis"), (MSK, "kafka"), (LOCAL, "kafka")])
def test_should_name_the_sink_that_fills_the_stream(
    draw: Callable[[], None], deployed: Deployment, sink: str, open_page: Callable[..., AppTest]
) -> None:
    words = " ".join(info.value for info in open_page(draw, deployed).info)

    assert f"--sink {sink}**" in words


def test_should_bill_the_brokers_of_a_topic_and_nothing_next_to_an_emulator(
    open_page: Callable[..., AppTest],
) -> None:
    (costs,) = open_page(draw_costs, MSK).dataframe
    rows = costs.value.set_index(["service", "what"])["quantity"]

    assert rows["MSK", "brokers"] == pytest.approx(3, rel=0.01)
    assert {"Kinesis", "Firehose"}.isdisjoint(costs.value["service"])
    assert "the local AWS counts nothing" in open_page(draw_costs, LOCAL).info[0].value


def test_should_say_why_the_backlog_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Deployment) -> None:
        raise PipelineError("no broker answers at 127.0.0.1:9092")

    monkeypatch.setattr(fetching, "deployed", lambda _: LOCAL)
    monkeypatch.setattr(kafka, "consumer_lag", refuse)
    fetching.waiting_records.clear()

    words = fetching.waiting_records(Source(aws=False, stage="dev"))

    assert words == "unknown: no broker answers at 127.0.0.1:9092"


def test_should_say_that_nobody_measures_the_delivery_next_to_an_emulator(open_page: Callable[..., AppTest]) -> None:
    page = figures(open_page(draw_pipeline, LOCAL))

    assert page["Behind the topic"] == "1,234 records"  # the broker knows
    assert page["Raw zone behind"] == "not measured"
    assert page["Records not delivered"] == "not measured"
