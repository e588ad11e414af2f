"""A runbook's commands exist: who is woken at night has no time to find out that one does not."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
import typer
from botocore import xform_name
from typer.core import TyperGroup

from cli.main import app, load_verb
from tests.infra.conftest import ROOT

RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))

#: Commands of the AWS command line that are no operations, with their own options.
_CUSTOM = {
    ("logs", "tail"): {"since", "follow", "format", "filter-pattern"},
    ("s3", "ls"): {"recursive", "human-readable", "summarize"},
}
#: Options that it calls by another name than the operation does.
_RENAMED = {("sns", "subscribe"): {"notification-endpoint"}}
_GLOBAL = {"query", "output", "region", "profile"}

_BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`((?:aws|iot) [^`]*)`", re.DOTALL)


def commands(text: str) -> Iterator[list[str]]:
    """The words of each ``aws`` and ``iot`` command in a runbook, wherever in a line it stands."""
    for found in (*_BLOCK.findall(text), *_INLINE.findall(text)):
        for line in found.replace("\\\n", " ").replace("$(", "\n").replace("&&", "\n").splitlines():
            if re.match(r" *(aws|iot) ", line):
                # A quotation may go on in the next line, and a substitution leaves the end of its quotation.
                yield re.findall(r"\"[^\"]*\"?|'[^']*'?|[^\s\"']+", line)


def problem_of_aws(words: list[str]) -> str | None:
    """What is wrong with the command, if anything."""
    service, verb = words[1:3]
    if (service, verb) in _CUSTOM:
        known = _CUSTOM[service, verb]
    else:
        model = botocore.session.get_session().get_service_model("s3" if service == "s3api" else service)
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        if verb not in operations:
            return f"aws {service} has no {verb}"
        shape = model.operation_model(operations[verb]).input_shape
        known = {xform_name(name, "-") for name in shape.members} if shape else set()
        known |= {f"no-{name}" for name in known} | {"max-items"} | _RENAMED.get((service, verb), set())
    options = {word.removeprefix("--") for word in words if re.fullmatch(r"--[a-z-]+", word)}
    unknown = options - known - _GLOBAL
    return f"aws {service} {verb} has no --{', --'.join(sorted(unknown))}" if unknown else None


def problem_of_iot(words: list[str]) -> str | None:
    """What is wrong with the command, if anything."""
    iot = command = typer.main.get_command(app)
    options: set[str] = set()
    for word in words[1:]:
        options |= {option for parameter in command.params for option in parameter.opts}
        if word.startswith("--"):
            if word not in options:
                return f"{command.name} has no {word}"
        elif isinstance(command, TyperGroup):
            if word not in command.commands:
                return f"{command.name} has no {word}"
            command = load_verb(word) if command is iot else command.commands[word]
    return None if not isinstance(command, TyperGroup) else f"{shlex.join(words)} is no whole command"


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.stem)
def test_should_name_commands_that_exist(runbook: Path) -> None:
    found = list(commands(runbook.read_text()))

    assert found
    problems = [problem_of_aws(words) if words[0] == "aws" else problem_of_iot(words) for words in found]
    assert [problem for problem in problems if problem] == []


@pytest.mark.parametrize(
    "command",
    ["aws sqs purge-queues", "aws sqs purge-queue --queue X", "iot --aws rule show", "iot rules", "iot etl run --ful"],
)
def test_should_find_a_command_that_does_not_exist(command: str) -> None:
    (words,) = commands(f"Run `{command}`.")

    assert problem_of_aws(words) if words[0] == "aws" else problem_of_iot(words)
