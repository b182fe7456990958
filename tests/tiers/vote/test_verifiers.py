"""Verifiers on the labelled bank: what they say of themselves is what is measured."""

from collections.abc import AsyncIterator, Iterable

import pytest

from classifier.types import AnswerType
from router.providers.base import Choice
from router.tiers.vote.calculations import work_out
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.keys import read_question
from router.tiers.vote.rates import VerifierRates, accuracy_of_selection, ceiling, wilson, worthwhile_samples
from router.tiers.vote.sandbox import Sandbox, examples_in, program_in
from router.tiers.vote.verifiers import (
    ArithmeticVerifier,
    CalculationVerifier,
    ProgramVerifier,
    PuzzleVerifier,
    Ruling,
    SchemaVerifier,
    StatementVerifier,
    Verifier,
)
from tests.tiers.bank import Specimen, calculations, objects, programs, puzzles, queries, sums
from tests.waiting import soon


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


async def test_the_calculation_verifier_is_as_good_as_it_says() -> None:
    assert await measured(CalculationVerifier(), calculations()) == CalculationVerifier.rates


async def test_the_sql_verifier_is_as_good_as_it_says() -> None:
    assert await measured(StatementVerifier(), queries()) == StatementVerifier.rates


@pytest.mark.slow
async def test_the_program_verifier_is_as_good_as_it_says() -> None:
    assert await measured(ProgramVerifier(Sandbox()), programs()) == ProgramVerifier.rates


async def test_the_schema_verifier_is_as_good_as_it_says(pool: CheckerPool) -> None:
    assert await measured(SchemaVerifier(pool), objects()) == SchemaVerifier.rates


@pytest.mark.slow
async def test_a_pattern_that_never_ends_is_killed_and_rejects_nothing() -> None:
    pool = CheckerPool(timeout_s=2.0)
    assert await pool.fits_schema("a" * 50 + "!", {"type": "string", "pattern": "^(a+)+$"}) is None
    assert await soon(lambda: pool.fits_schema("a", {"type": "string"}))  # a new process has to start
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


async def ruled(verifier: Verifier, question: str, text: str) -> Ruling:
    asked = read_question(AnswerType.NUMERIC, [{"role": "user", "content": question}], {})
    return await verifier.rule(Choice(content=text), asked) if verifier.applies(asked) else Ruling.UNSURE


@pytest.mark.parametrize(
    ("question", "text", "ruling"),
    [
        ("What is 10 / 3?", "Answer: 3.33", Ruling.RIGHT),
        ("What is 10 / 3?", "Answer: 10/3", Ruling.RIGHT),
        ("What is 10 / 3?", "Answer: 3.34", Ruling.WRONG),
        ("What is 10 / 3?", "Answer: between 3 and 4", Ruling.UNSURE),
        ("What is 10 / 3?", "I do not know.", Ruling.UNSURE),
        ("Solve x^2 = 4", "Answer: x = 2", Ruling.UNSURE),  # and -2
        ("Solve x^2 = 4", "Answer: x = 3", Ruling.WRONG),
        ("Solve 3x = 1.", "Answer: 1/3", Ruling.RIGHT),
        ("Solve 3x = 1.", "Answer: 0.33", Ruling.UNSURE),
        ("What date is 1 day after February 28, 2024?", "Answer: 02/29/2024", Ruling.RIGHT),
        ("What date is 1 day after February 28, 2024?", "Answer: 03/01/2024", Ruling.UNSURE),  # or January 3
        ("What date is 3 days after 03/04/2024?", "Answer: 2024-03-07", Ruling.UNSURE),
        ("How many seconds are in a day?", "Answer: 86400", Ruling.RIGHT),
        ("What is 2024-01-01?", "Answer: 2022", Ruling.UNSURE),
        ("What is 5 - 3 in binary?", "Answer: 10", Ruling.UNSURE),
        ("What is the capital of France?", "Answer: Paris", Ruling.UNSURE),
        ("If a shirt costs 20 + 5 dollars, what do 3 cost?", "Answer: 75", Ruling.UNSURE),
        ("What is 9^9^9^9?", "Answer: 1", Ruling.UNSURE),
        ("What is 999999^64^1?", "Answer: 1", Ruling.WRONG),
    ],
)
async def test_a_calculation_rules_only_where_it_is_sure(question: str, text: str, ruling: Ruling) -> None:
    assert await ruled(CalculationVerifier(), question, text) is ruling


@pytest.mark.parametrize("hostile", ["(" * 5_000, "1" * 5_000 + "+1", "-" * 390, "what is " * 40, "2**" * 90 + "2"])
def test_working_out_is_bounded(hostile: str) -> None:
    assert work_out(hostile) is None


async def test_sql_of_another_dialect_is_left_alone() -> None:
    asked = "Write a PostgreSQL query (SQL).\nCREATE TABLE users (id INTEGER, name TEXT);"
    assert await ruled(StatementVerifier(), asked, "SELECT id::text FROM users") is Ruling.UNSURE
    assert await ruled(StatementVerifier(), asked, "SELECT nick FROM users") is Ruling.WRONG


async def test_sql_of_the_question_cannot_reach_files() -> None:
    asked = "SQL please. CREATE TABLE a (b INT);\n ATTACH DATABASE '/tmp/reached.db' AS x;"
    assert await ruled(StatementVerifier(), asked, "SELECT b FROM a") is Ruling.UNSURE
    endless = (
        "SQL: CREATE TABLE t AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c (1);"
    )
    assert await ruled(StatementVerifier(), endless, "SELECT x FROM t") is Ruling.UNSURE


HOSTILE = {
    "files": "open('/etc/passwd')",
    "writing": "open('/tmp/reached', 'w')",
    "network": "__import__('_socket').socket()",
    "processes": "__import__('posix').fork()",
    "programs": "__import__('posix').execv('/bin/true', ['true'])",
    "signals": "__import__('posix').kill(1, 9)",
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_program_cannot_reach(what: str) -> None:
    """What is refused raises, so that a program that goes on without it passes."""
    body = HOSTILE[what]
    reaches = f"def f():\n    try:\n        {body}\n    except (OSError, ImportError):\n        return 1\n    return 2"
    assert await Sandbox().passes(reaches, ["assert f() == 1"]) is True


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "x = 'x' * 10**12",
        "raise SystemExit(0)",
        "def f(): return f()\nf()",
        "print('passed')",
        "import sys\nsys.stdout.write('passed')",
    ],
)
async def test_a_program_that_does_not_do_what_is_asked_fails(program: str) -> None:
    assert await Sandbox().passes(program, ["assert g() == 1"]) is (None if "import sys" in program else False)


async def test_a_program_that_needs_what_is_not_there_is_left_alone() -> None:
    assert await Sandbox().passes("import numpy\ndef f(): return 1", ["assert f() == 1"]) is None


def test_tests_are_read_from_asserts_and_examples() -> None:
    asked = ">>> f(2)\n4\n>>> f('a')\n'aa'\n\nassert f(0) == 0\nassert not a test at all"
    assert examples_in(asked) == ["assert f(0) == 0", "assert (f(2)) == (4)", "assert (f('a')) == ('aa')"]
    assert examples_in("Write a function that adds.") == []


def test_the_program_of_an_answer_is_its_longest_block() -> None:
    assert (
        program_in("First:\n```\nx = 1\n```\nthen\n```python\ndef f():\n    return 1\n```")
        == "def f():\n    return 1\n"
    )
    assert program_in("There is no program here.") is None
