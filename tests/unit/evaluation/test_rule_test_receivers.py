"""Filter policies of subscriptions, as rule tests match them."""

from __future__ import annotations

from typing import Any

import pytest

from evaluation.rule_tests.receivers import accepts, problem_of

ATTRIBUTES = {"severity": ["critical", "page"], "site": ["cold-1"]}


@pytest.mark.parametrize(
    ("policy", "accepted"),
    [
        ({}, True),
        ({"severity": ["page"]}, True),
        ({"severity": ["warning"]}, False),
        ({"severity": ["warning", "critical"], "site": ["cold-1"]}, True),
        ({"severity": ["page"], "site": ["cold-2"]}, False),
        ({"rule": ["hot"]}, False),
        ({"site": [{"prefix": "cold-"}]}, True),
        ({"site": [{"suffix": "-2"}]}, False),
        ({"site": [{"equals-ignore-case": "COLD-1"}]}, True),
        ({"site": [{"anything-but": "cold-1"}]}, False),
        ({"site": [{"anything-but": ["cold-1", "cold-2"]}]}, False),
        ({"site": [{"anything-but": {"prefix": "hot-"}}]}, True),
        ({"severity": [{"anything-but": ["critical"]}]}, True),
        ({"rule": [{"exists": False}]}, True),
        ({"site": [{"exists": False}]}, False),
    ],
)
def test_should_match_a_message_by_each_attribute_of_the_policy(policy: dict[str, Any], accepted: bool) -> None:
    assert accepts(policy, ATTRIBUTES) is accepted
    assert not any(problem_of(condition) for conditions in policy.values() for condition in conditions)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (1, "invalid filter 1: write a text or one of prefix, suffix"),
        ({"like": "a"}, "invalid filter {'like': 'a'}"),
        ({"prefix": 1}, "prefix is a text"),
        ({"exists": "yes"}, "exists is true or false"),
        ({"anything-but": {"like": "a"}}, "anything-but is a text"),
    ],
)
def test_should_say_what_is_wrong_with_a_filter(condition: Any, message: str) -> None:
    assert message in problem_of(condition)
