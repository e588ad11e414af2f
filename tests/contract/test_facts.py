"""Pages are compared by their facts, not by their sentences."""

from __future__ import annotations

import pytest

from tests.facts import facts

PAGE = "# Rates\n\nOurs reads 1,200 lines/s, see [how](how.md).\n\n| `seq` | bigint | | counts up |\n"


@pytest.mark.parametrize(
    ("old", "new"), [("Ours reads", "We read"), ("[how]", "[the method]"), ("counts up", "a count")]
)
def test_should_not_mind_an_edit_of_the_prose(old: str, new: str) -> None:
    assert facts(PAGE.replace(old, new)) == facts(PAGE)


@pytest.mark.parametrize("fact", ["Rates", "1,200", "how.md", "`seq`", "bigint"])
def test_should_notice_a_fact_that_changed(fact: str) -> None:
    assert facts(PAGE.replace(fact, "other")) != facts(PAGE)
