"""Local commands talk to this machine, with dummy credentials."""

import os
import socket

import pytest

from local.endpoint import LocalError, local_environment, require_broker, require_loopback


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:4566", "http://127.8.9.10:4566", "http://[::1]:4566", "http://127.0.0.1"]
)
def test_should_accept_a_loopback_address(url: str) -> None:
    assert require_loopback(url) == url


def test_should_accept_a_name_that_is_loopback_in_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "127.0.0.1", "::1")
    assert require_loopback("http://localhost:4566/") == "http://localhost:4566"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:4566",
        "https://127.0.0.1:4566",
        "http://0.0.0.0:4566",
        "http://10.0.0.1:4566",
        "http://[::]:4566",
        "http://127.0.0.1@10.0.0.1:4566",
        "http://127.0.0.1:port",
        "http://[::1",
        "file:///etc/passwd",
    ],
)
def test_should_refuse_everything_else_in_one_line(url: str) -> None:
    with pytest.raises(LocalError, match="this machine only") as error:
        require_loopback(url)
    assert len(str(error.value).splitlines()) == 1


def test_should_refuse_a_name_with_an_address_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "127.0.0.1", "52.46.128.1")
    with pytest.raises(LocalError, match=r"sqs\.example is 127\.0\.0\.1, 52\.46\.128\.1"):
        require_loopback("http://sqs.example")


def test_should_refuse_a_name_that_cannot_be_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(LocalError, match=r"localhost\.localstack\.cloud has no address here"):
        require_loopback("http://localhost.localstack.cloud:4566")


def test_should_replace_every_aws_setting_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_ROLE_ARN", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, "the user's")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the user's")
    aws = {name: value for name, value in local_environment("http://127.0.0.1:4566").items() if name.startswith("AWS_")}
    assert aws == {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_should_keep_the_rest_of_the_environment_but_use_no_proxy_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMETHING", "else")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "intranet")
    environment = local_environment("http://127.0.0.1:4566")
    assert environment["SOMETHING"] == "else"
    assert environment["HTTPS_PROXY"] == "http://proxy:3128"
    assert environment["NO_PROXY"] == "intranet,localhost,127.0.0.1,::1"


def test_should_give_no_environment_for_an_endpoint_elsewhere() -> None:
    with pytest.raises(LocalError):
        local_environment("http://10.0.0.1:4566")


@pytest.mark.parametrize("address", ["127.0.0.1:9092", "127.8.9.10:1", "[::1]:65535"])
def test_should_accept_a_broker_on_this_machine(address: str) -> None:
    assert require_broker(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1",
        ":9092",
        "127.0.0.1:",
        "127.0.0.1:port",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "10.0.0.1:9092",
        "0.0.0.0:9092",
        "127.0.0.1:9092,10.0.0.1:9092",
    ],
)
def test_should_refuse_any_other_broker_in_one_line(address: str) -> None:
    with pytest.raises(LocalError, match="this machine only") as error:
        require_broker(address)
    assert len(str(error.value).splitlines()) == 1
