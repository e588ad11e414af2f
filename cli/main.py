"""The ``iot`` command."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from botocore.exceptions import BotoCoreError, ClientError

from cli import alerts, etl, quarantine, query, registry, rules, target
from cli.options import Json
from cli.target import Choice
from local import demo, emulator, endpoint
from pipeline import deployment, show
from pipeline.audit import audit
from pipeline.errors import PipelineError
from simulator.cli import OPEN_STREAM, simulate
from simulator.kinesis import KinesisSink
from simulator.run import Manifest
from simulator.sinks import SinkError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="""An IoT pipeline on AWS, or on this machine.

    [bold]Try it:[/]  iot demo

    [bold]Step by step, on this machine:[/]

      iot up                                     start the local AWS

      iot deploy                                 deploy the stacks to it

      iot alerts tail &                          show alerts as they come

      iot simulate --rate 1000 --duration 30s --sink kinesis --faults 3

      iot etl run                                curate what arrived

      iot query "SELECT count(*) FROM readings"

      iot down                                   stop it again

    Every command talks to the local AWS. To work with your own account, deploy with "cdk deploy"
    and write "iot --aws" in front of a verb.
    """,
)
app.add_typer(alerts.app, name="alerts")
app.add_typer(etl.app, name="etl")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(registry.app, name="registry")
app.add_typer(rules.app, name="rules")


@app.callback()
def choose(
    context: typer.Context,
    *,
    aws: Annotated[bool, typer.Option("--aws", help="Use your AWS account, not the local AWS.")] = False,
    stage: Annotated[str, typer.Option(help="Which deployment.")] = "dev",
) -> None:
    """Keep what was chosen for the verb."""
    context.obj = Choice(aws, stage)
    context.meta[OPEN_STREAM] = lambda stream: _open_stream(context, stream)


def _open_stream(context: typer.Context, stream: str) -> KinesisSink:
    """Where ``iot simulate --sink kinesis`` puts its records: the deployment's stream unless another is named."""
    choice: Choice = context.obj
    session = target.connect(aws=choice.aws)
    return KinesisSink(session.client("kinesis"), stream or deployment.find(session, choice.stage).stream_name)


@app.command()
def up(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The port on 127.0.0.1; a free one by default.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Start the local AWS. It runs until "iot down"; its data lives as long as it runs."""
    instance = emulator.start(port)
    if as_json:
        show.print_json({"endpoint": instance.endpoint, "pid": instance.pid})
    else:
        show.out.print(f"the local AWS is up at {instance.endpoint}; next: iot deploy")


@app.command()
def down() -> None:
    """Stop the local AWS and everything it runs; its data is gone then."""
    show.out.print("the local AWS is down" if emulator.stop() else "no local AWS was running")


@app.command()
def status(context: typer.Context, *, as_json: Json = False) -> None:
    """Show where the local AWS is and what is deployed."""
    session, deployed = target.deployed(context)
    facts = {"endpoint": session.client("sts").meta.endpoint_url, **msgspec.to_builtins(deployed)}
    if as_json:
        show.print_json(facts)
        return
    for name, value in facts.items():
        show.out.print(f"{name:<24} {value}")


@app.command()
def deploy(context: typer.Context) -> None:
    """Deploy the stacks to the local AWS with the CDK command line."""
    choice: Choice = context.obj
    if choice.aws:
        raise PipelineError("to deploy to your AWS account, use the CDK itself: npx cdk deploy --all")
    demo.deploy(target.connect(aws=False), choice.stage, show.err)


app.command("simulate")(simulate)
app.command("query")(query.query)


@app.command("audit")
def audit_command(
    context: typer.Context,
    manifest: Annotated[Path, typer.Option(help="What the simulator wrote with --manifest.")] = demo.MANIFEST,
    *,
    as_json: Json = False,
) -> None:
    """Compare what a simulation sent with what is in the lake; exit code 1 if it does not add up.

    Counts everything of the hours of the run, so nobody else may have been sending. On AWS, wait until Firehose has
    delivered (raw_buffer_seconds, and a minute more), then run "iot etl run", then this.
    """
    session, deployed = target.deployed(context)
    try:
        run = msgspec.json.decode(manifest.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise PipelineError(f"{manifest} is no manifest of a simulation: {error}") from error
    result = audit(session, deployed, sent=run.sent, started_at=run.started_at, ended_at=run.ended_at)
    if as_json:
        show.print_json(msgspec.to_builtins(result) | {"lost": result.lost, "adds_up": result.adds_up})
    else:
        show.print_audit(result)
    raise typer.Exit(0 if result.adds_up else 1)


@app.command("demo")
def demo_command(
    *,
    started_at: Annotated[float | None, typer.Option(hidden=True, help="When make started, Unix time.")] = None,
) -> None:
    """Show the whole way of a reading on this machine, and prove that it adds up.

    Starts from an empty local AWS: what an earlier one held is gone.
    """
    raise typer.Exit(0 if demo.run(show.out, started_at=started_at) else 1)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (PipelineError, endpoint.LocalError, SinkError) as error:
        show.err.print(f"iot: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except (BotoCoreError, ClientError) as error:
        show.err.print(f"iot: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; what a person can mend is one line and exit code 1."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)  # as Ctrl-C: what was started is ended
    with _one_line_errors():
        app(standalone_mode=True)
