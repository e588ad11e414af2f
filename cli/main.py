"""The ``iot`` command: the options before the verb, and the verbs of :mod:`cli.verbs`."""

from __future__ import annotations

import ast
import contextlib
import importlib
import pkgutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from typer.core import TyperCommand, TyperGroup

from cli import console, verbs
from cli.target import Choice
from local.endpoint import LocalError
from pipeline.errors import PipelineError
from simulator.sinks.sink import SinkError

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter

#: Verbs in the order of ``iot --help``; those that are not named here follow by name.
_ORDER = (
    "up", "down", "status", "deploy", "simulate", "replay", "query", "audit", "score", "dashboard", "report", "plan",
    "demo", "alerts", "devices", "etl", "quarantine", "registry", "rules", "scenarios",
)  # fmt: skip

#: The extra of pyproject.toml that brings a package.
_EXTRAS = {
    "streamlit": "dashboard",
    "confluent_kafka": "kafka",
    "aws_msk_iam_sasl_signer": "kafka",
    "paho": "mqtt",
    "matplotlib": "plots",
}


def load_verb(name: str) -> Command:
    """Import a verb's module and return its command."""
    module = importlib.import_module(f"{verbs.__name__}.{name}")
    if app := getattr(module, "app", None):
        return typer.main.get_group(app)
    app = typer.Typer(add_completion=False)
    app.command(name)(getattr(module, name))
    return typer.main.get_command(app)


class _Verbs(TyperGroup):
    """The modules of :mod:`cli.verbs`. Only the one that is used is imported, and none for ``iot --help``."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        found = {module.name: len(_ORDER) for module in pkgutil.iter_modules(verbs.__path__)}
        found |= {name: place for place, name in enumerate(_ORDER) if name in found}
        self.commands = {name: TyperCommand(name) for name in sorted(found, key=lambda name: (found[name], name))}

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Return the command of a verb, and the arguments after it."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, load_verb(name) if name else found, rest

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        """List each verb with its help."""
        for name, verb in self.commands.items():
            verb.help = _help_of(name)
        super().format_help(ctx, formatter)


def _help_of(name: str) -> str | None:
    """Return a verb's help without importing it: the docstring of its function, or else of its module."""
    [folder] = verbs.__path__
    module = ast.parse((Path(folder) / f"{name}.py").read_bytes())
    functions = (node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == name)
    return ast.get_docstring(next(functions, module))


app = typer.Typer(
    cls=_Verbs,
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


@app.callback()
def choose(
    context: typer.Context,
    *,
    aws: Annotated[bool, typer.Option("--aws", help="Use your AWS account, not the local AWS.")] = False,
    stage: Annotated[str, typer.Option(help="Which deployment.")] = "dev",
) -> None:
    """Keep what was chosen for the verb."""
    context.obj = Choice(aws, stage)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (PipelineError, LocalError, SinkError, BotoCoreError, ClientError) as error:
        console.err.print(f"iot: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if not extra:
            raise
        message = f"iot: needs the {extra!r} extra: pip install -c requirements-dev.txt -e '.[{extra}]'"
        console.err.print(message, style="red", markup=False, soft_wrap=True)
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
