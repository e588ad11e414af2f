"""Check and test the alert rules, and put them into use."""

from __future__ import annotations

import datetime as dt
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from cli import console, target
from cli.console import out
from cli.options import Json, moment, read_text
from evaluation.backtest import Backtest, backtest
from evaluation.rule_tests import notation, series
from evaluation.rule_tests.outcome import Outcome, Row
from evaluation.rule_tests.parse import RuleTestError, parse_tests, path_of_tests
from pipeline import history, registry, rules
from pipeline.alerts import rules_in_use
from pipeline.errors import PipelineError
from telemetry.registry.registry import EMPTY, Registry
from telemetry.rules.lint import lint
from telemetry.rules.rule_set import Rule, RuleSet
from telemetry.text.durations import format_duration

app = typer.Typer(no_args_is_help=True, help=__doc__)

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
    """Check a rules file: report all errors, print each rule, and warn of what is odd. Works offline.

    Errors are exit code 1. Warnings are not: conditions that can never hold or
    always do, given the bounds of a reading; alerts that could never resolve;
    two rules of one severity of which one fires wherever the other does; with
    a registry, rules that match no registered device, and windows and silences
    for which a device reports too seldom (the registry's interval).
    """
    checked = _check(file, _registered(registry_file))
    for rule in checked.rules:
        console.out.print(line(rule), markup=False, soft_wrap=True)
    _warn(checked)


def as_help(docstring: str) -> str:
    """Return a docstring after its first line as a verb's help: literal blocks keep their lines, prose flows."""
    _, *paragraphs = docstring.strip().split("\n\n")
    return "\n\n".join(
        f"\b\n{escape(textwrap.dedent(text))}"
        if text.startswith(" ")
        else escape(text.replace("``", '"').replace("\n", " "))
        for text in paragraphs
        if text != "::"
    )


_TEST_HELP = f"""Run the tests of a rules file; exit code 1 if one fails. Works offline.

The tests are next to the rules: rules.test.yaml for rules.yaml.

{as_help(notation.__doc__ or "")}

The values of a series:

{as_help(series.__doc__ or "")}
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
    where = tests or path_of_tests(file)
    registered = _registered(registry_file)
    _check(file, registered)
    if not _passes(file, where, registered):
        raise typer.Exit(1)


@app.command("apply")
def apply_file(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(dir_okay=False, help="The rules, YAML, such as rules.yaml.")] = None,
    *,
    rollback: Annotated[bool, typer.Option("--rollback", help="Go back to the rules before these, instead.")] = False,
) -> None:
    """Check a rules file, test it and put it into use; the detector has it within seconds.

    The tests are those next to it (rules.test.yaml), if there are any: a file
    that fails them is not applied. The rules before are kept. The registry of
    devices is the one in use.

      iot rules apply rules.yaml

      iot rules apply --rollback
    """
    if (file is None) != rollback:
        raise PipelineError("give a file to apply or --rollback, and not both")
    session, deployed = target.deployed(context)
    if file:
        registered = registry.in_use(session, deployed)
        _warn(_check(file, registered))
        if (tests := path_of_tests(file)).exists() and not _passes(file, tests, registered):
            raise PipelineError(
                f"{file} fails its tests in {tests}, so it was not applied; the rules in use are as before"
            )
    before = rules_in_use(session, deployed)
    applied = rules.apply(session, deployed, read_text(file, "rules")) if file else rules.rollback(session, deployed)
    names = ", ".join(rule.name for rule in applied.rules)
    console.out.print(f"{len(applied.rules)} rules are in use from now on: {names}", markup=False, soft_wrap=True)
    console.out.print(f"against those before: {rules.changes(before, applied)}", markup=False, soft_wrap=True)


@app.command("show")
def showread_text(context: typer.Context) -> None:
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
    """Show what rules would have alerted of in a window of curated readings, compared with the rules in use.

    A reading counts as arrived at the time of its event, and each device as
    behind a gateway of its own: the lake does not say which gateway sent it,
    so rules about silent gateways (no_data(gateway)) are left out. So are those
    about rejected lines, which are not in it.

    What a device did before the window is not known: begin it a little before
    what you look for. The readings are downloaded for as long as this runs.

      iot rules backtest rules.yaml --from 2026-11-01 --to 2026-11-08
    """
    start, end = moment("--from", window_from), moment("--to", window_to) if window_to else dt.datetime.now(dt.UTC)
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
            result = backtest(
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
        print_backtest(result, start, end, seconds)


class _Speed(ProgressColumn):
    """Readings done, and how many a second."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text("")
        return Text(f"{int(task.completed):,}/{int(task.total):,} readings, {task.speed or 0:,.0f}/s")


