"""Start, find and stop Kafka next to the emulator: the bridge, and a broker unless one runs already.

``kafka.json`` in the emulator's home names the process and the broker: see :mod:`local.instance_file`. All processes
are of one group and end together. The records live as long as the emulator: a broker that has died starts with them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, NamedTuple

from local import emulator
from local.emulator import HOME, ROOT, free_port, require_free
from local.endpoint import LocalError, local_environment, require_broker
from local.instance_file import content, last_lines, try_lock
from local.kafka.broker import HOST, missing
from local.processes import end_group

_START_SECONDS = 60.0
_LOCK_SECONDS = 1.0

_INSTEAD = "or start one with 'docker compose --profile kafka up --wait' and name it with --kafka localhost:9092"


class Instance(NamedTuple):
    """Kafka next to the emulator at ``endpoint``: its first process, which leads the group, and the broker.

    ``own`` says whether the broker is one of its processes. ``emulator`` is the emulator's process, 0 after a stop.
    """

    pid: int
    bootstrap: str
    endpoint: str
    own: bool
    emulator: int


def start(endpoint: str, bootstrap: str = "", home: Path = HOME) -> Instance:
    """Start Kafka next to the emulator at ``endpoint`` unless it runs, and return it once the broker answers.

    ``bootstrap`` is a broker that runs already; what an earlier deployment left there is deleted. Without one, the
    instance has its own. Raises :class:`LocalError` where that is not possible; no process is left then.
    """
    if bootstrap:
        require_broker(bootstrap)
    instance = running(home)
    if instance and instance.endpoint != endpoint:  # that emulator is gone
        stop(home)
        instance = None
    if instance and bootstrap not in ("", instance.bootstrap):
        raise LocalError(f"the bridge already runs, to {instance.bootstrap}: stop it with 'iot down' first")
    if instance:
        return instance
    if not bootstrap:
        require_installed()
    home.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _LOCK_SECONDS  # who looks whether it runs holds the lock for a moment
    while time.monotonic() < deadline:
        with try_lock(_file(home)) as lock:
            if lock:
                return _launch(lock, endpoint, bootstrap, home)
        time.sleep(0.05)
    raise LocalError("another command is starting Kafka: wait until it has ended, then try again")


def require_installed() -> None:
    """Raise :class:`LocalError` with what to do if no broker can run here."""
    if reason := missing():
        raise LocalError(f"a Kafka broker cannot run here ({reason}): {_remedy(reason)}")


def running(home: Path = HOME) -> Instance | None:
    """Return the instance of ``home``, whether its broker answers yet or not; None if there is none."""
    found = content(_file(home))
    return Instance(**found) if found else None


def died(home: Path = HOME) -> Instance | None:
    """Return the instance that ran next to the emulator that still runs, and ended without :func:`stop`."""
    found = _last(home)
    return found if found and found.emulator == _emulator(home) != 0 and not running(home) else None


def stop(home: Path = HOME) -> bool:
    """End the instance of ``home``; False if there was none."""
    instance = running(home)
    if instance:
        _end(instance.pid, home)
    _forget(home)  # one that has died, too
    return instance is not None


def _last(home: Path) -> Instance | None:
    """Return the instance that the file names, whether it runs or not."""
    try:
        return Instance(**json.loads(_file(home).read_text()))
    except (OSError, ValueError, TypeError):  # none, or one of an earlier version
        return None


def _forget(home: Path) -> None:
    """Have the next instance begin with no records."""
    if last := _last(home):
        _write(last._replace(emulator=0), home)


def _write(instance: Instance, home: Path) -> None:
    _file(home).write_text(json.dumps(instance._asdict()))


def _emulator(home: Path) -> int:
    """Return the process of the emulator of ``home``, 0 if it does not run."""
    found = emulator.running(home)
    return found.pid if found else 0


def log_file(home: Path = HOME) -> Path:
    """Return the bridge's log; the broker's is ``kafka/kafka.log``."""
    return home / "bridge.log"


def _remedy(reason: str) -> str:
    if "Java" in reason:
        return f"install Java 17 or newer and Maven, then run 'make kafka', {_INSTEAD}"
    return f"run 'make kafka', {_INSTEAD}"


def _file(home: Path) -> Path:
    return home / "kafka.json"


def _launch(lock: IO[bytes], endpoint: str, bootstrap: str, home: Path) -> Instance:
    """Start a process that takes over the lock, and wait until the broker answers."""
    from local.kafka.topic import answers, clean  # noqa: PLC0415  # needs the extra

    before, beside = _last(home), _emulator(home)
    address = bootstrap or f"{HOST}:{_free_port_of(before) or free_port()}"
    kept = before if before and before.bootstrap == address and before.emulator == beside != 0 else None
    if bootstrap and not kept:
        clean(bootstrap)
    arguments = [str(lock.fileno()), address, str(beside), "" if bootstrap else str(home), "keep" if kept else ""]
    lock.truncate(0)
    with log_file(home).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.kafka.launch", *arguments],
            cwd=ROOT,
            env=local_environment(endpoint),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    try:
        while not (running(home) and answers(address)):
            _require_starting(process, home, deadline, own=not bootstrap)
            time.sleep(0.05)
    except BaseException:
        lock.close()
        _end(process.pid, home)
        if kept:  # its records are there for the next try
            _write(kept, home)
        else:
            _forget(home)
        raise
    return Instance(process.pid, address, endpoint, not bootstrap, beside)


def _require_starting(process: subprocess.Popen[bytes], home: Path, deadline: float, *, own: bool) -> None:
    if process.poll() is not None:
        why = "ended while starting"
    elif time.monotonic() > deadline:
        why = f"did not answer in {_START_SECONDS:.0f} s"
    else:
        return
    logs = [log_file(home), *([home / "kafka" / "kafka.log"] if own else [])]
    raise LocalError("\n".join([f"Kafka {why}:", *(last_lines(log) for log in logs if log.exists())]))


def _free_port_of(before: Instance | None) -> int:
    """Return the port of the broker before this one, if it is free, else 0: what is deployed names it."""
    if before is None or not before.own:
        return 0
    port = int(before.bootstrap.rpartition(":")[2])
    try:
        require_free(port)
    except LocalError:
        return 0
    return port


def _end(group: int, home: Path) -> None:
    if not end_group(group):
        raise LocalError(f"Kafka (process group {group}) does not end: see {log_file(home)}")
