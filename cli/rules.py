"""``iot rules``: checking and testing alert rules, putting them into use, and seeing what they would have done."""

from __future__ import annotations

import datetime as dt
import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from cli import target
from cli.options import Json
from cli.rendering import console
from cli.rendering import rules as show_rules
from evaluation import rule_test_file, series
from pipeline import registry, rules
from pipeline.alerts import rules_in_use
from pipeline.errors import PipelineError
from telemetry.registry.registry import EMPTY, Registry
from telemetry.rules.lint import lint
from telemetry.rules.rule_set import RuleSet

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Check and test the alert rules, and put them into use."
)

_File = Annotated[Path, typer.Argument(dir_okay=False, help="The rules, YAML, such as rules.yaml.")]

#: What is the registry where none is named, if there is such a file here.
_REGISTRY = Path("registry/devices.csv")

_RegistryFile = Annotated[
    Path | None,
    typer.Option(
        "--registry", dir_okay=False, help=f"The registry of devices, CSV. Default: {_REGISTRY}, if it exists."
    ),
]


@app.command("check")
def check_file(file: _File, registry_file: _RegistryFile = None) -> None:
    """Say what is wrong with a rules file, what it means, and what is odd about it. Talks to nothing.

    Errors are exit code 1. Warnings are not: conditions that can never hold or
    always do, given the bounds of a reading; alerts that could never resolve;
    two rules of one severity of which one fires wherever the other does; with
    a registry, rules that match no registered device.
    """
    checked = _check(file, _registered(registry_file))
    for rule in checked.rules:
        console.out.print(show_rules.line(rule), markup=False, soft_wrap=True)
    _warn(checked)


_TEST_HELP = f"""Run the tests of a rules file; exit code 1 if one fails. Talks to nothing.

The tests lie beside the rules: rules.test.yaml for rules.yaml.

{show_rules.as_help(rule_test_file.__doc__ or "")}

The values of a series:

{show_rules.as_help(series.__doc__ or "")}
"""


@app.command("test", help=_TEST_HELP)
def run_tests(
    file: _File,
    tests: Annotated[
        Path | None, typer.Option(dir_okay=False, help="The tests, YAML. Default: FILE's name with .test.yaml.")
    ] = None,
    registry_file: _RegistryFile = None,
) -> None:
    """Run the tests of a rules file."""
    where = tests or rule_test_file.path_of_tests(file)
    if not _passes(_check(file, _registered(registry_file)), where):
        raise typer.Exit(1)


@app.command("apply")
def apply_file(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(dir_okay=False, help="The rules, YAML, such as rules.yaml.")] = None,
    *,
    rollback: Annotated[bool, typer.Option("--rollback", help="Go back to the rules before these, instead.")] = False,
) -> None:
    """Check a rules file, test it and put it into use; the detector has it within seconds.

    The tests are those beside it (rules.test.yaml), if there are any: a file
    that fails them is not applied. The rules before are kept. The registry of
    devices is the one in use.

      iot rules apply rules.yaml

      iot rules apply --rollback
    """
    if (file is None) != rollback:
        raise PipelineError("say which file to apply, or --rollback, and not both")
    session, deployed = target.deployed(context)
    if file:
        checked = _check(file, registry.in_use(session, deployed))
        _warn(checked)
        if (tests := rule_test_file.path_of_tests(file)).exists() and not _passes(checked, tests):
            raise PipelineError(
                f"{file} fails its tests in {tests}, so it was not applied; the rules in use are as before"
            )
    before = rules_in_use(session, deployed)
    applied = rules.apply(session, deployed, _text(file, "rules")) if file else rules.rollback(session, deployed)
    names = ", ".join(rule.name for rule in applied.rules)
    console.out.print(f"{len(applied.rules)} rules are in use from now on: {names}", markup=False, soft_wrap=True)
    console.out.print(f"against those before: {rules.changes(before, applied)}", markup=False, soft_wrap=True)


