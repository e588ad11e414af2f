"""``iot dashboard``: the page in a browser."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import console, target
from local.emulator import free_port, require_free

_MAIN = Path(__file__).parents[2] / "dashboards" / "app" / "main.py"


def dashboard(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port on 127.0.0.1; 0 for a free one.")] = 8501,
) -> None:
    """Show the pipeline in a browser: live figures, fleet, devices, alerts, quality, and its own health.

    Runs until Ctrl-C, and is reached from this machine only. With "iot --aws" it reads your account with your
    credentials: Athena for history, DynamoDB for the state of alerts, CloudWatch for metrics. Answers are kept
    for seconds to a minute, whoever looks; docs/dashboard.md says what they cost and which permissions it takes.

      iot dashboard

      iot --aws --stage prod dashboard --port 8600
    """
    if not importlib.util.find_spec("streamlit"):
        raise ModuleNotFoundError(name="streamlit")
    choice: target.Choice = context.obj
    target.connect(aws=choice.aws)
    port = port or free_port()
    require_free(port)
    console.err.print(f"the dashboard is at http://127.0.0.1:{port}; Ctrl-C ends it", markup=False, soft_wrap=True)
    command = [sys.executable, "-m", "streamlit", "run", str(_MAIN), "--server.address", "127.0.0.1"]
    command += ["--server.port", str(port), "--logger.level", "warning", "--logger.hideWelcomeMessage", "true"]
    command += ["--", "--stage", choice.stage, *(["--aws"] if choice.aws else [])]
    page = subprocess.Popen(command, env=os.environ)
    try:
        code = page.wait()
    finally:
        page.terminate()
        page.wait()
    raise typer.Exit(code)
