"""The functions' environments."""

from __future__ import annotations

import msgspec
import pytest

from lambdas.detector.settings import Settings as Detector
from lambdas.notifier.settings import Settings as Notifier
from lambdas.store.environment import MissingVariableError, load
from lambdas.watchdog.settings import Settings as Watchdog

ALL: list[type[msgspec.Struct]] = [Detector, Watchdog, Notifier]


def complete(settings: type[msgspec.Struct]) -> dict[str, str]:
    return {name.upper(): f"value of {name}" for name in settings.__struct_fields__}


@pytest.mark.parametrize("settings", ALL)
def test_should_read_one_variable_a_field(settings: type[msgspec.Struct]) -> None:
    loaded = load(settings, {**complete(settings), "PATH": "/bin"})
    assert msgspec.structs.asdict(loaded)["config_bucket"] == "value of config_bucket"


@pytest.mark.parametrize(("settings", "name"), [(settings, name) for settings in ALL for name in complete(settings)])
def test_should_name_a_missing_variable(settings: type[msgspec.Struct], name: str) -> None:
    with pytest.raises(MissingVariableError, match=f"missing environment variables: {name};"):
        load(settings, {key: value for key, value in complete(settings).items() if key != name})


def test_should_name_all_missing_variables_at_once() -> None:
    with pytest.raises(
        MissingVariableError, match="CONFIG_BUCKET, REGISTRY_KEY, RULES_KEY, STAGE, STATE_TABLE, TRANSITIONS_QUEUE_URL;"
    ):
        load(Detector, {"STAGE": ""})
