"""docker-compose.yml is one, keeps to this machine, and says what it wants of its environment.

The schema is Compose's own; that the containers start is not tried here, as there is no Docker in the tests.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)")


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    found = json.loads((Path(__file__).parent / "schemas" / "compose-spec.json").read_text())
    return jsonschema.Draft202012Validator(found)


@pytest.fixture
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return found


def test_should_be_what_compose_reads(schema: jsonschema.Draft202012Validator, compose: dict[str, Any]) -> None:
    assert [error.message for error in schema.iter_errors(compose)] == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("imagee", "x"), ("ports", "9092:9092"), ("healthcheck", {"test": 1}), ("profiles", "kafka"), ("volumes", [{}])],
)
def test_should_find_what_compose_would_refuse(
    schema: jsonschema.Draft202012Validator, compose: dict[str, Any], key: str, value: object
) -> None:
    compose["services"]["kafka"][key] = value
    assert list(schema.iter_errors(compose))


def test_should_start_each_service_alone(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"localstack", "kafka", "grafana"}
    for name, service in compose["services"].items():
        assert service["profiles"] == [name]
        assert "depends_on" not in service


def test_should_pin_every_image_and_plugin(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert re.fullmatch(r"[a-z/]+:\d+(\.\d+){2}", service["image"])
    plugins = compose["services"]["grafana"]["environment"]["GF_PLUGINS_PREINSTALL_SYNC"]
    assert re.fullmatch(r"grafana-athena-datasource@\d+(\.\d+){2}", plugins)


def test_should_run_the_kafka_that_is_started_without_docker_too(compose: dict[str, Any]) -> None:
    jars = (ROOT / "local" / "kafka" / "broker.xml").read_text()
    (version,) = re.findall(r"<artifactId>kafka_2\.13</artifactId>\s*<version>(.+)</version>", jars)
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{version}"


def test_should_listen_on_the_loopback_interface_only(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["ports"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert "network_mode" not in service


def test_should_say_of_each_service_how_it_is(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["healthcheck"]["retries"]


def test_should_keep_data_in_named_volumes(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert name in compose["volumes"]
        assert any(volume.startswith(f"{name}:/var/lib/") for volume in service["volumes"])


def test_should_let_grafana_only_read_what_is_the_viewers(compose: dict[str, Any]) -> None:
    grafana = compose["services"]["grafana"]
    mounted = [volume for volume in grafana["volumes"] if not volume.startswith("grafana:")]
    assert len(mounted) == 2
    assert all(volume.endswith(":ro") for volume in mounted)
    assert grafana["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert grafana["environment"]["GF_SECURITY_ADMIN_PASSWORD"] == "${GRAFANA_ADMIN_PASSWORD:-}"


def test_should_mount_what_grafana_is_provisioned_with(compose: dict[str, Any]) -> None:
    folder = ROOT / "dashboards" / "grafana" / "provisioned"
    assert f"./{folder.relative_to(ROOT)}:/etc/grafana/provisioning:ro" in compose["services"]["grafana"]["volumes"]
    home = compose["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (folder / Path(home).relative_to("/etc/grafana/provisioning")).is_file()


def test_should_give_grafana_what_its_data_sources_ask_the_environment_for(compose: dict[str, Any]) -> None:
    provisioned = (ROOT / "dashboards" / "grafana" / "provisioned" / "datasources" / "aws.yaml").read_text()
    asked = set(VARIABLE.findall(provisioned))
    assert asked == {"AWS_REGION", "CLOUDWATCH_ENDPOINT", "IOT_STAGE"}
    assert asked <= set(compose["services"]["grafana"]["environment"])


def test_should_explain_every_variable_and_no_other() -> None:
    used = set(VARIABLE.findall(re.sub(r"#.*", "", COMPOSE.read_text())))
    explained = re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(explained) == len(set(explained))
    assert set(explained) == used


def test_should_ship_no_secret() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert all(line.startswith("#") or line.endswith("=") or not line for line in lines)
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_should_need_no_variable_of_another_profile() -> None:
    """``${X:?}`` would: Compose fills in the whole file, whatever is started."""
    text = re.sub(r"#.*", "", COMPOSE.read_text())
    assert len(VARIABLE.findall(text)) == len(re.findall(r"\$\{\w+:-", text))
