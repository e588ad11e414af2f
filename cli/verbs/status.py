"""``iot status``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table

from cli import console, target
from cli.options import Json
from pipeline.deployment import Deployment
from pipeline.errors import PipelineError
from pipeline.names import RAW_PREFIX

if TYPE_CHECKING:
    from pipeline.kafka import ConsumerLag

_Partitions = Annotated[
    bool, typer.Option("--partitions", help="With a Kafka topic: list how far each partition is read.")
]


def status(context: typer.Context, *, partitions: _Partitions = False, as_json: Json = False) -> None:
    """Show where the local AWS is and what is deployed.

    With a Kafka topic it counts the records that the detector has yet to read.
    It asks the brokers for that, so they have to be reachable from here, as
    Amazon MSK's are from its VPC; otherwise the number is unknown.
    """
    session, deployed = target.deployed(context)
    endpoint = session.client("sts").meta.endpoint_url
    lag = ask_lag(deployed) if deployed.ingest == "msk" else None
    if as_json:
        facts = {"endpoint": endpoint, **msgspec.to_builtins(deployed)}
        if lag is not None:
            facts["ConsumerLag"] = {"Unknown": lag} if isinstance(lag, str) else msgspec.to_builtins(lag)
        console.print_json(facts)
        return
    choice: target.Choice = context.obj
    print_status(f"{choice.stage} at {endpoint}", deployed, lag)
    if partitions and lag is not None and not isinstance(lag, str):
        print_partitions(lag)


def ask_lag(deployed: Deployment) -> ConsumerLag | str:
    """Return how far the detector is behind, or why nobody knows: the rest of the page does not depend on it."""
    try:
        from pipeline.kafka import consumer_lag  # noqa: PLC0415 - loads librdkafka
    except ModuleNotFoundError as error:
        return f"the package {error.name} is missing: pip install -c requirements-dev.txt -e '.[kafka]'"
    try:
        return consumer_lag(deployed)
    except PipelineError as error:
        return str(error)


def print_status(title: str, deployed: Deployment, lag: ConsumerLag | str | None) -> None:
    """Print what there is, by what a person looks for."""
    console.out.print(title, markup=False, soft_wrap=True)
    sections = {
        "Readings": _topic(deployed, lag) if deployed.ingest == "msk" else _stream(deployed),
        "Alerts": {
            "detector": deployed.detector_function_name,
            "watchdog": deployed.watchdog_function_name,
            "notifier": deployed.notifier_function_name,
            "alert state": f"table {deployed.state_table_name}",
            "groups": f"table {deployed.group_table_name}",
            "rules": f"s3://{deployed.config_bucket_name}/{deployed.rules_key}",
            "registry": f"s3://{deployed.config_bucket_name}/{deployed.registry_key}",
            "notifications": deployed.alerts_topic_arn,
            "transitions": deployed.transitions_queue_url,
            "given up": deployed.failure_queue_url,
        },
        "Lake": {
            "tables": f"database {deployed.database_name} in s3://{deployed.lake_bucket_name}",
            "queries": f"workgroup {deployed.work_group_name}, results in s3://{deployed.query_results_bucket_name}",
            "curation": f"job {deployed.curate_job_name}, progress in table {deployed.curate_state_table_name}",
            "alerts": f"by delivery stream {deployed.alerts_delivery_stream_name}",
        },
        "Monitoring": {"dashboard": deployed.dashboard_name},
    }
    for section, facts in sections.items():
        _print_section(section, facts)


def print_partitions(lag: ConsumerLag) -> None:
    """Print each partition's offsets."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in ("partition", "committed", "end", "behind"):
        table.add_column(column, justify="right")
    for one in lag.partitions:
        committed = "-" if one.committed is None else f"{one.committed:,}"
        table.add_row(str(one.partition), committed, f"{one.end:,}", f"{one.behind:,}")
    console.out.print()
    console.out.print(table)


def _stream(deployed: Deployment) -> dict[str, str]:
    return {
        "stream": f"{deployed.stream_name} (Kinesis)",
        "raw zone": f"s3://{deployed.raw_bucket_name}/{RAW_PREFIX} by delivery stream {deployed.delivery_stream_name}",
    }


def _topic(deployed: Deployment, lag: ConsumerLag | str | None) -> dict[str, str]:
    known = f"{lag.behind:,} records behind" if lag and not isinstance(lag, str) else f"unknown: {lag}"
    if isinstance(lag, str):
        known += (
            f"; the dashboard {deployed.dashboard_name} in CloudWatch has it from anywhere"
            if deployed.kafka_cluster_arn
            else "; if Kafka has died, 'iot up' starts it again with its records"
        )
    return {
        "topic": (
            f"{deployed.topic_name} (Kafka): {deployed.kafka_partitions} partitions, "
            f"kept for {deployed.stream_retention_hours} h"
        ),
        "cluster": deployed.kafka_cluster_arn or deployed.kafka_bootstrap,
        "consumer group": deployed.consumer_group,
        "consumer lag": known,
        "raw zone": f"s3://{deployed.raw_bucket_name}/{RAW_PREFIX} by channel {deployed.channel_name}",
    }


def _print_section(section: str, facts: Mapping[str, str]) -> None:
    console.out.print(f"\n[bold]{section}[/]")
    for name, fact in facts.items():
        console.out.print(f"  {name:<16}{fact}", markup=False, soft_wrap=True)
