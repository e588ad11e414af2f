"""What all tiers share: hypothesis profiles, the dummy AWS environment of everything local, and a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# No test may ever reach a real account: whatever credentials the shell has are not there.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}

# Shared machines are noisy: examples are counted, not timed. The same ones each time, so that whoever changes something
# else is not stopped by a corner nobody had seen; to look for new ones: pytest --hypothesis-profile explore tests/unit
for profile, derandomize in (("ci", True), ("explore", False)):
    settings.register_profile(
        profile,
        deadline=None,
        derandomize=derandomize,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
    )
settings.load_profile("ci")

T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="try every call that may fail, not a sample of them")


class Sampled(Protocol):
    """Select the cases that this run tries."""

    def __call__(self, cases: Sequence[T], one_in: int, /) -> Sequence[T]: ...


@pytest.fixture(scope="session")
def sampled(pytestconfig: pytest.Config) -> Sampled:
    """Select one case in N, from one that the printed ``--randomly-seed`` chooses, so that all have their turn."""
    if pytestconfig.getoption("whole"):
        return lambda cases, _: cases
    seed = pytestconfig.getoption("randomly_seed", 0)
    return lambda cases, one_in: cases[seed % one_in :: one_in]


#: Groups whose name begins so are started in this order, since they take longest. All others come after them.
_SLOWEST_FIRST = ("deployed", "e2e/", "integration/test_spark", "integration/", "unit/curate/test_curate_")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Group the tests that one process runs, before xdist asks, and put those first that take longest."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    yield
    if config.getoption("loadgroup", default=False) and not all("@" in item.nodeid for item in items):
        raise pytest.UsageError("pytest-xdist does not group tests: this pytest does not read what it writes")
    items.sort(key=lambda item: _order(_group(item)))


def _group(item: pytest.Item) -> str:
    """Return what the test shares with others of its process: deployment and broker, the templates, or its file."""
    path = item.path.relative_to(Path(__file__).parent)
    fixtures = getattr(item, "fixturenames", ())
    if path.parts[0] == "integration" and {"deployed", "kafka"} & set(fixtures):
        return "deployed"
    if path.parts[0] == "integration" and "secured" in fixtures:
        return "integration/secured"
    if (path.parts[0] == "infra" and {"app", "kafka_templates"} & set(fixtures)) or hasattr(
        getattr(item, "module", None), "app_for"
    ):
        return "synthesis"
    return path.as_posix()


def _order(group: str) -> int:
    return next((at for at, name in enumerate(_SLOWEST_FIRST) if group.startswith(name)), len(_SLOWEST_FIRST))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's browser, without the calls home that a closed network refuses.

    Of a module, not of the run: as long as it lives, nothing else in the thread can use asyncio.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make test installs it")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()
