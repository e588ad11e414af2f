"""Definition of a reading, the only one.

The detector's decoder, the simulator's encoder, the columns of the tables and the curation's input
schema and bounds are all derived from :class:`Reading`. To add a metric, add one optional number here.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, Optional, get_args

import msgspec

Status = Literal["ok", "degraded", "fault"]

#: The statuses, from the best to the worst.
STATUSES: tuple[Status, ...] = get_args(Status)

#: The longest identifier we accept; DynamoDB, S3 keys and SNS attributes all take more.
MAX_ID_LENGTH = 128

#: A device's clock may run ahead of ours by this much before its readings are refused.
MAX_CLOCK_SKEW = dt.timedelta(minutes=5)

#: A reading may reach us this long after it was taken; a clock that says more is taken to be wrong.
MAX_LATENESS = dt.timedelta(days=30)

# Optional[...] and not "... | None": msgspec evaluates these annotations, on Python 3.9 too.
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH)]
_Timestamp = Annotated[dt.datetime, msgspec.Meta(tz=True)]
_Sequence = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Celsius = Annotated[float, msgspec.Meta(ge=-100.0, le=150.0)]
_Percent = Annotated[float, msgspec.Meta(ge=0.0, le=100.0)]
_Volt = Annotated[float, msgspec.Meta(ge=0.0, le=60.0)]


class Reading(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Measurements of one device at one moment. (``device_id``, ``seq``) identifies it.

    ``ts`` is the event time set by the device, in UTC; ``seq`` counts up by one for each reading of a
    device; ``status`` is the device's own verdict. A metric that is absent or null was not measured.
    """

    device_id: _Id
    site: _Id
    ts: _Timestamp
    seq: _Sequence
    temperature: Optional[_Celsius] = None
    humidity: Optional[_Percent] = None
    battery: Optional[_Volt] = None
    status: Status
