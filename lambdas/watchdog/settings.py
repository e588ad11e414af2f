"""The watchdog's environment as one typed value."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """One field a variable; its name is the field's in capitals."""

    stage: str
    state_table: str
    group_table: str
    transitions_queue_url: str
    config_bucket: str
    rules_key: str
    registry_key: str
