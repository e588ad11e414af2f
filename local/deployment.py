"""Deploys the CDK app to an emulator with the real CDK command line."""

import os
import re
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError, EndpointConnectionError

from local.emulator import HOME, ROOT
from local.endpoint import ACCOUNT, REGION, LocalError, local_environment
from local.processes import end_group

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_CDK = ROOT / "node_modules" / ".bin" / "cdk"
_BOOTSTRAP_STACK = "CDKToolkit"
_EVENT = re.compile(r"(?P<stack>\S+) +\| *(?P<done>\d+)/(?P<total>\d+) +\| ")
_FINISHED = re.compile(r"✅ +(?P<stack>\S+)( \(no changes\))?$")
_FAILURE = re.compile(r"(?P<stack>\S+) +\|.*_FAILED +\| (?P<type>\S+) +\| (?P<reason>.*)")
_REASON_LINES = 3


class Progress(NamedTuple):
    """Progress of a stack: resources done and in all, as far as known, and whether it is finished."""

    stack: str
    done: int
    total: int
    finished: bool


def deploy(
    cloudformation: "CloudFormationClient",
    stage: str,
    on_progress: Callable[[Progress], None],
    *,
    context: Mapping[str, str] | None = None,
    app: Path = ROOT,
    home: Path = HOME,
) -> None:
    """Bootstrap the emulator behind ``cloudformation`` unless it is, then deploy every stack of ``stage``.

    ``context`` has settings of the app, ``app`` is the folder with its cdk.json. The first progress comes once the app
    is synthesised, which takes some seconds. The command line's whole output is in ``home``/deploy.log. Raises
    :class:`LocalError` with the reason if it fails, or if the endpoint is not on the loopback interface. Interrupted,
    it leaves no process.
    """
    if not _CDK.exists():
        raise LocalError(f"the CDK command line is not installed ({_CDK} is missing): run 'make setup'")
    environment = local_environment(cloudformation.meta.endpoint_url)
    environment["PATH"] = os.pathsep.join((str(ROOT / ".venv" / "bin"), environment.get("PATH", os.defpath)))
    environment["CDK_DISABLE_CLI_TELEMETRY"] = "true"
    # Where it is set, Python compiles aws_cdk anew at each synthesis: half of the time that takes.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    home.mkdir(parents=True, exist_ok=True)
    log = home / "deploy.log"
    log.unlink(missing_ok=True)
    if not _is_bootstrapped(cloudformation):
        # In a folder without a cdk.json, or it would synthesise the app, which takes longer than all the rest.
        _run(["bootstrap", f"aws://{ACCOUNT}/{REGION}"], home, environment, log, on_progress)
        on_progress(Progress(_BOOTSTRAP_STACK, 0, 0, finished=True))
    arguments = ["deploy", "--all", "--context", f"stage={stage}", "--output", str(home / "cdk.out")]
    arguments += [f"--context={name}={value}" for name, value in (context or {}).items()]
    arguments += ["--require-approval", "never", "--concurrency", "4", "--progress", "events"]
    _run(arguments, app, environment, log, on_progress)


def _is_bootstrapped(cloudformation: "CloudFormationClient") -> bool:
    try:
        cloudformation.describe_stacks(StackName=_BOOTSTRAP_STACK)
    except EndpointConnectionError as error:
        raise LocalError(f"nothing answers at {cloudformation.meta.endpoint_url}: run 'iot up' first") from error
    except ClientError:
        return False
    return True


def _run(
    arguments: list[str], folder: Path, environment: dict[str, str], log: Path, on_progress: Callable[[Progress], None]
) -> None:
    """Run the CDK command line, in a process group of its own, to its end or ours."""
    failures: dict[str, None] = {}  # a set that keeps the order: the command line says each twice
    last: deque[str] = deque(maxlen=_REASON_LINES)
    process = subprocess.Popen(
        [_CDK, *arguments, "--ci", "--no-color", "--no-notices"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    with process:
        try:
            with log.open("a", encoding="utf-8") as file:
                for line in process.stdout or ():
                    file.write(line)
                    if line.strip():
                        last.append(line.strip())
                    if failure := _FAILURE.match(line.strip()):
                        failures["{stack}: {type}: {reason}".format(**failure.groupdict())] = None
                    progress = _progress(line.strip())
                    if progress:
                        on_progress(progress)
            process.wait()
        finally:
            end_group(process.pid)
    if process.returncode:
        reason = "\n".join(list(failures)[:_REASON_LINES] or last)
        raise LocalError(f"cdk {arguments[0]} failed:\n{reason}\n(all of it: {log})")


def _progress(line: str) -> Progress | None:
    """Return a stack's progress if a line of the command line's output reports any."""
    if event := _EVENT.match(line):
        return Progress(event["stack"], int(event["done"]), int(event["total"]), finished=False)
    if finished := _FINISHED.match(line):
        return Progress(finished["stack"], 0, 0, finished=True)
    return None
