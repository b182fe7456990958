"""How many requests of a conversation count as one: measured, the same in any order, bounded in memory."""

import random

import pytest

from router.canary import clusters
from router.canary.clusters import Clusters


def seen(conversations: int, length: int, alike: float, seed: int = 1) -> list[tuple[int, int, int]]:
    """Requests whose values have a share `alike` of their variance in common within a conversation."""
    dice = random.Random(seed)
    found = []
    for _ in range(conversations):
        mark, common = dice.getrandbits(63), dice.gauss(0, 1)
        for _ in range(length):
            value = round(400 + 100 * (alike**0.5 * common + (1 - alike) ** 0.5 * dice.gauss(0, 1)))
            found.append((mark, value, 200 + round(10 * dice.gauss(0, 1))))
    return found


def effect_of(rows: list[tuple[int, int, int]]) -> float:
    found = Clusters()
    for row in rows:
        found.add(*row)
    return found.design_effect(assumed=1.5)


@pytest.mark.parametrize("alike", [0.0, 0.3, 0.8])
def test_the_effect_is_that_of_the_correlation_and_the_lengths(alike: float) -> None:
    assert effect_of(seen(1_000, 4, alike)) == pytest.approx(1 + 3 * alike, abs=0.25)


def test_until_enough_was_seen_it_is_assumed_and_bounded_by_the_lengths() -> None:
    assert effect_of(seen(50, 4, 0.0)) == 1.5
    assert effect_of(seen(500, 1, 0.0)) == 1.0
    assert effect_of([]) == 1.5


def test_requests_without_a_mark_belong_to_no_conversation() -> None:
    found = Clusters()
    for _ in range(500):
        found.add(None, 1, 1)
    assert found.design_effect(assumed=1.5) == 1.5


def test_all_alike_count_as_one_conversation_each() -> None:
    rows = [(mark, 100 + mark, 5) for mark in range(300) for _ in range(3)]
    assert effect_of(rows) == pytest.approx(3.0)


def test_the_order_changes_nothing_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "MOST_CONVERSATIONS", 150)
    rows = seen(400, 3, 0.5)
    shuffled = random.Random(2).sample(rows, len(rows))
    assert effect_of(rows) == pytest.approx(effect_of(shuffled))
    found = Clusters()
    for row in rows:
        found.add(*row)
    assert len(found._known) == 150
