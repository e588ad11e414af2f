"""The list of all tables of the lake.

The Glue catalog, ``docs/tables.md`` and ``iot query --tables`` derive from it. A curated table is listed in
:data:`telemetry.tables.curated.CURATED`, which is all that the curation job imports: its code does not depend on what
alerts are made of.
"""

from __future__ import annotations

from telemetry.tables.alerts import ALERTS
from telemetry.tables.curated import CURATED, DEVICES
from telemetry.tables.ground_truth import GROUND_TRUTH
from telemetry.tables.raw import RAW

#: Those that most questions are about first.
TABLES = (*CURATED, DEVICES, ALERTS, GROUND_TRUTH, RAW)
