"""Numbers as people write them: ``-15``, ``.5``, ``2.4e3``."""

from __future__ import annotations

import re

#: A number. ``float()`` accepts more than a person means: 1_000, nan, infinity, digits of other scripts.
NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
