"""The notifier's clock, held against that of SQS."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aws_lambda_powertools import Logger

#: How much later than its reception a message may be processed: a message that waits longer than its visibility timeout
#: is delivered again. More than that, and our clock is wrong.
_LONGEST_WAIT = dt.timedelta(minutes=5)

Clock = Callable[[], dt.datetime]

logger = Logger(child=True)


def corrected(clock: Clock, records: Iterable[Mapping[str, Any]]) -> Clock:
    """Return the clock, or one that agrees with SQS if this one cannot be right.

    SQS says when each message of an event was sent, and when it was first received. What a clock that is hours ahead
    or behind wrote would hold notifications for as long, or repeat them.
    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    """
    now = clock()
    right = _by_sqs([record.get("attributes", {}) for record in records], now)
    if right is None:
        return clock
    offset = right - now
    logger.warning("the clock is wrong; that of SQS is used", seconds=offset.total_seconds())
    return lambda: clock() + offset


def _by_sqs(attributes: list[Mapping[str, str]], now: dt.datetime) -> dt.datetime | None:
    """Return what time it is by SQS if it cannot be ``now``."""
    sent = [_time(each["SentTimestamp"]) for each in attributes if "SentTimestamp" in each]
    if sent and now < max(sent):
        return max(sent)
    # Of a message that was delivered before, only the first reception is known.
    received = [
        _time(each["ApproximateFirstReceiveTimestamp"])
        for each in attributes
        if each.get("ApproximateReceiveCount") == "1" and "ApproximateFirstReceiveTimestamp" in each
    ]
    return max(received) if received and now > max(received) + _LONGEST_WAIT else None


def _time(milliseconds: str) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(milliseconds) / 1000, dt.UTC)
