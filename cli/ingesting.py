"""Options of verbs that start the local AWS: what brings the readings in."""

from __future__ import annotations

import importlib.util
from typing import Annotated

import typer

from local.endpoint import require_broker
from local.kafka import instance as kafka
from pipeline.errors import PipelineError
from pipeline.names import Ingest

Ingesting = Annotated[
    Ingest | None,
    typer.Option(
        "--ingest",
        help="What brings the readings in: a Kinesis stream, or a Kafka topic as on Amazon MSK. "
        "Default: what runs already, else kinesis.",
        show_default=False,
    ),
]

KafkaBroker = Annotated[
    str,
    typer.Option(
        "--kafka",
        metavar="HOST:PORT",
        help="A Kafka broker on this machine that runs already, such as the one of "
        "'docker compose --profile kafka up'. The pipeline's topics there are emptied. Default: one is started, which "
        "needs Java and 'make kafka'.",
        show_default=False,
    ),
]


def check(ingest: Ingest | None, broker: str) -> None:
    """Raise for options that do not go together, a broker elsewhere, or what is not installed."""
    if broker and ingest != "msk":
        raise PipelineError("--kafka is the broker of --ingest msk: write both")
    if broker:
        require_broker(broker)
    if ingest == "msk" and not importlib.util.find_spec("confluent_kafka"):
        raise ModuleNotFoundError(name="confluent_kafka")
    if ingest == "msk" and not broker:
        kafka.require_installed()
