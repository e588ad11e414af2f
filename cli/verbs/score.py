"""``iot score``: alerts against what a simulation injected."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli import console, target
from cli.console import out
from cli.options import Json, moment, read_manifest, read_text, require_folder, require_zone
from evaluation import matching, scoring
from evaluation.rehearsal import rehearse
from evaluation.scoring import MOST_NOTIFICATIONS, WANTED, Clock, Delays, Figures, Score, wall_clock
from local import emulator
from pipeline import alerts as in_lake
from pipeline import rules as rules_in_bucket
from pipeline.errors import PipelineError
from pipeline.inbox import Received
from simulator.faults.truth import InjectedFault, decode_injected_faults, truth_path
from simulator.fleet.registry import registry_csv
from simulator.run import simulation
from simulator.run.manifest import Manifest
from simulator.scenario.scenario import NAMES, Scenario, ScenarioError, load
from telemetry.alerting.transitions import Transition
from telemetry.notifying.message import Notification
from telemetry.registry.registry import parse_registry

RULES = emulator.ROOT / "rules.yaml"

#: What a picture can be written as, by its ending.
_PICTURES = (".png", ".svg")


def score(
    context: typer.Context,
    *,
    scenario: Annotated[
        list[str], typer.Option(help="A scenario, by name or file, to rehearse; several times for several.")
    ] = [],  # noqa: B006 - typer makes a new one
    every: Annotated[bool, typer.Option("--all", help="Rehearse all scenarios of the library.")] = False,
    rules: Annotated[Path, typer.Option(dir_okay=False, help="The rules to rehearse them with.")] = RULES,
    start: Annotated[
        str, typer.Option(metavar="TIME", help="When the rehearsal begins; so that it ends now, by default.")
    ] = "",
    manifest: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A real run: what the simulator wrote with --manifest.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(dir_okay=False, help="What it injected; NAME.truth.jsonl by default.")
    ] = None,
    alerts: Annotated[
        Path | None, typer.Option(dir_okay=False, help='The notifications, recorded with "iot alerts tail --json".')
    ] = None,
    picture: Annotated[Path | None, typer.Option(dir_okay=False, help="Draw a timeline here: .png or .svg.")] = None,
    as_json: Json = False,
) -> None:
    """Compare alerts with the injected faults; exit code 1 if they are not good enough.

    A rehearsal needs no deployment: the scenario is played through the
    rules on this machine, in simulated time, silence included.

      iot score --all                          the rules of this clone, all scenarios

      iot score --scenario cold-chain-break --rules mine.yaml --picture timeline.png

    A real run, with what subscribers really got:

      iot alerts tail --json > alerts.jsonl &

      iot simulate --scenario demo --speed 60 --sink kinesis --manifest run.json

      iot score --manifest run.json --alerts alerts.jsonl

    Good is a precision and a recall of at least 0.95, and one notification
    a fault at most. What each number means: docs/scoring.md.
    """

    names = list(NAMES) if every else scenario
    if every and scenario:
        raise PipelineError("--all rehearses every scenario of the library: leave --scenario out, or --all")
    if (truth or alerts) and not manifest:
        raise PipelineError("--truth and --alerts are of a real run: give its --manifest too")
    if bool(names) == bool(manifest):
        raise PipelineError(
            "name what to score: --scenario NAME or --all for a rehearsal, or --manifest for a real run"
        )
    if picture:
        _check_picture(picture, len(names))
    if manifest:
        if alerts is None:
            raise PipelineError(
                '--manifest needs --alerts, the notifications: record them with "iot alerts tail --json"'
            )
        found = {manifest.name: _real(context, manifest, truth, alerts, picture)}
    else:
        found = {name: _rehearsed(name, rules, start, picture) for name in names}
    if as_json:
        console.print_json(
            [{"name": name, "good": each.good, **msgspec.to_builtins(each)} for name, each in found.items()]
        )
    elif len(found) == 1:
        for name, each in found.items():
            print_score(each, name, paced=each.total.told_after.p50 is not None)
    else:
        print_scores(found)
    raise typer.Exit(0 if all(each.good for each in found.values()) else 1)


def _check_picture(picture: Path, runs: int) -> None:
    """Raise :class:`PipelineError` for a picture that cannot be drawn, before the rehearsal."""
    if runs > 1:
        raise PipelineError("--picture draws one run: give one --scenario")
    if picture.suffix.lower() not in _PICTURES:
        raise PipelineError(f"--picture {picture}: a picture's name ends in {' or '.join(_PICTURES)}")
    require_folder("--picture", picture)


def _rehearsed(name: str, rules: Path, start: str, picture: Path | None) -> Score:

    scenario = _scenario(name)
    length = dt.timedelta(seconds=scenario.duration)
    since = moment("--start", start) if start else dt.datetime.now(dt.UTC).replace(microsecond=0) - length
    text = read_text(rules, "rules")
    try:
        faults = simulation.injected_faults(scenario, since)
        registry = parse_registry(registry_csv(scenario))
    except ValueError as error:  # a ScenarioError too: a fault that affects no device is known only with a fleet
        raise PipelineError(f"{name} cannot be rehearsed: {error}") from error
    checked = rules_in_bucket.check(text, registry)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TimeRemainingColumn())
    with Progress(*columns, console=console.err, transient=True, disable=not console.err.is_terminal) as progress:
        task = progress.add_task(f"rehearsing {scenario.name}", total=scenario.duration)
        played = rehearse(
            simulation.records(scenario, since),
            checked,
            since + length,
            lambda moment: progress.update(task, completed=(moment - since).total_seconds()),
        )
    return _scored(
        scenario.name, faults, played.received, ended_at=since + length, transitions=played.transitions,
        picture=picture,
    )  # fmt: skip


def _real(context: typer.Context, manifest: Path, truth: Path | None, alerts: Path, picture: Path | None) -> Score:

    run = read_manifest(manifest)
    file = truth or truth_path(manifest)
    try:
        faults = decode_injected_faults(file.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f"{file} is not the ground truth of a simulation: {error}") from error
    require_zone(file, *(moment for fault in faults for moment in (fault.since, fault.until)))
    received = [_about(run, each) for each in _recorded(alerts)]
    transitions: list[Transition] = []
    if any(each.notification.omitted for each in received):
        # Which alerts a long notification does not list is known only there.
        session, deployed = target.deployed(context)
        found = in_lake.transitions(session, deployed, run.arrived_from, run.arrived_to)
        transitions = [each for each in found if not each.device or each.device in run.by_device]
    return _scored(
        run.scenario, faults, received, ended_at=run.ended_at, transitions=transitions, picture=picture,
        clock=wall_clock(run),
    )  # fmt: skip


def _scored(
    title: str,
    faults: list[InjectedFault],
    received: list[Received],
    *,
    ended_at: dt.datetime,
    transitions: list[Transition],
    picture: Path | None,
    clock: Clock = lambda moment: moment,
) -> Score:

    found = scoring.score(faults, received, ended_at, clock=clock, transitions=transitions)
    if picture:
        from evaluation import timeline  # noqa: PLC0415 - matplotlib takes half a second, and few scores are drawn

        verdicts = matching.judge(faults, matching.told(received, transitions))
        try:
            told_of = {verdict.fault.id for verdict in verdicts if verdict.fault}
            shown = [each for each in faults if each.id in told_of or scoring.had_time(each, ended_at)]
            timeline.draw(shown, verdicts, found, picture, title=title)
        except (OSError, ValueError) as error:
            raise PipelineError(f"cannot draw {picture}: {error}") from error
    return found


def _about(run: Manifest, received: Received) -> Received:
    """Return the notification without alerts of devices that the run does not have: somebody else's."""
    notification = received.notification
    ours = [alert for alert in notification.alerts if not alert.device or alert.device in run.by_device]
    return received._replace(notification=msgspec.structs.replace(notification, alerts=ours))


