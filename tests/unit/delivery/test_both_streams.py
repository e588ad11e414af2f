"""The same readings by Kinesis and by Kafka: the same transitions, states and notifications."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.detector.records import decode_event
from tests.eventsource import STREAMS, Record, Settings, Stream
from tests.unit.delivery.deployed import NOW, Deployed, bundled
from tests.unit.delivery.test_delivery_promise import (
    RULES,
    Way,
    assert_same_outcome,
    examples,
    on_each_stream,
    run,
    streams,
    undisturbed,
    ways,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:No application metrics to publish"),
    pytest.mark.filterwarnings("ignore:Dimension 'stage' has already been added"),
]

OTHER: dict[Stream, Stream] = {"kinesis": "kafka", "kafka": "kinesis"}


@pytest.fixture(scope="module", autouse=True)
def _bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with bundled(tmp_path_factory.mktemp("bundle"), RULES):
        yield


@on_each_stream
@given(records=streams(), way=ways, partitions=st.integers(1, 4))
@examples(40)
def test_should_come_to_the_same_by_either_stream(
    records: list[Record], way: Way, partitions: int, stream: Stream
) -> None:
    """By one of them undisturbed; by the other in other batches and partitions, with faults and delivered again."""
    expected = undisturbed(records, Settings(stream=OTHER[stream]))
    behind = way.settings._replace(stream=stream, shards=partitions)
    deployed = run(Deployed(RULES, way.faults), records, behind, way.turns)
    assert_same_outcome(deployed, expected)
    run(deployed, records, behind, way.turns)
    assert_same_outcome(deployed, expected)


@given(records=streams(disordered=True), size=st.integers(1, 12))
@examples(40)
def test_should_write_the_same_states_but_for_the_places_of_records(records: list[Record], size: int) -> None:
    """With the same batches, so that the clock, by which some alerts fire, is the same as well."""
    by_kinesis, by_kafka = (
        run(Deployed(RULES), records, Settings(parallelization=1, batch_size=size, stream=stream)) for stream in STREAMS
    )
    assert by_kafka.states == by_kinesis.states
    assert by_kafka.snapshots == by_kinesis.snapshots
    assert by_kafka.lake == by_kinesis.lake


@given(records=streams(), partitions=st.integers(1, 4))
@examples(100)
def test_should_read_the_same_records_in_either_event(records: list[Record], partitions: int) -> None:
    by_kinesis, by_kafka = (
        decode_event(Settings(stream=stream, shards=partitions).event(records), lambda: NOW) for stream in STREAMS
    )
    read = [sorted((each.gateway, each.arrived, each.data) for each in found) for found in (by_kinesis, by_kafka)]
    assert read[0] == read[1]
    for gateway in {record.key for record in records}:
        ours = [each.data for each in by_kafka if each.gateway == gateway]
        assert ours == [record.data for record in records if record.key == gateway], "in the order of the partition"
