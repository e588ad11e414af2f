"""``iot audit``: holding the pipeline to account for what a simulation sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from cli import demo, target
from cli.options import Json
from cli.rendering import audit as show_audit
from cli.rendering import console
from evaluation import audit as auditing
from evaluation.audit import Audit, Counts
from pipeline.errors import PipelineError
from simulator.run.manifest import Manifest


def audit(
    context: typer.Context,
    *,
    manifest: Annotated[Path, typer.Option(help="What the simulator wrote with --manifest.")] = demo.MANIFEST,
    devices: Annotated[int, typer.Option(min=0, help="How many of the worst devices to list.")] = 10,
    as_json: Json = False,
) -> None:
    """Compare what a simulation sent with what is in the lake, by stage and by device.

    Exit code 1 if anything is lost, or there is more than was sent.

    iot simulate --sink kinesis --rate 1000 --duration 30s --manifest run.json

    iot etl run

    iot audit --manifest run.json

    iot audit --manifest run.json --json | jq '.devices[] | select(.lost > 0)'

    What other devices sent meanwhile does not matter; the same ones may not
    have sent anything else in these hours. On AWS, wait until Firehose has
    delivered (raw_buffer_seconds, and a minute more), then run "iot etl run",
    then this. What each number means: docs/auditing.md.
    """
    run = _read(manifest)
    session, deployed = target.deployed(context)
    with show_audit.bar(console.err) as follow:
        result = auditing.audit(session, deployed, run, on_progress=follow)
    if as_json:
        console.print_json(_json(result))
    else:
        show_audit.print_audit(result)
        if devices:
            worst = result.worst(devices)
            show_audit.print_devices(worst, of=len(run.by_device), real_time=result.real_time)
    raise typer.Exit(0 if result.adds_up else 1)


def _read(path: Path) -> Manifest:
    """The manifest in a file; raises :class:`PipelineError` for what is none."""
    try:
        run = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PipelineError(
            f"{path} is no manifest of a simulation: {error}; write one with 'iot simulate --manifest {path}'"
        ) from error
    if not (run.arrived_from.tzinfo and run.arrived_to.tzinfo):
        raise PipelineError(f"{path}: arrived_from and arrived_to need a time zone, as 2026-11-23T12:00:00Z")
    if run.sent != sum(counts.sent for counts in run.by_device.values()):
        raise PipelineError(f"{path}: sent is not the sum of what by_device says; use the manifest as it was written")
    return run


def _json(result: Audit) -> dict[str, Any]:
    return {
        "adds_up": result.adds_up,
        "lost": result.lost,
        "foreign": result.foreign,
        "real_time": result.real_time,
        "totals": _counts(result.totals),
        "devices": [{"device": row.device, **_counts(row)} for row in result.devices],
    }


def _counts(counts: Counts) -> dict[str, Any]:
    return {**msgspec.to_builtins(counts), "lost": counts.lost}