def _recorded(path: Path) -> list[Received]:
    """Return the notifications in a file, each as received when it was published: the file has no other time."""

    try:
        found = msgspec.json.Decoder(Notification).decode_lines(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f'{path} has no notifications as "iot alerts tail --json" prints them: {error}') from error
    require_zone(path, *(notification.published_at for notification in found))
    return [Received(notification, notification.published_at) for notification in found]


def _scenario(name: str) -> Scenario:

    try:
        return load(name)
    except (ScenarioError, OSError) as error:
        raise PipelineError(str(error)) from error


#: How many missed and false alerts are named.
_NAMED = 5


def print_score(result: Score, title: str, console: Console = out, *, paced: bool = True) -> None:
    """Print the result of one run; ``paced`` is whether it says anything about how soon alerts were reported."""
    console.print(verdict(result, title), soft_wrap=True)
    if not (result.faults or result.total.false):
        return
    _print_figures("fault", result.by_kind, console, paced=paced)
    _print_figures("rule", result.by_rule, console, paced=paced)
    _print_confusion(result, console)
    for words, found in (("missed", result.missed), ("false", result.false)):
        for line in found[:_NAMED]:
            console.print(f"{words}  {line}", style="red", markup=False, soft_wrap=True)
        if len(found) > _NAMED:
            console.print(f"{words}  and {len(found) - _NAMED:,} more", style="red")


