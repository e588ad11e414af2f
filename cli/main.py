"""The ``iot`` command."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer
from botocore.exceptions import BotoCoreError, ClientError

from cli import (
    alerts,
    audit,
    dashboard,
    demo,
    etl,
    plan,
    quarantine,
    query,
    registry,
    replay,
    report,
    rules,
    scenarios,
    score,
    simulate,
    target,
)
from cli.options import Json
from cli.rendering import console
from cli.target import Choice
from local import emulator, endpoint
from pipeline.errors import PipelineError
from simulator.sinks.sink import SinkError

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

      iot simulate --scenario demo --speed 60 --sink kinesis

      iot etl run                                curate what arrived

      iot query "SELECT count(*) FROM readings"

      iot dashboard                              all of it in a browser

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
app.add_typer(scenarios.app, name="scenarios")


@app.callback()
def choose(
    context: typer.Context,
    *,
    aws: Annotated[bool, typer.Option("--aws", help="Use your AWS account, not the local AWS.")] = False,
    stage: Annotated[str, typer.Option(help="Which deployment.")] = "dev",
) -> None:
    """Keep what was chosen for the verb."""
    context.obj = Choice(aws, stage)


@app.command()
def up(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The port on 127.0.0.1; by default the last one, or one that is free."),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Start the local AWS. It runs until "iot down"; its data lives as long as it runs."""
    instance = emulator.start(port)
    if as_json:
        console.print_json({"endpoint": instance.endpoint, "pid": instance.pid})
    else:
        console.out.print(f"the local AWS is up at {instance.endpoint}; next: iot deploy")


@app.command()
def down() -> None:
    """Stop the local AWS and everything it runs; its data is gone then."""
    console.out.print("the local AWS is down" if emulator.stop() else "no local AWS was running")


@app.command()
def status(context: typer.Context, *, as_json: Json = False) -> None:
    """Show where the local AWS is and what is deployed."""
    session, deployed = target.deployed(context)
    facts = {"endpoint": session.client("sts").meta.endpoint_url, **msgspec.to_builtins(deployed)}
    if as_json:
        console.print_json(facts)
        return
    for name, value in facts.items():
        console.out.print(f"{name:<24} {value}")


@app.command()
def deploy(context: typer.Context) -> None:
    """Deploy the stacks to the local AWS with the CDK command line."""
    choice: Choice = context.obj
    if choice.aws:
        raise PipelineError("to deploy to your AWS account, use the CDK itself: npx cdk deploy --all")
    demo.deploy(target.connect(aws=False), choice.stage, console.err)


app.command("simulate")(simulate.simulate)
app.command("replay")(replay.replay)
app.command("query")(query.query)
app.command("audit")(audit.audit)
app.command("score")(score.score)
app.command("dashboard")(dashboard.dashboard)
app.command("report")(report.report)
app.command("plan")(plan.plan)


@app.command("demo")
def demo_command(
    *,
    started_at: Annotated[float | None, typer.Option(hidden=True, help="When make started, Unix time.")] = None,
) -> None:
    """Show the whole way of a reading on this machine, and prove that it adds up.

    Starts from an empty local AWS: what an earlier one held is gone.
    """
    raise typer.Exit(0 if demo.run(console.out, started_at=started_at) else 1)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (PipelineError, endpoint.LocalError, SinkError) as error:
        console.err.print(f"iot: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except (BotoCoreError, ClientError) as error:
        console.err.print(f"iot: {error}", style="red", markup=False, soft_wrap=True)
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
