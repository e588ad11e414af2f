"""Starts, finds, resets and stops the embedded AWS: MiniStack, in an environment and processes of its own.

Everything an instance has lies in one folder, its home, so that each clone of the repository has its own.
Data lives in memory and only as long as the instance runs. With it runs an agent that makes metrics of the functions'
logs: see :mod:`local.metrics_agent`.

``instance.json`` in the home names the process and the port: see :mod:`local.instance_file`.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import IO, NamedTuple

from local.endpoint import DUMMY_AWS, LocalError
from local.instance_file import content, last_lines, try_lock
from local.processes import end_group

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "local"
PYTHON = ROOT / ".venv-emulator" / "bin" / "python3"

_START_SECONDS = 60.0
_HOST = "127.0.0.1"

#: What the emulator gets of our environment. Everything else could change what it does.
_INHERITED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class Instance(NamedTuple):
    """A running emulator: its first process, which leads the process group of all others, and its port."""

    pid: int
    port: int

    @property
    def endpoint(self) -> str:
        """The URL for ``AWS_ENDPOINT_URL``."""
        return f"http://{_HOST}:{self.port}"


def start(port: int | None = None, home: Path = HOME) -> Instance:
    """Start the instance of ``home`` unless it runs, and return it once it answers requests.

    ``port`` is by default the former one, or one that is free. Raises :class:`LocalError` if the port is in use, if the
    instance runs on another one, or if it does not come up; no process is left then.
    """
    if not PYTHON.exists():
        raise LocalError(f"the emulator is not installed ({PYTHON} is missing): run 'make setup'")
    home.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with try_lock(_instance_file(home)) as lock:
            if lock:
                return _launch(lock, port, home, deadline)
        instance = running(home)
        if instance and port not in (None, instance.port):
            raise LocalError(f"the emulator already runs at {instance.endpoint}: stop it with 'iot down' first")
        if instance and is_healthy(instance):
            return instance
        time.sleep(0.05)
    raise LocalError(f"the emulator runs but does not answer: run 'iot down', or see {log_file(home)}")


def running(home: Path = HOME) -> Instance | None:
    """Return the instance of ``home``, whether it answers yet or not; None if there is none."""
    found = content(_instance_file(home))
    return Instance(**found) if found else None


def reset(home: Path = HOME) -> None:
    """Delete every resource and all data of the running instance. Raises :class:`LocalError` without one."""
    instance = running(home)
    if instance is None:
        raise LocalError("no emulator runs here: start one with 'iot up'")
    if _request(instance, "POST", "/_ministack/reset", seconds=30) != http.HTTPStatus.OK:
        raise LocalError(
            f"the emulator at {instance.endpoint} does not answer: run 'iot down', or see {log_file(home)}"
        )


def stop(home: Path = HOME) -> bool:
    """End the instance of ``home`` with all its functions and jobs; False if there was none."""
    instance = running(home)
    if instance is None:
        return False
    _end(instance.pid, home)
    return True


def is_healthy(instance: Instance) -> bool:
    """Return whether the instance answers."""
    return _request(instance, "GET", "/_ministack/health", seconds=2) == http.HTTPStatus.OK


def log_file(home: Path = HOME) -> Path:
    """Return the log file of the instance of ``home``."""
    return home / "emulator.log"


def environment(port: int, home: Path = HOME) -> dict[str, str]:
    """Return the whole environment of an instance; its functions and jobs inherit it."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {
        **inherited,
        **DUMMY_AWS,
        "AWS_ENDPOINT_URL": Instance(0, port).endpoint,
        "BIND_HOST": _HOST,
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",  # its MQTT port listens on every interface
        "PATH": os.pathsep.join((str(PYTHON.parent), os.environ.get("PATH", os.defpath))),  # jobs run "python3"
        "PYTHONUNBUFFERED": "1",
        "S3_DATA_DIR": str(home / "s3"),
        "STATE_DIR": str(home / "state"),
        "TMPDIR": str(home / "tmp"),
        "TZ": "UTC",  # Athena's days, and those of functions and jobs
    }


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _request(instance: Instance, method: str, path: str, seconds: float) -> int | None:
    """Return the status of an answer without asking any proxy, or None if there is none in that time."""
    connection = http.client.HTTPConnection(_HOST, instance.port, timeout=seconds)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _instance_file(home: Path) -> Path:
    return home / "instance.json"


def _launch(lock: IO[bytes], port: int | None, home: Path, deadline: float) -> Instance:
    """Start a process that takes over the lock, and wait until it answers."""
    if port is None:
        port = _former_port(home) or free_port()
    else:
        require_free(port)
    lock.truncate(0)
    for folder in ("s3", "state", "tmp"):
        shutil.rmtree(home / folder, ignore_errors=True)
        (home / folder).mkdir()
    with log_file(home).open("wb") as log:
        process = subprocess.Popen(
            [PYTHON, "-m", "local.launch", str(lock.fileno())],
            cwd=ROOT,
            env=environment(port, home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )
    instance = Instance(process.pid, port)
    try:
        while not is_healthy(instance):
            _require_starting(process, home, deadline)
            time.sleep(0.02)
    except BaseException:
        lock.close()
        _end(process.pid, home)
        raise
    return instance


def _former_port(home: Path) -> int | None:
    """Return the port of the instance before this one, if it is free: whatever was turned to that goes on."""
    try:
        port = int(json.loads(_instance_file(home).read_text())["port"])
        require_free(port)
    except (LocalError, ValueError, KeyError):
        return None
    return port


def _require_starting(process: subprocess.Popen[bytes], home: Path, deadline: float) -> None:
    if process.poll() is not None:
        raise LocalError(f"the emulator ended while starting:\n{last_lines(log_file(home))}")
    if time.monotonic() > deadline:
        raise LocalError(f"the emulator did not answer in {_START_SECONDS:.0f} s:\n{last_lines(log_file(home))}")


def require_free(port: int) -> None:
    """Raise :class:`LocalError` for a port of this machine that nothing can listen on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise LocalError(f"port {port} cannot be used ({reason}): choose another with --port") from error


def _end(group: int, home: Path) -> None:
    if not end_group(group):
        raise LocalError(f"the emulator (process group {group}) does not end: see {log_file(home)}")
