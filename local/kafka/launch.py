"""Kafka's first process: runs the broker and the bridge, and ends both when one of them ends.

Run as ``python -m local.kafka.launch LOCK_FD HOST:PORT EMULATOR_PID HOME KEEP``, as the leader of a new session. With a
home it has a broker of its own there, which listens on that address and keeps its data if ``KEEP`` is not empty.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from local.emulator import free_port
from local.kafka.broker import Broker, Listener


def main() -> NoReturn:
    """Record this instance in the locked file, start its processes and watch over them."""
    lock, address, emulator, home, keep = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:]
    instance = {
        "pid": os.getpid(),
        "bootstrap": address,
        "endpoint": os.environ["AWS_ENDPOINT_URL"],
        "own": bool(home),
        "emulator": emulator,
    }
    os.pwrite(lock, json.dumps(instance).encode(), 0)
    # If one process ends, all end. By SIGKILL, because there is nothing to save.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: os.killpg(0, signal.SIGKILL))
    try:
        # The lock is theirs too, so that the instance is there for as long as one of them lives.
        if home:
            port = int(address.rpartition(":")[2])
            broker = Broker(Path(home) / "kafka", free_port(), {"LOCAL": Listener(port, port)})
            if not keep:
                broker.format()
            broker.start(pass_fds=[lock])
        subprocess.Popen([sys.executable, "-m", "local.kafka.bridge"], pass_fds=[lock])
        os.wait()
        sys.stderr.write("the broker or the bridge has ended, so the other is ended too\n")
        sys.stderr.flush()
    except Exception:
        logging.exception("Kafka cannot start")  # here, as nothing is printed after the end of the group
    finally:
        os.killpg(0, signal.SIGKILL)
    raise AssertionError("unreachable: this process is in the group")


if __name__ == "__main__":
    main()
