"""The Streamlit page asks CloudWatch for metrics that the programs emit, or AWS publishes, of resources there are."""

from __future__ import annotations

import pytest
from aws_cdk.assertions import Template

from dashboards.app import measures
from dashboards.app.measures import Measure
from pipeline.deployment import Deployment
from tests.infra.test_grafana_metrics import (  # noqa: F401 - fixtures
    NAMED,
    PUBLISHED,
    Asked,
    emitted,
    missing,
)
from tests.infra.test_metrics import (  # noqa: F401 - fixtures
    Series,
    emitted_by,
    emitted_by_curation,
    emitted_by_detector,
    emitted_by_notifier,
    emitted_by_watchdog,
)


@pytest.fixture(scope="module")
def deployed(templates: dict[str, Template]) -> Deployment:
    """A deployment with the names of the templates; what is generated has the name of its field."""

    def name(kind: str, ending: str = "") -> str:
        type_, key = NAMED[kind]
        found = [
            str(resource["Properties"][key])
            for template in templates.values()
            for resource in template.find_resources(type_).values()
            if str(resource["Properties"].get(key, "")).endswith(ending)
        ]
        return found[0]

    names = {field: field for field in Deployment.__struct_fields__}
    names |= {
        "stream_name": name("StreamName"),
        "delivery_stream_name": name("DeliveryStreamName", "raw"),
        "work_group_name": name("WorkGroup"),
        **{f"{one}_function_name": name("FunctionName", one) for one in ("detector", "watchdog", "notifier")},
    }
    return Deployment(**names)


def asked(wanted: tuple[Measure, ...]) -> list[Asked]:
    return [Asked(one.key, one.namespace, one.name, dict(one.dimensions)) for one in wanted]


def test_should_ask_for_metrics_that_the_programs_emit(emitted: set[Series]) -> None:  # noqa: F811
    wanted = asked(
        (*measures.flow("dev"), *measures.detection("dev"), *measures.notification("dev"), *measures.curation("dev"))
    )
    assert len(wanted) == 9
    assert missing(wanted, emitted) == []
    assert missing(asked((measures.ours("x", "detector", "dev", "Readingz", "Sum"),)), emitted)


def test_should_ask_aws_for_metrics_that_it_publishes(deployed: Deployment) -> None:
    wanted = asked((*measures.service(deployed), *measures.spent(deployed)))
    assert len(wanted) > 15
    for one in wanted:
        assert one.name in PUBLISHED[one.namespace, *sorted(one.dimensions)], one


def test_should_give_each_measure_of_a_page_its_own_key(deployed: Deployment) -> None:
    for wanted in (measures.flow("dev"), measures.service(deployed), measures.spent(deployed)):
        assert len({one.key for one in wanted}) == len(wanted)
