"""List, show and check scenarios: fleets, sites, models and injected faults."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from cli import console
from cli.options import Json
from pipeline.errors import PipelineError
from simulator.faults.plan import ground_truth, plan_faults
from simulator.fleet.fleet import Fleet
from simulator.fleet.registry import registry_csv
from simulator.models.epoch import MICROSECONDS
from simulator.scenario.scenario import NAMES, Scenario, ScenarioError, load, text_of
from simulator.scenario.schema import schema

app = typer.Typer(no_args_is_help=True, help=__doc__)

_Name = Annotated[str, typer.Argument(metavar="SCENARIO", help="A file, or a name of the library.")]


@app.command("list")
def list_all(*, as_json: Json = False) -> None:
    """Show the scenarios that come with the simulator."""
    found = [load(name) for name in NAMES]
    if as_json:
        console.print_json([_facts(scenario) for scenario in found])
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("scenario")
    for name in ("devices", "takes", "faults"):
        table.add_column(name, justify="right")
    table.add_column("what happens")
    for scenario in found:
        row = (scenario.name, f"{scenario.size:,}", scenario.length, str(len(scenario.faults)), scenario.description)
        table.add_row(*row)
    console.out.print(table)


@app.command("show")
def show_one(name: _Name) -> None:
    """Print a scenario's file, to begin your own with.

    iot scenarios show calm > mine.yaml
    """
    with_errors(name)
    sys.stdout.write(text_of(name))


@app.command("check")
def check(name: _Name, *, as_json: Json = False) -> None:
    """Validate a scenario and print a summary."""
    scenario = with_errors(name)
    if as_json:
        console.print_json(_facts(scenario))
        return
    fleet = Fleet(scenario)
    injected = _injected(scenario, fleet)
    console.out.print(
        f"{scenario.name}: {len(fleet.devices):,} devices behind {len(fleet.gateways):,} gateways at "
        f"{len(scenario.sites)} sites send {fleet.rate:,.1f} readings/s for {scenario.length}; "
        f"{len(scenario.faults)} faults are injected into {injected:,} devices, gateways or sites",
        markup=False,
        soft_wrap=True,
    )


@app.command("registry")
def registry(name: _Name) -> None:
    """Print the registry of a scenario's devices, for "iot registry apply".

    iot scenarios registry demo > devices.csv
    """
    sys.stdout.write(registry_csv(with_errors(name)))


@app.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of scenario files, for editors that complete and check them."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n")


def with_errors(name: str) -> Scenario:
    """Return the scenario if a fleet can be made of it. Raises :class:`PipelineError`."""
    try:
        scenario = load(name)
        _injected(scenario, Fleet(scenario))
    except (ScenarioError, OSError) as error:
        raise PipelineError(str(error)) from error
    return scenario


def _injected(scenario: Scenario, fleet: Fleet) -> int:
    end = round(scenario.duration * MICROSECONDS)
    return len(ground_truth(fleet, plan_faults(fleet, 0, end)))


def _facts(scenario: Scenario) -> dict[str, object]:
    return {
        "name": scenario.name,
        "description": scenario.description,
        "devices": scenario.size,
        "sites": len(scenario.sites),
        "seconds": scenario.duration,
        "faults": len(scenario.faults),
    }
