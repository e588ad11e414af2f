"""A call of a sink that goes on while the test does something to the other side."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from simulator.sinks.record import Record
from simulator.sinks.sink import Delivery, Sink


class Sending:
    """Sends records in a thread of its own."""

    def __init__(self, sink: Sink, records: Sequence[Record]) -> None:
        self._deliveries: list[Delivery] = []
        self._thread = threading.Thread(target=lambda: self._deliveries.append(sink.send(records)))
        self._thread.start()

    def result(self) -> Delivery:
        """What became of them, when it is known."""
        self._thread.join(60)
        (delivery,) = self._deliveries
        return delivery
