"""The facts of a page: what an edit of its prose leaves as it is."""

from __future__ import annotations

import re

_FACT = re.compile(
    r"""
      ^\#{1,6}\ .*$                      # headings, which links lead to
    | ^\|.*?\|.*?\|.*?\|                 # the first cells of a table's row: names, types, units, figures
    | `[^`\n]+`                          # code
    | \]\([^)\s]+                        # links and pictures
    | \d(?:[\d.,:]*\d)?                  # numbers
    """,
    re.MULTILINE | re.VERBOSE,
)


def facts(page: str) -> list[str]:
    """Return the headings, names, numbers and links of a page, in their order, without the sentences around them."""
    return _FACT.findall(page)
