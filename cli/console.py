"""The terminal: results go to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

#: Columns where there is no terminal to say how many it has.
_PIPE_WIDTH = 120

#: Results go to standard output, everything about how they come about to standard error.
out = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _PIPE_WIDTH)


def on_terminal() -> bool:
    """Return whether a person reads standard output, and not a program or a file."""
    return sys.stdout.isatty()


def print_json(value: Any) -> None:
    """One JSON value, indented, on standard output."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")
