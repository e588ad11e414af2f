"""Putting rules into use, and going back."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws

from pipeline import rules
from pipeline.errors import PipelineError
from tests.deployments import named_deployment

ONE = "rules: [{name: one, when: temperature > 1}]\n"
TWO = "rules: [{name: two, when: temperature > 2}]\n"
DEPLOYED = named_deployment(rules_key="rules.yaml", registry_key="devices.csv")


@pytest.fixture
def session():
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=DEPLOYED.config_bucket_name)
        s3.put_bucket_versioning(Bucket=DEPLOYED.config_bucket_name, VersioningConfiguration={"Status": "Enabled"})
        yield boto3.Session()


def in_use(session: boto3.Session) -> str | None:
    applied = rules.current(session, DEPLOYED)
    return applied and applied.text


def test_should_put_rules_into_use(session) -> None:
    assert in_use(session) is None
    assert [rule.name for rule in rules.apply(session, DEPLOYED, ONE).rules] == ["one"]
    assert in_use(session) == ONE


def test_should_leave_the_rules_alone_when_the_new_ones_are_broken(session) -> None:
    rules.apply(session, DEPLOYED, ONE)
    with pytest.raises(PipelineError, match="rule 'two': the key 'when' is missing"):
        rules.apply(session, DEPLOYED, "rules: [{name: two}]")
    assert in_use(session) == ONE


def test_should_go_back_and_forth(session) -> None:
    rules.apply(session, DEPLOYED, ONE)
    rules.apply(session, DEPLOYED, TWO)
    assert [rule.name for rule in rules.rollback(session, DEPLOYED).rules] == ["one"]
    assert in_use(session) == ONE
    rules.rollback(session, DEPLOYED)
    assert in_use(session) == TWO


@pytest.mark.parametrize("applied", [[], [ONE]])
def test_should_say_that_there_is_nothing_to_go_back_to(session, applied: list[str]) -> None:
    for text in applied:
        rules.apply(session, DEPLOYED, text)
    with pytest.raises(PipelineError, match="no earlier rules"):
        rules.rollback(session, DEPLOYED)


def test_should_say_what_other_rules_change() -> None:
    before = rules.check(
        "rules: [{name: same, when: battery < 1}, {name: gone, when: battery < 2}, {name: other, when: battery < 3}]"
    )
    after = rules.check(
        "{inhibit: [{source: same, target: other, equal: [site]}], rules: [{name: new, when: battery < 1}, "
        "{name: other, when: battery < 3, for: 5m}, {name: same, when: battery < 1}]}"
    )
    assert str(rules.changes(before, after)) == "added: new; removed: gone; changed: other; the inhibitions changed"
    assert str(rules.changes(after, after)) == "nothing changed"
