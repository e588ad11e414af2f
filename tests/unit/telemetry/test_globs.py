"""Whether two globs have a text in common."""

from __future__ import annotations

import fnmatch
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.rules.globs import can_both_match

#: Every text of up to four letters; "z" stands for all that no glob below names. If two globs of two tokens share a
#: text, they share one of at most four letters: one for each token that is no star.
TEXTS = ["".join(letters) for length in range(5) for letters in itertools.product("abcdz]", repeat=length)]

GLOBS = st.lists(st.sampled_from(["a", "b", "d", "?", "*", "[ab]", "[!a]", "[a-c]", "[!b-d]", "[]a]"]), max_size=2).map(
    "".join
)


@given(GLOBS, GLOBS)
def test_should_say_so_exactly_when_there_is_such_a_text(one: str, other: str) -> None:
    shared = set(fnmatch.filter(TEXTS, one)) & set(fnmatch.filter(TEXTS, other))
    assert can_both_match(one, other) is bool(shared)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("*", "*", True),
        ("cold-*", "*-7", True),
        ("cold-*", "plant-*", False),
        ("plant-?", "plant-10", False),
        ("plant-[0-4]", "plant-[4-9]", True),
        ("plant-[0-4]", "plant-[5-9]", False),
        ("[!a]", "[a-b]", True),
        ("[!a]", "[a]", False),
        ("[", "[", True),
        ("[[]", "[", True),
        ("", "*", True),
        ("", "?", False),
        ("a*b", "b*a", False),
        ("*a*", "*b*", True),
    ],
)
def test_should_read_globs_as_fnmatch_does(one: str, other: str, expected: bool) -> None:
    assert can_both_match(one, other) is expected
    assert can_both_match(other, one) is expected
