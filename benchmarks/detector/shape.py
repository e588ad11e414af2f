"""Size of the data, apart from its generator, so that counting does not import the generator."""

from __future__ import annotations

from typing import NamedTuple

READINGS_A_RECORD = 100
_RECORDS_AN_EVENT = 100


class Shape(NamedTuple):
    """Numbers of measured events and of records per event. One more event comes first, to warm up."""

    events: int
    records: int

    @property
    def rows(self) -> int:
        """Readings in the events to measure."""
        return self.events * self.records * READINGS_A_RECORD


def shape(rows: int) -> Shape:
    """Events with at least so many readings: of a hundred records, or of fewer where one would be more than enough."""
    records = min(_RECORDS_AN_EVENT, -(-rows // READINGS_A_RECORD))
    return Shape(-(-rows // (records * READINGS_A_RECORD)), records)
