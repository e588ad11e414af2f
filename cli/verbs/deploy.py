"""``iot deploy``, with a progress bar for each stack."""

from __future__ import annotations

from pathlib import Path

import boto3
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from cli import console, target
from local import deployment, emulator
from local.kafka import instance as kafka
from pipeline.deployment import find
from pipeline.errors import PipelineError
from pipeline.names import Ingest


def deploy(context: typer.Context) -> None:
    """Deploy the stacks to the local AWS with the CDK command line.

    With a Kafka topic for the readings where "iot up --ingest msk" started Kafka, else with a Kinesis stream.
    """
    choice: target.Choice = context.obj
    if choice.aws:
        raise PipelineError("to deploy to your AWS account, use the CDK itself: npx cdk deploy --all")
    session = target.connect(aws=False)
    _require_same_ingest(session, choice.stage)
    deploy_stacks(session, choice.stage, console.err)


def _require_same_ingest(session: boto3.Session, stage: str) -> None:
    """Raise :class:`PipelineError` where the stage is deployed with another ingest: CloudFormation cannot change it."""
    wanted: Ingest = "msk" if _kafka_beside(session, emulator.HOME) else "kinesis"
    try:
        deployed = find(session, stage)
    except PipelineError:
        return  # nothing is deployed, or not all
    if deployed.ingest != wanted:
        raise PipelineError(
            f"the stage {stage} is deployed with ingest {deployed.ingest}, which cannot become {wanted} in place: "
            f"run 'iot down', 'iot up --ingest {wanted}' and 'iot deploy'"
        )


def _kafka_beside(session: boto3.Session, home: Path) -> kafka.Instance | None:
    """Return the Kafka that runs beside the local AWS of the session."""
    found = kafka.running(home)
    return found if found and found.endpoint == session.client("cloudformation").meta.endpoint_url else None


def deploy_stacks(session: boto3.Session, stage: str, console: Console, *, home: Path = emulator.HOME) -> None:
    """Deploy the stacks to the local AWS and show a bar for each; with the topic where Kafka runs beside it."""
    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        synth = progress.add_task("preparing the stacks", total=None)
        tasks: dict[str, TaskID] = {}

        def advance(event: deployment.Progress) -> None:
            progress.update(synth, total=1, completed=1)
            if event.stack not in tasks:
                tasks[event.stack] = progress.add_task(event.stack, total=event.total or None)
            task = tasks[event.stack]
            if event.finished:
                total = progress.tasks[task].total or 1
                progress.update(task, total=total, completed=total)
            else:
                progress.update(task, total=event.total, completed=event.done)

        cloudformation = session.client("cloudformation")
        if topic := _kafka_beside(session, home):
            context = {"ingest": "msk", "kafka_bootstrap": topic.bootstrap}
            deployment.deploy(cloudformation, stage, advance, context=context, home=home)
            _wait_for_topic(session, stage)
        else:
            deployment.deploy(cloudformation, stage, advance, home=home)


def _wait_for_topic(session: boto3.Session, stage: str) -> None:
    """Wait until the bridge has made the topic: what is sent next needs it."""
    from local.kafka.topic import Topic, wait_for_topic  # noqa: PLC0415  # needs the extra

    deployed = find(session, stage)
    topic = Topic(deployed.topic_name, deployed.kafka_partitions, deployed.stream_retention_hours)
    wait_for_topic(deployed.kafka_bootstrap, topic)