def verdict(result: Score, title: str) -> str:
    """Return one line: how good it is."""
    total = result.total
    word = "[green]good[/]" if result.good else "[bold red]not good[/]"
    return (
        f"[bold]{escape(title)}[/]: {word}: precision {total.precision:.2f}, recall {total.recall:.2f} "
        f"({total.found:,} of {total.expected:,} found, {total.false:,} false), "
        f"{total.per_fault:.2f} notifications per fault, {result.messages:,} in all"
    )


def print_scores(results: Mapping[str, Score], console: Console = out) -> None:
    """Print one line per scenario."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("scenario")
    for name in ("faults", "expected", "found", "false", "precision", "recall", "fires after\np50, p95",
                 "told after\np50, p95", "messages\nper fault", "false\nresolves", ""):  # fmt: skip
        table.add_column(name, justify="right")
    for name, result in results.items():
        total = result.total
        table.add_row(
            name, f"{result.faults:,}", f"{total.expected:,}", f"{total.found:,}", f"{total.false:,}",
            f"{total.precision:.3f}", f"{total.recall:.3f}", _delays(total.fires_after), _delays(total.told_after),
            f"{total.per_fault:.2f}", f"{total.false_resolves:,}",
            "[green]good[/]" if result.good else "[bold red]not good[/]",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"good: precision and recall of at least {WANTED:g}, {MOST_NOTIFICATIONS:g} notification per fault at most",
        style="dim",
    )


def _print_figures(what: str, by_name: Mapping[str, Figures], console: Console, *, paced: bool) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(what)
    for name in ("expected", "found", "false", "precision", "recall", "fires after\np50, p95"):
        table.add_column(name, justify="right")
    if paced:
        table.add_column("told after\np50, p95", justify="right")
    for name in ("notifications\nper fault", "false\nresolves"):
        table.add_column(name, justify="right")
    for name, figures in by_name.items():
        if figures.expected or figures.false:
            table.add_row(
                name, f"{figures.expected:,}", f"{figures.found:,}", f"{figures.false:,}",
                f"{figures.precision:.3f}", f"{figures.recall:.3f}", _delays(figures.fires_after),
                *([_delays(figures.told_after)] if paced else []),
                f"{figures.per_fault:.2f}", f"{figures.false_resolves:,}",
            )  # fmt: skip
    if table.row_count:
        console.print(table)


def _print_confusion(result: Score, console: Console) -> None:
    rules = sorted({name for row in result.confusion.values() for name in row} - {"missed", "quiet"})
    table = Table(title="What was told of what", title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("fault")
    for name in (*rules, "missed", "quiet"):
        table.add_column(name, justify="right")
    for kind, row in result.confusion.items():
        table.add_row(kind, *(f"{row[name]:,}" if name in row else "-" for name in (*rules, "missed", "quiet")))
    console.print(table)


def _delays(delays: Delays) -> str:
    return "-" if delays.p50 is None or delays.p95 is None else f"{_time(delays.p50)}, {_time(delays.p95)}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f}s" if seconds < 120 else f"{seconds / 60:.0f}m"