@app.command("show")
def show_text(context: typer.Context) -> None:
    """Print the rules in use."""
    session, deployed = target.deployed(context)
    applied = rules.current(session, deployed)
    if applied is None:
        console.err.print(
            "none were applied yet: the detector uses those it was deployed with (rules.yaml)", style="dim"
        )
    else:
        console.err.print(f"applied {applied.since}", style="dim")
        sys.stdout.write(applied.text)


@app.command("backtest")
def play_back(
    context: typer.Context,
    file: _File,
    window_from: Annotated[
        str, typer.Option("--from", help="Start, by event time, UTC: 2026-11-01 or 2026-11-01T06:00.")
    ],
    window_to: Annotated[str, typer.Option("--to", help="End. Default: now.")] = "",
    *,
    as_json: Json = False,
) -> None:
    """Show what rules would have alerted of, from the curated readings of a window, beside the rules in use.

    A reading counts as arrived at the time of its event, and each device as
    behind a gateway of its own: the lake does not say which gateway sent it,
    so rules about silent gateways (no_data(gateway)) are left out.

    What a device did before the window is not known: begin it a little before
    what you look for. The readings are downloaded for as long as this runs.

      iot rules backtest rules.yaml --from 2026-11-01 --to 2026-11-08
    """
    # Take a second, and most commands need none of it.
    from evaluation import backtest as play  # noqa: PLC0415
    from pipeline import history  # noqa: PLC0415

    start, end = _moment("--from", window_from), _moment("--to", window_to) if window_to else dt.datetime.now(dt.UTC)
    if start >= end:
        raise PipelineError(f"--from {start.isoformat()} must lie before --to {end.isoformat()}")
    session, deployed = target.deployed(context)
    checked = _check(file, registry.in_use(session, deployed))
    live = rules_in_use(session, deployed)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), _Speed(), TimeRemainingColumn())
    with Progress(*columns, console=console.err, transient=True) as progress:
        task = progress.add_task("fetching the readings", total=None)
        with history.fetched(session, deployed, start, end) as readings:
            progress.update(task, description="playing them back", total=readings.readings)
            began = time.monotonic()
            result = play.backtest(
                readings.batches(),
                checked,
                live,
                readings.newest,
                lambda done: progress.update(task, completed=done),
            )
            seconds = time.monotonic() - began
    if as_json:
        about = {
            "from": start,
            "to": end,
            "seconds": round(seconds, 3),
            "readings_per_second": result.readings / seconds,
        }
        console.print_json(msgspec.to_builtins(about | msgspec.to_builtins(result)))
    else:
        show_rules.print_backtest(result, start, end, seconds)


class _Speed(ProgressColumn):
    """Readings done, and how many a second."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text("")
        return Text(f"{int(task.completed):,}/{int(task.total):,} readings, {task.speed or 0:,.0f}/s")


def _text(file: Path, what: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"cannot read the {what} in {file}: {error}") from error


def _check(file: Path, registered: Registry) -> RuleSet:
    return rules.check(_text(file, "rules"), registered)


def _registered(named: Path | None) -> Registry:
    """The registry in the file that was named, or else in the default one; the empty one where there is neither."""
    file = named or _REGISTRY
    return registry.check(_text(file, "registry"), str(file)) if named or file.exists() else EMPTY


def _warn(checked: RuleSet) -> None:
    for suspicion in lint(checked):
        console.err.print(f"warning: {suspicion}", style="yellow", markup=False, soft_wrap=True)


def _passes(checked: RuleSet, tests: Path) -> bool:
    """Run the tests in a file and show how each ended; whether all passed."""
    try:
        outcomes = [test.run(checked) for test in rule_test_file.parse_tests(_text(tests, "tests"), checked)]
    except rule_test_file.RuleTestError as error:
        raise PipelineError(f"{tests}: {error}") from error
    show_rules.print_outcomes(outcomes)
    return all(outcome.passed for outcome in outcomes)


def _moment(option: str, text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise PipelineError(f"{option} {text}: write a time such as 2026-11-01 or 2026-11-01T06:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
