"""The handler that AWS's own toolkit suggests: Powertools' batch processor, and a pydantic model for each reading."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from benchmarks.detector.contenders import Contender, Event, Topic

_Id = Annotated[str, Field(min_length=1, max_length=128)]


class _Reading(BaseModel):
    """The fields and bounds of :class:`telemetry.reading.model.Reading`."""

    device_id: _Id
    site: _Id
    ts: AwareDatetime
    seq: Annotated[int, Field(ge=0, le=2**63 - 1)]
    temperature: Annotated[float, Field(ge=-100, le=150)] | None = None
    humidity: Annotated[float, Field(ge=0, le=100)] | None = None
    battery: Annotated[float, Field(ge=0, le=60)] | None = None
    status: Literal["ok", "degraded", "fault"]


def one_threshold() -> Contender:
    """Publishes every reading that is too hot."""
    topic = Topic()
    processor = BatchProcessor(event_type=EventType.KinesisDataStreams)

    def handle_record(record: KinesisStreamRecord) -> None:
        for line in record.kinesis.data_as_bytes().splitlines():
            try:
                reading = _Reading.model_validate_json(line)
            except ValidationError:
                continue
            if reading.temperature is not None and reading.temperature > 40:
                topic.publish(TopicArn="topic", Message=reading.model_dump_json())

    def handle(event: Event) -> object:
        response = process_partial_response(event, handle_record, processor)
        return cast("object", response)

    return Contender(handle, topic.tell)
