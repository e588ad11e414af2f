"""How much data there is. Apart from the data itself, so that who only counts does not import what makes them."""

from __future__ import annotations

from typing import NamedTuple

READINGS_A_RECORD = 100
_RECORDS_AN_EVENT = 100


class Shape(NamedTuple):
    """How many events there are to measure, of how many records each. One more comes before them, to warm up."""

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
