"""A function's environment."""

from __future__ import annotations

import msgspec
import pytest

from lambdas.store.environment import MissingVariableError, load


class Settings(msgspec.Struct):
    stage: str
    group_table: str


def test_should_read_one_variable_a_field() -> None:
    assert load(Settings, {"STAGE": "dev", "GROUP_TABLE": "groups", "PATH": "/bin"}) == Settings("dev", "groups")


@pytest.mark.parametrize(
    ("environ", "missing"),
    [({"STAGE": "dev"}, "GROUP_TABLE"), ({"STAGE": "", "GROUP_TABLE": ""}, "GROUP_TABLE, STAGE")],
)
def test_should_name_all_missing_variables(environ: dict[str, str], missing: str) -> None:
    with pytest.raises(MissingVariableError, match=f"missing environment variables: {missing};"):
        load(Settings, environ)
