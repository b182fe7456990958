"""Verifiers on the labelled bank: what they say of themselves is what is measured."""

from collections.abc import AsyncIterator, Iterable

import pytest

from classifier.types import AnswerType
from router.providers.base import Choice
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.keys import read_question
from router.tiers.vote.rates import VerifierRates, accuracy_of_selection, ceiling, wilson, worthwhile_samples
from router.tiers.vote.verifiers import ArithmeticVerifier, PuzzleVerifier, Ruling, SchemaVerifier, Verifier
from tests.tiers.bank import Specimen, objects, puzzles, sums


@pytest.fixture
async def pool() -> AsyncIterator[CheckerPool]:
    pool = CheckerPool(timeout_s=60.0)
    yield pool
    await pool.close()


async def measured(verifier: Verifier, bank: Iterable[Specimen]) -> VerifierRates:
    """Count what is accepted: everything that is not ruled wrong."""
    counts = {True: [0, 0], False: [0, 0]}
    for specimen in bank:
        messages = [{"role": "user", "content": specimen.question}]
        question = read_question(AnswerType.NUMERIC, messages, specimen.params or {})
        assert verifier.applies(question)
        ruling = await verifier.rule(Choice(content=specimen.text), question)
        counts[specimen.is_right][0] += ruling is not Ruling.WRONG
        counts[specimen.is_right][1] += 1
    return VerifierRates(*counts[True], *counts[False])


async def test_the_arithmetic_verifier_is_as_good_as_it_says() -> None:
    assert await measured(ArithmeticVerifier(), sums()) == ArithmeticVerifier.rates


async def test_the_puzzle_verifier_is_as_good_as_it_says() -> None:
    assert await measured(PuzzleVerifier(), puzzles()) == PuzzleVerifier.rates


async def test_the_schema_verifier_is_as_good_as_it_says(pool: CheckerPool) -> None:
    assert await measured(SchemaVerifier(pool), objects()) == SchemaVerifier.rates


@pytest.mark.slow
async def test_a_pattern_that_never_ends_is_killed_and_rejects_nothing() -> None:
    pool = CheckerPool(timeout_s=2.0)
    assert await pool.fits_schema("a" * 50 + "!", {"type": "string", "pattern": "^(a+)+$"}) is None
    assert await pool.fits_schema("a", {"type": "string"}) is True
    await pool.close()


async def test_a_schema_cannot_make_the_server_fetch_anything(pool: CheckerPool) -> None:
    assert await pool.fits_schema("a", {"$ref": "http://127.0.0.1:9/schema"}) is None


async def test_maths_must_be_equal_both_ways(pool: CheckerPool) -> None:
    assert await pool.same_maths(r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}") is True
    assert await pool.same_maths("x^2+1", "x^2-1") is False


def test_the_ceiling_is_where_endless_samples_end() -> None:
    for p, tpr, fpr in ((0.1, 0.9, 0.05), (0.4, 0.7, 0.2), (0.05, 1.0, 0.01)):
        assert accuracy_of_selection(100_000, p, tpr, fpr) == pytest.approx(ceiling(p, tpr, fpr))


def test_samples_beyond_the_ceiling_are_not_worthwhile() -> None:
    few = worthwhile_samples(0.5, 0.9, 0.3, 64)
    assert few < worthwhile_samples(0.04, 1.0, 0.0, 64) == 64


def test_wilson_holds_the_share_and_stays_within_bounds() -> None:
    interval = wilson(48, 48)
    assert interval.low == pytest.approx(0.926, abs=1e-3)
    assert interval.high == 1.0
