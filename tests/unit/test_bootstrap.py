"""The functions' environments."""

from __future__ import annotations

import msgspec
import pytest

from lambdas.bootstrap import MissingVariableError, Settings, load
from lambdas.detector.function import Settings as Detector
from lambdas.notifier.function import Settings as Notifier
from lambdas.watchdog.function import Settings as Watchdog

ALL: list[type[Settings]] = [Detector, Watchdog, Notifier]


def complete(settings: type[Settings]) -> dict[str, str]:
    return {name.upper(): f"value of {name}" for name in settings.__struct_fields__}


@pytest.mark.parametrize("settings", ALL)
def test_should_read_one_variable_a_field(settings: type[Settings]) -> None:
    loaded = load(settings, {**complete(settings), "PATH": "/bin"})
    assert msgspec.structs.asdict(loaded)["config_bucket"] == "value of config_bucket"


@pytest.mark.parametrize(("settings", "name"), [(settings, name) for settings in ALL for name in complete(settings)])
def test_should_name_a_missing_variable(settings: type[Settings], name: str) -> None:
    with pytest.raises(MissingVariableError, match=f"missing environment variables: {name};"):
        load(settings, {key: value for key, value in complete(settings).items() if key != name})


def test_should_name_all_missing_variables_at_once() -> None:
    with pytest.raises(
        MissingVariableError, match="CONFIG_BUCKET, REGISTRY_KEY, RULES_KEY, STAGE, STATE_TABLE, TRANSITIONS_QUEUE_URL;"
    ):
        load(Detector, {"STAGE": ""})
