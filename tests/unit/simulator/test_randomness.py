"""Randomness that is looked up: spread as promised, and the same in whatever order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.models.randomness import Drift, hashes, keys, normal, uniform

MANY = 100_000
EVER = 1_780_000_000.0


def many(seed: int = 1, purpose: str = "test"):
    return hashes(keys(seed, purpose, 1), np.arange(MANY))


def test_should_spread_uniform_numbers_evenly() -> None:
    numbers = uniform(many())
    assert numbers.min() >= 0
    assert numbers.max() < 1
    shares = np.histogram(numbers, 10, (0, 1))[0] / MANY
    assert shares == pytest.approx([0.1] * 10, abs=0.005)


def test_should_bound_normal_numbers_with_the_promised_mean_and_deviation() -> None:
    numbers = normal(many())
    assert abs(numbers).max() <= 12**0.5
    assert numbers.mean() == pytest.approx(0, abs=0.015)
    assert numbers.std() == pytest.approx(1, abs=0.01)
    assert (abs(numbers) < 1).mean() == pytest.approx(0.66, abs=0.01)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (many(1), many(2)),
        (many(), many(purpose="tset")),
        (many()[:-1], many()[1:]),
        (keys(1, "test", MANY), keys(2**63 - 1, "test", MANY)),
        (keys(0, "test", MANY)[:-1], keys(0, "test", MANY)[1:]),
    ],
)
def test_should_give_independent_numbers_for_other_seeds_purposes_and_places(one, other) -> None:
    assert abs(np.corrcoef(uniform(one), uniform(other))[0, 1]) < 0.015


def test_should_give_the_first_keys_whatever_their_number() -> None:
    assert (keys(3, "device", 5) == keys(3, "device", 500)[:5]).all()


@pytest.mark.parametrize("memory", [60.0, 600.0, 129_600.0])
def test_should_drift_with_a_deviation_of_one_and_forget_all_but_an_eth_after_its_memory(memory: float) -> None:
    drift = Drift(keys(4, "device", 400), memory)
    steps = 200
    t = EVER + np.arange(steps) * memory / 4.03
    values = drift.at(np.repeat(np.arange(400), steps), np.tile(t, 400)).reshape(400, steps)
    assert values.mean() == pytest.approx(0, abs=0.03)
    assert values.std() == pytest.approx(1, abs=0.02)
    assert values.std(axis=0) == pytest.approx(1, abs=0.15)
    for after, kept in ((4, np.exp(-1)), (8, np.exp(-2)), (16, np.exp(-4))):
        assert (values[:, :-after] * values[:, after:]).mean() == pytest.approx(kept, abs=0.04)


def test_should_drift_without_jumps() -> None:
    drift = Drift(keys(4, "device", 1), 600.0)
    t = EVER + np.arange(0, 86_400, 1.0)
    values = drift.at(np.zeros(len(t), np.int64), t)
    assert abs(np.diff(values)).max() < 0.02


@given(
    seed=st.integers(0, 2**63 - 1),
    memory=st.floats(0.01, 1e8),
    asked=st.lists(st.tuples(st.integers(0, 9), st.floats(0, 4e9)), min_size=1, max_size=20),
)
def test_should_drift_the_same_whatever_else_is_asked_for(
    seed: int, memory: float, asked: list[tuple[int, float]]
) -> None:
    """A table is made of values that lie close together, and none for those far apart."""
    place, t = np.array([place for place, _ in asked]), np.array([t for _, t in asked])
    key = keys(seed, "device", 10)
    together = Drift(key, memory).at(place, t)
    used = Drift(key, memory)
    alone = [used.at(place[n : n + 1], t[n : n + 1])[0] for n in range(len(asked))]
    tabled = []
    for n in range(len(asked)):
        around = np.concatenate((t[n : n + 1], np.full(100, t[n])))
        tabled.append(Drift(key, memory).at(np.full(101, place[n]), around)[0])
    assert together.tolist() == alone == tabled


def test_should_drift_nowhere_if_nothing_is_asked_for() -> None:
    assert not len(Drift(keys(0, "device", 3), 600.0).at(np.zeros(0, np.int64), np.zeros(0)))
