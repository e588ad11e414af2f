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

from cli import alerts, quarantine, query, registry, rules, target
from cli.options import Json
from cli.target import Choice
from local import demo, emulator, endpoint
from pipeline import deployment, etl, show
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
etl_app = typer.Typer(no_args_is_help=True, help="Run the batch jobs.")
app.add_typer(alerts.app, name="alerts")
app.add_typer(etl_app, name="etl")
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


@etl_app.command("run")
def etl_run(
    context: typer.Context,
    window_from: Annotated[
        str,
        typer.Option("--from", help="Start of the window, by arrival: 2026-11-23T12:00:00Z. Default: two hours ago."),
    ] = "",
    window_to: Annotated[str, typer.Option("--to", help="Its end. Default: now.")] = "",
    *,
    as_json: Json = False,
) -> None:
    """Curate what arrived in a window of time, and wait for the end.

    Running a window again gives the same rows.

      iot etl run

      iot etl run --from 2026-11-23T00:00:00Z --to 2026-11-24T00:00:00Z
    """
    session, deployed = target.deployed(context)
    arguments = {"window_from": window_from, "window_to": window_to}
    with show.err.status("starting the curate job") as state:
        run = etl.run_job(
            session.client("glue"),
            deployed.curate_job_name,
            {name: value for name, value in arguments.items() if value},
            on_state=lambda name: state.update(f"the curate job is {name.lower()}"),
        )
    if as_json:
        show.print_json({"id": run["Id"], "state": run["JobRunState"], "seconds": run.get("ExecutionTime")})
    else:
        show.out.print(f"curated: run {run['Id']} took {run.get('ExecutionTime', 0)} s")


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
