"""The detector's environment."""

from __future__ import annotations

import pytest

from lambdas.detector.settings import MissingVariableError, Settings, load

COMPLETE = {name.upper(): f"value of {name}" for name in Settings.__struct_fields__}


def test_should_read_one_variable_a_field() -> None:
    assert load({**COMPLETE, "PATH": "/bin"}).state_table == "value of state_table"


@pytest.mark.parametrize("name", COMPLETE)
def test_should_name_a_missing_variable(name: str) -> None:
    with pytest.raises(MissingVariableError, match=f"missing environment variables: {name};"):
        load({key: value for key, value in COMPLETE.items() if key != name})


def test_should_name_all_missing_variables_at_once() -> None:
    with pytest.raises(MissingVariableError, match="ALERTS_TOPIC_ARN, CONFIG_BUCKET, RULES_KEY, STAGE, STATE_TABLE;"):
        load({"STAGE": ""})
