"""Open texts agree only where their facts do: pairs of statements, written one by one in `statements.txt`."""

from pathlib import Path

from router.tiers.vote.facts import read_facts
from router.tiers.vote.similarity import clusters, embed


def _pairs() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return pairs that differ in one fact, and pairs that say the same."""
    different: list[tuple[str, str]] = []
    same: list[tuple[str, str]] = []
    into = different
    for line in Path(__file__).with_name("statements.txt").read_text("utf-8").splitlines():
        if line.startswith(("! ", "= ")):
            into = different if line.startswith("!") else same
        elif line and not line.startswith("# "):
            one, _, other = line.partition(" || ")
            into.append((one, other))
    return different, same


DIFFERENT, SAME = _pairs()


def agree(one: str, other: str) -> bool:
    return len(clusters([embed(one), embed(other)], facts=[read_facts(one), read_facts(other)])) == 1


def test_statements_that_differ_in_one_fact_do_not_agree() -> None:
    assert len(DIFFERENT) >= 200
    wrong = [pair for pair in DIFFERENT if agree(*pair)]
    assert len(wrong) <= 0.01 * len(DIFFERENT), wrong


def test_statements_that_say_the_same_agree() -> None:
    apart = [pair for pair in SAME if not agree(*pair)]
    assert len(apart) <= 0.1 * len(SAME), apart


def test_who_tells_more_contradicts_nobody() -> None:
    short = read_facts("The tower is 330 metres tall.")
    long = read_facts("The tower is 330 metres tall. It was built by Gustave Eiffel in 1889.")
    assert not short.contradict(long)
    assert not long.contradict(short)


def test_a_text_does_not_contradict_itself() -> None:
    assert [one for pair in DIFFERENT for one in pair if read_facts(one).contradict(read_facts(one))] == []
