"""A TCP relay between a client and a server that can lose what the server answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

_LOOPBACK = "127.0.0.1"


class Relay:
    """Listens on a port of its own and passes bytes on, both ways, until it is told to lose the answers."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server((_LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._losing = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._answers_lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_answers(self) -> None:
        """From now on the server hears and the client does not."""
        self._losing.set()

    @property
    def answers_lost(self) -> int:
        """How many bytes of answers were lost."""
        return self._answers_lost

    def cut(self) -> None:
        """End all connections; new ones are passed on, with answers."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._losing.clear()

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection((_LOOPBACK, self._to_port))
            except OSError:
                return
            self._pairs.append((client, server))
            self._pass(client, server, lambda _size: False)
            self._pass(server, client, self._loses)

    def _loses(self, size: int) -> bool:
        if self._losing.is_set():
            self._answers_lost += size
        return self._losing.is_set()

    def _pass(self, source: socket.socket, target: socket.socket, loses: Callable[[int], bool]) -> None:
        def run() -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65_536):
                    if not loses(len(data)):
                        target.sendall(data)
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=run, daemon=True).start()
