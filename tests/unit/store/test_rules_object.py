"""The rules object as the functions read it, against moto and against an S3 that fails on demand."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws

from lambdas.store.rules_object import CHECK_EVERY, RulesObject
from telemetry.rules.parse import parse_rules


@pytest.fixture(autouse=True)
def aws():
    with mock_aws():
        yield


PACKAGED = parse_rules("rules: []")


@pytest.fixture
def client():
    client = boto3.client("s3")
    client.create_bucket(Bucket="rules-bucket")
    client.put_bucket_versioning(Bucket="rules-bucket", VersioningConfiguration={"Status": "Enabled"})
    return client


@pytest.fixture
def clock():
    class Clock:
        now = 0.0

        def __call__(self) -> float:
            return self.now

    return Clock()


def rules_object(client, clock) -> RulesObject:
    return RulesObject(client, "rules-bucket", "rules.yaml", "devices.csv", packaged=PACKAGED, clock=clock)


def put(client, text: str, key: str = "rules.yaml") -> None:
    client.put_object(Bucket="rules-bucket", Key=key, Body=text.encode())


def names(rules: RulesObject) -> list[str]:
    return [rule.name for rule in rules.current().rules]


ONE = "rules: [{name: one, when: temperature > 1}]"
TWO = "rules: [{name: two, when: temperature > 2}]"


def test_should_use_the_packaged_rules_until_there_is_an_object(client, clock) -> None:
    rules = rules_object(client, clock)
    assert rules.current() is PACKAGED
    put(client, ONE)
    clock.now += CHECK_EVERY
    assert names(rules) == ["one"]


def test_should_pick_up_an_edit_without_being_redeployed(client, clock) -> None:
    put(client, ONE)
    rules = rules_object(client, clock)
    assert names(rules) == ["one"]
    put(client, TWO)
    assert names(rules) == ["one"], "asks S3 only now and then"
    clock.now += CHECK_EVERY
    assert names(rules) == ["two"]


def test_should_parse_again_only_when_the_object_changed(client, clock) -> None:
    put(client, ONE)
    rules = rules_object(client, clock)
    before = rules.current()
    clock.now += CHECK_EVERY
    assert rules.current() is before


def test_should_keep_the_last_good_rules_when_an_edit_is_broken(client, clock) -> None:
    put(client, ONE)
    rules = rules_object(client, clock)
    rules.current()
    put(client, "rules: [{name: one}]")
    clock.now += CHECK_EVERY
    assert names(rules) == ["one"]
    assert rules.broken is not None
    assert "when" in rules.broken
    clock.now += CHECK_EVERY
    assert names(rules) == ["one"]
    assert rules.broken, "stays reported for as long as the object is broken"
    put(client, TWO)
    clock.now += CHECK_EVERY
    assert names(rules) == ["two"]
    assert rules.broken is None


def test_should_find_the_last_good_rules_after_a_cold_start(client, clock) -> None:
    for text in (ONE, TWO, "rubbish", "rules: 7"):
        put(client, text)
    rules = rules_object(client, clock)
    assert names(rules) == ["two"]
    assert rules.broken


@pytest.mark.parametrize("unreadable", ["rules.yaml", "devices.csv"])
def test_should_go_on_with_the_rules_in_memory_while_s3_cannot_be_read(client, clock, unreadable: str) -> None:
    class Flaky:
        """S3, in which an object is unreadable while ``error`` is set."""

        error: Exception | None = None

        def get_object(self, **request: Any) -> Any:
            if self.error and request["Key"] == unreadable:
                raise self.error
            return client.get_object(**request)

    put(client, ONE)
    flaky = Flaky()
    rules = rules_object(flaky, clock)
    rules.current()
    for error in (
        ClientError({"Error": {"Code": "SlowDown", "Message": "reduce your rate"}}, "GetObject"),
        ConnectTimeoutError(endpoint_url="https://s3"),
    ):
        flaky.error = error
        clock.now += CHECK_EVERY
        assert names(rules) == ["one"]
        assert rules.broken == str(error)
    flaky.error = None
    clock.now += CHECK_EVERY
    assert names(rules) == ["one"]
    assert rules.broken is None


def test_should_not_hide_that_the_bucket_cannot_be_read(client, clock) -> None:
    rules = RulesObject(client, "another-bucket", "rules.yaml", "devices.csv", packaged=PACKAGED, clock=clock)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        rules.current()


FREEZERS = "rules: [{name: freezers, when: temperature > 1, match: {model: freezer}}]"
DRAUGHTS = "rules: [{name: draughts, when: temperature > 1, match: {door: '*'}}]"


def register(client, *lines: str, more: str = "") -> None:
    put(client, "\n".join((f"device,site,model{more}", *lines)), "devices.csv")


def watching(rules: RulesObject, device: str = "d1") -> list[str]:
    return [rule.name for rule in rules.current().watching(device, "s").rules]


def test_should_match_by_the_registry_and_pick_up_an_edit_of_it(client, clock) -> None:
    put(client, FREEZERS)
    register(client, "d1,s,freezer", "d2,s,fan")
    rules = rules_object(client, clock)
    assert watching(rules, "d1") == ["freezers"]
    assert watching(rules, "d2") == []
    register(client, "d1,s,fan", "d2,s,freezer")
    assert watching(rules, "d1") == ["freezers"], "asks S3 only now and then"
    clock.now += CHECK_EVERY
    assert watching(rules, "d1") == []
    assert watching(rules, "d2") == ["freezers"]
    before = rules.current()
    clock.now += CHECK_EVERY
    assert rules.current() is before
    assert rules.broken is None


def test_should_use_rules_with_attributes_once_there_is_a_registry(client, clock) -> None:
    put(client, FREEZERS)
    rules = rules_object(client, clock)
    assert rules.current() is PACKAGED
    assert rules.broken is not None
    assert "no registry of devices was applied" in rules.broken
    register(client, "d1,s,freezer")
    clock.now += CHECK_EVERY
    assert watching(rules) == ["freezers"]
    assert rules.broken is None


def test_should_keep_the_last_good_registry_when_an_edit_is_broken(client, clock) -> None:
    put(client, FREEZERS)
    register(client, "d1,s,freezer")
    rules = rules_object(client, clock)
    rules.current()
    register(client, "d1,s,fan", "d1,s,fan")
    clock.now += CHECK_EVERY
    assert watching(rules) == ["freezers"]
    assert rules.broken is not None
    assert rules.broken.startswith("line 3: the device 'd1' is already on line 2")
    put(client, FREEZERS.replace("name: freezers", "name: other"))
    clock.now += CHECK_EVERY
    assert watching(rules) == ["other"], "new rules come into use with it"
    assert rules.broken, "stays reported for as long as the object is broken"


def test_should_find_the_last_good_registry_after_a_cold_start(client, clock) -> None:
    put(client, FREEZERS)
    register(client, "d1,s,fan")
    register(client, "d1,s,freezer")
    put(client, "rubbish", "devices.csv")
    rules = rules_object(client, clock)
    assert watching(rules) == ["freezers"]
    assert rules.broken


def test_should_keep_the_rules_in_memory_when_a_registry_lacks_their_attribute(client, clock) -> None:
    put(client, DRAUGHTS)
    register(client, "d1,s,freezer,north", more=",door")
    rules = rules_object(client, clock)
    assert watching(rules) == ["draughts"]
    register(client, "d1,s,freezer")
    clock.now += CHECK_EVERY
    assert watching(rules) == ["draughts"]
    assert rules.broken is not None
    assert "door: the registry has no such attribute" in rules.broken
    register(client, "d1,s,freezer,north", "d2,s,fan,south", more=",door")
    clock.now += CHECK_EVERY
    assert watching(rules, "d2") == ["draughts"]
    assert rules.broken is None


def test_should_register_nothing_when_the_registry_was_deleted(client, clock) -> None:
    put(client, ONE)
    register(client, "d1,s,freezer")
    rules = rules_object(client, clock)
    assert rules.current().registry.attributes_of("d1") == {"model": "freezer"}
    client.delete_object(Bucket="rules-bucket", Key="devices.csv")
    clock.now += CHECK_EVERY
    assert rules.current().registry.devices == {}
    assert rules.broken is None


def test_should_say_which_versions_are_in_use_and_read_an_earlier_registry(client, clock) -> None:
    rules = rules_object(client, clock)
    rules.current()
    assert [version.etag for version in rules.versions] == ["", ""]
    put(client, ONE)
    put(client, "device,site,model\nd1,s,m", "devices.csv")
    clock.now += CHECK_EVERY
    rules.current()
    first, registry = rules.versions
    put(client, "rules: 7")
    put(client, "device,site,model\nd2,s,m", "devices.csv")
    clock.now += CHECK_EVERY
    assert rules.current().registry.devices.keys() == {"d1"}
    assert rules.versions == (first, registry), "those before are still in use"
    put(client, TWO)
    clock.now += CHECK_EVERY
    assert rules.current().registry.devices.keys() == {"d2"}
    before = rules.registry_at(registry.version_id)
    assert before is not None
    assert before.devices.keys() == {"d1"}
    assert rules.registry_at("00000000-0000-0000-0000-000000000000") is None
