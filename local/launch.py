"""The emulator's first process: runs the patched MiniStack, and the agent for metrics, and ends what they leave behind.

Run by the emulator's own interpreter as ``python -m local.launch LOCK_FD``, as the leader of a new session.
Imports nothing but the standard library, MiniStack and the patches.
"""

import json
import os
import signal
import subprocess
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Record this instance in the locked file, start the server and the agent in children and watch over the server."""
    lock = int(sys.argv.pop())
    os.pwrite(lock, json.dumps({"pid": os.getpid(), "port": int(os.environ["GATEWAY_PORT"])}).encode(), 0)
    server = os.fork()
    if server == 0:
        _serve()
    # Not with the lock, which is for what serves: without the agent the instance is still there.
    subprocess.Popen([sys.executable, "-m", "local.metrics_agent"])
    # A busy function or job outlives the server: the group is ended as a whole, whoever ends first. By
    # SIGKILL, because all data is in memory and there is nothing to save.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: os.killpg(0, signal.SIGKILL))
    os.waitpid(server, 0)
    os.killpg(0, signal.SIGKILL)
    raise AssertionError("unreachable: this process is in the group")


def _serve() -> NoReturn:
    from ministack import app  # noqa: PLC0415  (only the server pays for it)

    from local import patches  # noqa: PLC0415

    patches.apply()
    sys.exit(app.main())


if __name__ == "__main__":
    main()
