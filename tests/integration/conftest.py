"""The embedded AWS for the integration tests: one instance of their own, in a temporary folder.

``emulator`` is up for the whole run, ``deployed`` has the CDK app on it, and ``aws`` turns one test, and no
other, to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

import local.emulator
from local import deployment
from local.emulator import Instance
from local.endpoint import local_environment
from local.kafka.broker import missing
from pipeline.deployment import Deployment, find
from tests.integration.kafka_broker import KafkaBroker
from tests.integration.secured_broker import SecuredBroker

STAGE = "dev"


@pytest.fixture(scope="session")
def emulator_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run's emulator: its log, its data, the log of the deployment."""
    return tmp_path_factory.mktemp("emulator")


@pytest.fixture(scope="session")
def emulator(emulator_home: Path) -> Iterator[Instance]:
    """An emulator on a free port, apart from the user's, stopped at the end."""
    try:
        yield local.emulator.start(home=emulator_home)
    finally:
        local.emulator.stop(emulator_home)


@pytest.fixture(scope="session")
def deployed(emulator: Instance, emulator_home: Path) -> Deployment:
    """The whole CDK app, deployed once with the real CDK command line."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        session = _turn_to(emulator.endpoint, monkeypatch)
        deployment.deploy(session.client("cloudformation"), STAGE, lambda _progress: None, home=emulator_home)
        return find(session, STAGE)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A Kafka broker, one for all tests that need one."""
    if reason := missing():
        pytest.skip(reason)
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"))
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A Kafka broker with log-ins, one for all tests that need one."""
    if reason := missing():
        pytest.skip(reason)
    passwords = {"writer": "w-secret", "reader": "r-secret", "stranger": "s-secret"}
    broker = SecuredBroker(tmp_path_factory.mktemp("secured"), passwords)
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture
def turn_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], boto3.Session]:
    """What ``local.endpoint.enter`` does, undone after the test."""
    return lambda endpoint: _turn_to(endpoint, monkeypatch)


@pytest.fixture
def aws(emulator: Instance, turn_to: Callable[[str], boto3.Session]) -> boto3.Session:
    """A session on the emulator; every other AWS client of the test goes there too."""
    return turn_to(emulator.endpoint)


def _turn_to(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    environment = local_environment(endpoint)
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return boto3.Session()
