"""``iot down``."""

from __future__ import annotations

from cli import console
from local import emulator
from local.kafka import instance as kafka


def down() -> None:
    """Stop the local AWS and everything it runs, Kafka too; its data is deleted."""
    ended = [kafka.stop(), emulator.stop()]
    console.out.print("the local AWS is down" if any(ended) else "no local AWS was running")
