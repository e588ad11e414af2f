"""The options that say where lines go, for every command that sends some."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simulator.sinks.choice import SinkName

PANEL = "Where the lines go"

Sink = Annotated[SinkName, typer.Option(help="Where the lines go.", rich_help_panel=PANEL)]
LinesPath = Annotated[
    Path | None,
    typer.Option(dir_okay=False, help="file: its name; compressed if it ends in .gz.", rich_help_panel=PANEL),
]
Stream = Annotated[str, typer.Option(help="kinesis: the stream's name.", rich_help_panel=PANEL)]
DeliveryStream = Annotated[str, typer.Option(help="firehose: the delivery stream's name.", rich_help_panel=PANEL)]
Bucket = Annotated[str, typer.Option(help="raw-zone: the bucket's name.", rich_help_panel=PANEL)]
Brokers = Annotated[str, typer.Option(help="kafka: host:port, several with commas.", rich_help_panel=PANEL)]
Topic = Annotated[str, typer.Option(help="kafka: the topic, which has to exist.", rich_help_panel=PANEL)]
MskIam = Annotated[bool, typer.Option("--msk-iam", help="kafka: log in to Amazon MSK with IAM.", rich_help_panel=PANEL)]
Host = Annotated[
    str, typer.Option(help="mqtt: the broker, such as the account's AWS IoT endpoint.", rich_help_panel=PANEL)
]
Port = Annotated[int | None, typer.Option(min=1, max=65_535, help="mqtt: 8883 by default.", rich_help_panel=PANEL)]
TopicPrefix = Annotated[str, typer.Option(help="mqtt: gateways publish to PREFIX/GATEWAY.", rich_help_panel=PANEL)]
Certificate = Annotated[
    Path | None, typer.Option(dir_okay=False, help="mqtt: the client's certificate, PEM.", rich_help_panel=PANEL)
]
Key = Annotated[Path | None, typer.Option(dir_okay=False, help="mqtt: its private key, PEM.", rich_help_panel=PANEL)]
CertificateAuthority = Annotated[
    Path | None,
    typer.Option(dir_okay=False, help="mqtt: who may vouch for the broker, PEM.", rich_help_panel=PANEL),
]
Batch = Annotated[int, typer.Option(min=1, help="The most lines in a record.", rich_help_panel=PANEL)]
