"""Two defects of MiniStack 1.5.33 that this project cannot work around, mended at start-up.

Runs in the emulator's interpreter. ``tests/integration/test_emulator_patches.py`` fails once upstream has
mended one: delete it here then.
"""

import time
from typing import Any

from ministack.services import athena, kinesis

_SECONDS_BETWEEN_SCANS = 30.0


def apply() -> None:
    """Mend both."""
    _put_athena_results_where_they_are_said_to_be()
    _scan_retained_records_seldom()


def _put_athena_results_where_they_are_said_to_be() -> None:
    """Store a query's result at the location GetQueryExecution reports.

    ``_save_query_results`` (ministack/services/athena.py) takes the reported file, ``out/<id>.csv``, for a
    folder and writes ``out/<id>.csv/<id>.csv``, where no client looks.
    """
    save = athena._save_query_results

    async def save_in_folder(query_id: str) -> None:
        configuration: dict[str, str] = athena._executions[query_id]["ResultConfiguration"]
        file = configuration["OutputLocation"]
        # Nobody sees the folder in between: save awaits nothing.
        configuration["OutputLocation"] = file.removesuffix(f"{query_id}.csv")
        try:
            await save(query_id)
        finally:
            configuration["OutputLocation"] = file

    athena._save_query_results = save_in_folder


def _scan_retained_records_seldom() -> None:
    """Look for records past their retention, which is at least a day, once in 30 s.

    Every request calls ``_expire_records`` (ministack/services/kinesis.py), which walks through all records
    of the stream: a put gets slower with each one before it.
    """
    expire = kinesis._expire_records
    scanned_at: dict[str, float] = {}

    def expire_seldom(stream: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - scanned_at.get(stream["StreamARN"], -_SECONDS_BETWEEN_SCANS) >= _SECONDS_BETWEEN_SCANS:
            scanned_at[stream["StreamARN"]] = now
            expire(stream)

    kinesis._expire_records = expire_seldom
