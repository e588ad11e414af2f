"""``iot down``."""

from __future__ import annotations

from cli import console
from local import emulator


def down() -> None:
    """Stop the local AWS and everything it runs; its data is deleted."""
    console.out.print("the local AWS is down" if emulator.stop() else "no local AWS was running")
