"""The one switch between AWS and an emulator."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from cdk.app import main
from cdk.target import TargetError, detect


class _Emulator(http.server.BaseHTTPRequestHandler):
    paths: frozenset[str] = frozenset()

    def do_GET(self) -> None:
        self.send_response(200 if self.path in self.paths else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class _MiniStack(_Emulator):
    paths = frozenset({"/_ministack/health"})


class _LocalStack(_Emulator):
    paths = frozenset({"/_localstack/health"})


@pytest.fixture
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), request.param)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("environ", [{}, {"AWS_ENDPOINT_URL": ""}])
def test_should_go_to_aws_without_an_endpoint(environ: dict[str, str]) -> None:
    assert detect(environ) == "aws"


@pytest.mark.parametrize(
    ("endpoint", "target"), [(_MiniStack, "ministack"), (_LocalStack, "localstack")], indirect=["endpoint"]
)
def test_should_ask_the_endpoint_which_emulator_it_is(endpoint: str, target: str) -> None:
    assert detect({"AWS_ENDPOINT_URL": endpoint}) == target


@pytest.mark.parametrize(
    "endpoint", ["http://10.0.0.7:4566", "https://kinesis.eu-west-1.amazonaws.com", "127.0.0.1:4566", "http://"]
)
def test_should_refuse_an_endpoint_that_is_not_on_this_machine(endpoint: str) -> None:
    with pytest.raises(TargetError, match="not an emulator on this machine; unset it to deploy to AWS"):
        detect({"AWS_ENDPOINT_URL": endpoint})


def test_should_say_in_one_line_which_setting_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    code = main({"IOT_PIPELINE_STAGE": "production"})

    error = capsys.readouterr().err.strip()
    assert code == 1
    assert error.startswith("cdk: settings: ")
    assert "\n" not in error


def test_should_say_so_in_one_line_where_nothing_answers(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        code = main({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})

    error = capsys.readouterr().err.strip()
    assert code == 1
    assert error.startswith(f"cdk: nothing answers at AWS_ENDPOINT_URL=http://127.0.0.1:{port}")
    assert "\n" not in error


@pytest.mark.parametrize("endpoint", [_MiniStack, _LocalStack], indirect=True)
def test_should_ask_for_a_broker_where_there_is_no_msk(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main({"AWS_ENDPOINT_URL": endpoint, "IOT_PIPELINE_INGEST": "msk"})

    error = capsys.readouterr().err.strip()
    assert code == 1
    assert error.startswith("cdk: settings: ingest=msk needs kafka_bootstrap on an emulator")
    assert "\n" not in error


@pytest.mark.parametrize("endpoint", [_MiniStack], indirect=True)
def test_should_refuse_spark_where_it_is_only_pretended(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main({"AWS_ENDPOINT_URL": endpoint, "IOT_PIPELINE_ETL_ENGINE": "spark"})

    error = capsys.readouterr().err.strip()
    assert code == 1
    assert error.startswith("cdk: settings: etl_engine=spark does not run on the embedded AWS")
    assert "\n" not in error
