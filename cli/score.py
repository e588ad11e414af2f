"""``iot score``: alerts against what a simulation injected."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from cli import target
from cli.options import Json
from cli.rendering import console
from local import emulator
from pipeline import rules as rules_in_bucket
from pipeline.errors import PipelineError
from telemetry.registry.registry import parse_registry

if TYPE_CHECKING:
    from evaluation.scoring import Clock, Score
    from pipeline.inbox import Received
    from simulator.faults.truth import InjectedFault
    from simulator.run.manifest import Manifest
    from simulator.scenario.scenario import Scenario
    from telemetry.alerting.transitions import Transition

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
        Path | None, typer.Option(dir_okay=False, help='What was told: from "iot alerts tail --json".')
    ] = None,
    picture: Annotated[Path | None, typer.Option(dir_okay=False, help="Draw a timeline here: .png or .svg.")] = None,
    as_json: Json = False,
) -> None:
    """Hold alerts against the ground truth; exit code 1 if they are not good enough.

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
    from cli.rendering import score as show_score  # noqa: PLC0415 - takes a second, and most commands need none of it
    from simulator.scenario.scenario import NAMES  # noqa: PLC0415

    names = list(NAMES) if every else scenario
    if every and scenario:
        raise PipelineError("--all rehearses every scenario of the library: leave --scenario out, or --all")
    if (truth or alerts) and not manifest:
        raise PipelineError("--truth and --alerts are of a real run: give its --manifest too")
    if bool(names) == bool(manifest):
        raise PipelineError("say what to score: --scenario NAME or --all for a rehearsal, or --manifest for a real run")
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
            show_score.print_score(each, name, paced=each.total.told_after.p50 is not None)
    else:
        show_score.print_scores(found)
    raise typer.Exit(0 if all(each.good for each in found.values()) else 1)


def _check_picture(picture: Path, runs: int) -> None:
    """A minute's rehearsal for a picture that cannot be drawn would be in vain."""
    if runs > 1:
        raise PipelineError("--picture draws one run: give one --scenario")
    if picture.suffix.lower() not in _PICTURES:
        raise PipelineError(f"--picture {picture}: a picture's name ends in {' or '.join(_PICTURES)}")
    if not picture.parent.is_dir():
        raise PipelineError(f"--picture {picture}: there is no folder {picture.parent}")


def _rehearsed(name: str, rules: Path, start: str, picture: Path | None) -> Score:
    from evaluation.rehearsal import rehearse  # noqa: PLC0415
    from simulator.fleet.registry import registry_csv  # noqa: PLC0415
    from simulator.run import simulation as run  # noqa: PLC0415

    scenario = _scenario(name)
    length = dt.timedelta(seconds=scenario.duration)
    since = _moment(start) if start else dt.datetime.now(dt.UTC).replace(microsecond=0) - length
    try:
        text = rules.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"cannot read the rules in {rules}: {error}") from error
    try:
        faults = run.injected_faults(scenario, since)
        registry = parse_registry(registry_csv(scenario))
    except ValueError as error:  # a ScenarioError too: a fault that affects no device is known only with a fleet
        raise PipelineError(f"{name} cannot be rehearsed: {error}") from error
    checked = rules_in_bucket.check(text, registry)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TimeRemainingColumn())
    with Progress(*columns, console=console.err, transient=True, disable=not console.err.is_terminal) as progress:
        task = progress.add_task(f"rehearsing {scenario.name}", total=scenario.duration)
        played = rehearse(
            run.records(scenario, since),
            checked,
            since + length,
            lambda moment: progress.update(task, completed=(moment - since).total_seconds()),
        )
    return _scored(
        scenario.name, faults, played.received, ended_at=since + length, transitions=played.transitions,
        picture=picture,
    )  # fmt: skip


def _real(context: typer.Context, manifest: Path, truth: Path | None, alerts: Path, picture: Path | None) -> Score:
    from evaluation.scoring import wall_clock  # noqa: PLC0415
    from pipeline import alerts as in_lake  # noqa: PLC0415
    from simulator.faults.truth import decode_injected_faults, truth_path  # noqa: PLC0415
    from simulator.run.manifest import Manifest  # noqa: PLC0415

    try:
        run = msgspec.json.decode(manifest.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f"{manifest} is no manifest of a simulation: {error}") from error
    _need_zone(manifest, run.started_at, run.ended_at, run.arrived_from, run.arrived_to)
    file = truth or truth_path(manifest)
    try:
        faults = decode_injected_faults(file.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f"{file} is no ground truth of a simulation: {error}") from error
    _need_zone(file, *(moment for fault in faults for moment in (fault.since, fault.until)))
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
    from evaluation import matching, scoring  # noqa: PLC0415

    found = scoring.score(faults, received, ended_at, clock=clock, transitions=transitions)
    if picture:
        from evaluation import timeline  # noqa: PLC0415

        verdicts = matching.judge(faults, matching.told(received, transitions))
        try:
            told_of = {verdict.fault.id for verdict in verdicts if verdict.fault}
            shown = [each for each in faults if each.id in told_of or scoring.had_time(each, ended_at)]
            timeline.draw(shown, verdicts, found, picture, title=title)
        except (OSError, ValueError) as error:
            raise PipelineError(f"cannot draw {picture}: {error}") from error
    return found


def _about(run: Manifest, received: Received) -> Received:
    """The notification without alerts of devices that the run does not have: somebody else's."""
    notification = received.notification
    ours = [alert for alert in notification.alerts if not alert.device or alert.device in run.by_device]
    return received._replace(notification=msgspec.structs.replace(notification, alerts=ours))


def _recorded(path: Path) -> list[Received]:
    """The notifications in a file, each received when it was published: the file does not say when it really was."""
    from pipeline.inbox import Received  # noqa: PLC0415
    from telemetry.notifying.message import Notification  # noqa: PLC0415

    try:
        found = msgspec.json.Decoder(Notification).decode_lines(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f'{path} has no notifications as "iot alerts tail --json" prints them: {error}') from error
    _need_zone(path, *(notification.published_at for notification in found))
    return [Received(notification, notification.published_at) for notification in found]


def _need_zone(path: Path, *moments: dt.datetime) -> None:
    """Times without a zone compare with none of the others."""
    if not all(moment.tzinfo for moment in moments):
        raise PipelineError(f"{path}: its times need a time zone, as 2026-11-23T12:00:00Z; use it as it was written")


def _scenario(name: str) -> Scenario:
    from simulator.scenario.scenario import ScenarioError, load  # noqa: PLC0415

    try:
        return load(name)
    except (ScenarioError, OSError) as error:
        raise PipelineError(str(error)) from error


def _moment(text: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise PipelineError(f"--start: {text!r} is no time; write one like 2026-11-23T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
