"""``iot up``."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import console, ingesting
from cli.ingesting import Ingesting, KafkaBroker
from cli.options import Json
from local import emulator
from local.kafka import instance as kafka
from pipeline.errors import PipelineError


def up(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The port on 127.0.0.1; by default the last one used, or a free one."),
    ] = None,
    *,
    ingest: Ingesting = None,
    broker: KafkaBroker = "",
    as_json: Json = False,
) -> None:
    """Start the local AWS. It runs until "iot down"; its data lives as long as it runs.

    With "--ingest msk" the readings come by a Kafka topic: a broker is started, and
    a bridge that brings its records to the detector and to the raw zone. "iot
    deploy" then deploys that. If Kafka has died since, it is started again with
    its records.
    """
    ingesting.check(ingest, broker)
    instance = emulator.start(port)
    if ingest == "kinesis" and kafka.running():
        raise PipelineError(
            "Kafka runs next to the local AWS, and what is deployed may read from it: 'iot down' ends both"
        )
    lost = kafka.died() if ingest is None else None
    if lost:
        kafka.start(instance.endpoint, "" if lost.own else lost.bootstrap)
    elif ingest == "msk":
        kafka.start(instance.endpoint, broker)
    topic = kafka.running()
    if as_json:
        found = {"endpoint": instance.endpoint, "pid": instance.pid}
        console.print_json(found | ({"kafka_bootstrap": topic.bootstrap} if topic else {}))
    else:
        beside = f", with a Kafka broker at {topic.bootstrap}" if topic else ""
        console.out.print(f"the local AWS is up at {instance.endpoint}{beside}; next: iot deploy")
