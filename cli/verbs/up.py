"""``iot up``."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import console, ingesting
from cli.ingesting import Ingesting, KafkaBroker
from cli.options import Json
from local import emulator
from local.kafka import instance as kafka


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
    deploy" then deploys that.
    """
    ingesting.check(ingest, broker)
    instance = emulator.start(port)
    if ingest == "msk":
        kafka.start(instance.endpoint, broker)
    elif ingest == "kinesis":
        kafka.stop()
    topic = kafka.running()
    if as_json:
        found = {"endpoint": instance.endpoint, "pid": instance.pid}
        console.print_json(found | ({"kafka_bootstrap": topic.bootstrap} if topic else {}))
    else:
        beside = f", with a Kafka broker at {topic.bootstrap}" if topic else ""
        console.out.print(f"the local AWS is up at {instance.endpoint}{beside}; next: iot deploy")
