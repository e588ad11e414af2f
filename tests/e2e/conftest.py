"""What the browser tests share: a filled pipeline on an embedded AWS of their own, its page, and Debian's Chromium."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import boto3
import pytest

import local.emulator
from local import deployment
from local.emulator import free_port
from local.endpoint import local_environment
from pipeline.alerts import rules_in_use, standings
from pipeline.deployment import find
from tests.e2e.watching import Watched
from tests.waiting import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: Where the screenshots go; ``SCREENSHOTS=docs/images/dashboard`` makes those of the documentation.
SCREENSHOTS = Path(os.environ.get("SCREENSHOTS", local.emulator.ROOT / "build" / "dashboard"))

#: How many times as fast as it would really happen; in the pictures of the documentation it is real time.
_SPEED = os.environ.get("SPEED", "120")

#: By its name the page knows a phone, and shuts the menu when a page was chosen.
_PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1"
)

_SCENARIO = Path(__file__).parent / "dashboard.yaml"
_IOT = str(Path(sys.executable).with_name("iot"))


class Running:
    """An embedded AWS with the stacks deployed: its environment and its files."""

    def __init__(self, home: Path, endpoint: str) -> None:
        self.home = home
        self.environment = local_environment(endpoint)

    def iot(self, *arguments: str) -> str:
        """Run a command to its end and give what it printed."""
        done = subprocess.run(
            [_IOT, *arguments],
            env=self.environment,
            cwd=local.emulator.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def session(self) -> Iterator[boto3.Session]:
        """A session with it."""
        with pytest.MonkeyPatch.context() as monkeypatch:
            for name, value in self.environment.items():
                monkeypatch.setenv(name, value)
            yield boto3.Session()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The stacks without any reading. Whoever needs them empty has to look before :func:`filled`."""
    home = tmp_path_factory.mktemp("dashboard")
    try:
        running = Running(home, local.emulator.start(home=home).endpoint)
        with running.session() as session:
            deployment.deploy(session.client("cloudformation"), "dev", lambda _progress: None, home=home)
        yield running
    finally:
        local.emulator.stop(home)


@pytest.fixture(scope="module")
def seen_empty(empty: Running, chromium: Browser) -> dict[str, str]:
    """What each page says before there is any reading."""
    with page_of(empty.environment) as address, watched(chromium, address) as watch:
        return {name: watch.visit(name).inner_text() for name in Watched.PAGES}


@pytest.fixture(scope="module")
def filled(empty: Running, seen_empty: dict[str, str]) -> Running:
    """The same with twelve minutes of readings, alerts that are active, and tables."""
    registry = empty.home / "devices.csv"
    empty.iot(
        *("simulate", "--scenario", str(_SCENARIO), "--speed", _SPEED, "--sink", "kinesis", "--registry", str(registry))
    )
    empty.iot("registry", "apply", str(registry))
    with empty.session() as session:
        found = find(session, "dev")
        rules = rules_in_use(session, found)
        wait_for(
            lambda: sum(one.rule == "too-hot" for one in standings(session, found, rules)) == 4,
            "four alerts",
        )
    empty.iot("etl", "run")
    return empty


@pytest.fixture(scope="module")
def dashboard(filled: Running) -> Iterator[str]:
    """The address of the page of the filled pipeline."""
    with page_of(filled.environment) as address:
        yield address


@contextmanager
def page_of(environment: dict[str, str]) -> Iterator[str]:
    """``iot dashboard`` for as long as it takes; gives the page's address."""
    port = free_port()
    page = subprocess.Popen([_IOT, "dashboard", "--port", str(port)], env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _answers(port), "the page")
        yield f"http://127.0.0.1:{port}"
    finally:
        page.terminate()
        page.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def watched(
    browser: Browser, address: str, *, scheme: Literal["light", "dark"] = "light", width: int = 1280, height: int = 900
) -> Iterator[Watched]:
    """A window on the page, with the browser of somebody in Prague; ends with an error if the console had one."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        timezone_id="Europe/Prague",
        locale="en-GB",
        user_agent=_PHONE if width < 600 else None,
        is_mobile=width < 600,
        has_touch=width < 600,
    )
    context.set_default_timeout(60_000)  # milliseconds; twice Playwright's own, for a machine that does much else
    try:
        watch = Watched(context.new_page(), address)
        yield watch
        assert watch.errors == []
    finally:
        context.close()


@pytest.fixture
def window(chromium: Browser, dashboard: str) -> Iterator[Watched]:
    """A window on a laptop, in the light."""
    with watched(chromium, dashboard) as watch:
        yield watch