def _check(file: Path, registered: Registry) -> RuleSet:
    return rules.check(read_text(file, "rules"), registered)


def _registered(named: Path | None) -> Registry:
    """Return the registry in the named file, or else in the default one; the empty one where there is neither."""
    file = named or _REGISTRY
    return registry.check(read_text(file, "registry"), str(file)) if named or file.exists() else EMPTY


def _warn(checked: RuleSet) -> None:
    for suspicion in lint(checked):
        console.err.print(f"warning: {suspicion}", style="yellow", markup=False, soft_wrap=True)


def _passes(rules_file: Path, tests: Path, registered: Registry) -> bool:
    """Run the tests in a file and show how each ended; whether all passed."""
    try:
        read = parse_tests(read_text(tests, "tests"), read_text(rules_file, "rules"), registered)
        outcomes = [test.run() for test in read]
    except RuleTestError as error:
        raise PipelineError(f"{tests}: {error}") from error
    print_outcomes(outcomes)
    return all(outcome.passed for outcome in outcomes)


#: How many days a table shows: the last of them.
_MAX_DAYS = 31


def line(rule: Rule) -> str:
    """Return a rule on one line."""
    held = f" for {format_duration(rule.hold_for)}" if rule.hold_for else ""
    kept = f" for {format_duration(rule.keep_firing_for)}" if rule.keep_firing_for else ""
    match = (("device", rule.device), ("site", rule.site), *rule.attributes)
    return f"{rule.name:<24} {rule.severity:<8} when {rule.when}{held}, until {rule.until}{kept}; " + ", ".join(
        f"{name} {glob}" for name, glob in match
    )


def print_outcomes(outcomes: Sequence[Outcome], *, console: Console = out) -> None:
    """Print how each test ended; of one that failed, what was expected and what was seen."""
    for outcome in outcomes:
        if outcome.passed:
            console.print(f"[green]passed[/]  {escape(outcome.name)}")
        else:
            console.print(f"[bold red]failed[/]  {escape(outcome.name)}")
            console.print(_differences(outcome.rows))
    failed = sum(not outcome.passed for outcome in outcomes)
    console.print(f"{len(outcomes) - failed} passed, {failed} failed")


def _differences(rows: Sequence[Row]) -> Table:
    table = Table(header_style="bold")
    for column in ("", "at", "", "expected", "seen"):
        table.add_column(column, overflow="fold")
    for row in rows:
        mark = "" if row.agrees else "≠" if row.expected and row.seen else "-" if row.expected else "+"
        table.add_row(
            mark,
            format_duration(row.at),
            row.kind,
            escape(str(row.expected or "nothing")),
            escape(str(row.seen or "nothing")),
            style="dim" if row.agrees else "red" if row.expected else "yellow",
        )
    return table


def print_backtest(
    result: Backtest, start: dt.datetime, end: dt.datetime, seconds: float, *, console: Console = out
) -> None:
    """Print a backtest as tables."""
    console.print(
        f"[bold]{result.readings:,} readings[/] of {result.devices:,} devices from {start:%Y-%m-%d %H:%M} to "
        f"{end:%Y-%m-%d %H:%M} UTC, in {seconds:.1f} s ({result.readings / seconds:,.0f} readings/s)"
    )
    table = _table(
        "Alerts by rule", "rule", "alerts", "flapping", "open", "median", "live", "both", "only new", "only live"
    )
    for rule in result.rules:
        median = (
            "-" if rule.median_seconds is None else format_duration(dt.timedelta(seconds=round(rule.median_seconds)))
        )
        numbers = (rule.live, rule.in_both, rule.only_new, rule.only_live)
        table.add_row(rule.rule, *map(str, (rule.alerts, rule.flapping, rule.open)), median, *map(str, numbers))
    console.print(table)
    days = sorted({day for rule in result.rules for day in rule.by_day})
    if days:
        table = _table("Alerts by day (UTC)", "day", *(rule.rule for rule in result.rules))
        for day in days[-_MAX_DAYS:]:
            table.add_row(day, *(str(rule.by_day.get(day, 0)) for rule in result.rules))
        console.print(table)
        table = _table("Noisiest devices", "device", "alerts")
        for noisy in result.noisiest:
            table.add_row(escape(noisy.device), str(noisy.alerts))
        console.print(table)
    if result.not_tested:
        console.print(
            f"not played back, as the history has neither gateways nor rejected lines: {', '.join(result.not_tested)}"
        )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    return table
