"""Another tier takes on an answer: who agrees, who is preferred, what it costs, and that nothing is in its way."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from classifier.types import AnswerType
from router.errors import ProviderError, Unavailable
from router.learning.duels import MOST_AT_ONCE, DuelFinding, DuelledQuery, Duels
from router.ledger.entries import DuelVerdict
from router.providers.base import Choice, ProviderRequest
from router.tiers.vote.checkers import CheckerPool
from router.types import Agreement, CallKind, CallStatus, Outcome, Tier
from tests.tiers.fakes import CHEAP, OTHER, STRONG, UNPRICED, FakeBooks, FakeProvider, Hang, a_query, saying, some_calls


class FakeAllowance:
    """An allowance in memory."""

    def __init__(self, nanousd: int = 10**12, error: Exception | None = None) -> None:
        self.left = nanousd
        self.error = error

    def take(self, nanousd: int, now_us: int) -> int | None:
        if self.error:
            raise self.error
        if nanousd > self.left:
            return None
        self.left -= nanousd
        return 7

    def give_back(self, nanousd: int, day: int) -> None:
        assert day == 7
        self.left += nanousd


class FakeHold:
    """A hold that has so much."""

    def __init__(self, nanousd: int) -> None:
        self.left = nanousd
        self.is_open = True

    async def hold(self, amount: int) -> str | None:
        return "day budget" if amount > self.left else None

    def take(self, bound: int | None) -> None:
        self.left -= bound or 0

    def settle(self, bound: int, cost: int) -> None:
        self.left += bound - cost

    def close(self) -> None:
        self.is_open = False


class Arena:
    """One answered request, and the duel about it."""

    def __init__(self, provider: FakeProvider, books: FakeBooks | None = None, **more: Any) -> None:
        self.books = books or FakeBooks()
        self.provider = provider
        self.told: list[tuple[str, int]] = []
        self.allowance = more.pop("allowance", FakeAllowance())
        self.budget_hold: FakeHold | None = more.pop("budget_hold", None)
        rivals = more.pop("rivals", {Tier.FAST: CHEAP, Tier.REASONING: STRONG})
        tell: Callable[[str, int], None] = lambda ending, cost: self.told.append((ending, cost))  # noqa: E731
        self.duels = Duels(rivals, self.allowance, CheckerPool(), lambda: 5, tell=tell, **more)

    def match(self, answer: str, answered: Tier, answer_type: AnswerType, **choice: Any) -> DuelledQuery:
        calls = some_calls(self.provider, self.books)
        calls.flush()
        calls.close(answered, Outcome.OK, None)
        query = a_query(answer_type=answer_type)
        return DuelledQuery(query, calls, answered, Choice(content=answer, **choice), lambda: self.budget_hold)

    async def duel(
        self, answer: str, answered: Tier = Tier.FAST, answer_type: AnswerType = AnswerType.NUMERIC, **choice: Any
    ) -> DuelVerdict | None:
        self.duels.begin(self.match(answer, answered, answer_type, **choice))
        await self.duels.idle()
        verdicts = [entry for entry in self.books.entries if isinstance(entry, DuelVerdict)]
        return verdicts[-1] if verdicts else None


async def test_a_rival_that_says_the_same_is_agreement() -> None:
    arena = Arena(FakeProvider(saying("So it comes to 42. Answer: 42")))
    verdict = await arena.duel("Answer: 42")
    assert verdict is not None
    assert (verdict.agreement, verdict.grade_fast, verdict.grade_reasoning) == (Agreement.SAME, 1.0, 1.0)
    assert (verdict.answered_tier, verdict.other_tier, verdict.at) == (Tier.FAST, Tier.REASONING, 5)
    assert arena.provider.requests[0].target == STRONG


async def test_a_deep_answer_is_taken_on_by_the_fast_model() -> None:
    arena = Arena(FakeProvider(saying("Answer: 41")))
    verdict = await arena.duel("Answer: 42", Tier.REASONING)
    assert verdict is not None
    assert (verdict.agreement, verdict.other_tier) == (Agreement.DIFFERS, Tier.FAST)
    assert (verdict.grade_fast, verdict.grade_reasoning) == (None, None)
    assert arena.provider.requests[0].target == CHEAP


async def test_of_the_parallel_tier_nothing_is_said_of_reasoning() -> None:
    verdict = await Arena(FakeProvider(saying("Answer: 42"))).duel("Answer: 42", Tier.PARALLEL)
    assert verdict is not None
    assert (verdict.grade_fast, verdict.grade_reasoning) == (1.0, None)


async def test_its_calls_are_shadows_and_cost_what_the_verdict_says() -> None:
    arena = Arena(FakeProvider(saying("Answer: 42")))
    verdict = await arena.duel("Answer: 42")
    assert [(intent.kind, intent.tier) for intent in arena.books.intents()] == [(CallKind.SHADOW, Tier.REASONING)]
    [result] = arena.books.results()
    assert verdict is not None
    assert verdict.cost_nanousd == result.cost_nanousd == 605_000
    assert arena.told == [("same", 605_000)]
    assert arena.allowance.left == 10**12 - 605_000


def judging(*said: str) -> FakeProvider:
    letters = iter(said)

    def script(request: ProviderRequest, index: int) -> str:
        return next(letters) if request.target == OTHER else "a long and different answer"

    return FakeProvider(script)


@pytest.mark.parametrize(
    ("letters", "agreement", "preferred", "grades"),
    [
        (("A", "B"), Agreement.UNCLEAR, Tier.FAST, (1.0, 0.0)),
        (("B", "A"), Agreement.UNCLEAR, Tier.REASONING, (0.0, 1.0)),
        (("A", "A"), Agreement.UNCLEAR, None, (None, None)),
    ],
)
async def test_a_judge_decides_what_keys_cannot(
    letters: tuple[str, str], agreement: Agreement, preferred: Tier | None, grades: tuple[float | None, float | None]
) -> None:
    arena = Arena(judging(*letters), judges=(OTHER,))
    verdict = await arena.duel("some answer", answer_type=AnswerType.OPEN)
    assert verdict is not None
    assert (verdict.agreement, verdict.preferred) == (agreement, preferred)
    assert (verdict.grade_fast, verdict.grade_reasoning) == grades
    assert [intent.kind for intent in arena.books.intents()] == [CallKind.SHADOW] * 3


async def test_without_a_judge_open_answers_stay_unclear() -> None:
    verdict = await Arena(FakeProvider(saying("another text"))).duel("some text", answer_type=AnswerType.OPEN)
    assert verdict is not None
    assert verdict.agreement is Agreement.UNCLEAR


async def test_an_answer_cut_short_proves_nothing() -> None:
    verdict = await Arena(FakeProvider(saying("Answer: 41"))).duel("Answer: 42", finish_reason="length")
    assert verdict is not None
    assert verdict.agreement is Agreement.UNCLEAR


@pytest.mark.parametrize(
    ("ending", "changes"),
    [
        ("day_spent", {"allowance": FakeAllowance(1)}),
        ("database_away", {"allowance": FakeAllowance(error=OperationalError("x", {}, Exception("away")))}),
        ("budget_spent", {"budget_hold": FakeHold(1)}),
        ("unpriced", {"rivals": {Tier.FAST: CHEAP, Tier.REASONING: UNPRICED}}),
    ],
)
async def test_a_duel_that_cannot_be_paid_does_not_take_place(ending: str, changes: dict[str, Any]) -> None:
    arena = Arena(FakeProvider(saying("Answer: 42")), **changes)
    assert await arena.duel("Answer: 42") is None
    assert (arena.provider.requests, arena.told) == ([], [(ending, 0)])


async def test_what_a_hard_budget_held_is_let_go() -> None:
    budget_hold = FakeHold(10**12)
    await Arena(FakeProvider(saying("Answer: 42")), budget_hold=budget_hold).duel("Answer: 42")
    assert (budget_hold.left, budget_hold.is_open) == (10**12 - 605_000, False)


async def test_a_rival_that_fails_leaves_a_settled_call_and_no_verdict() -> None:
    arena = Arena(FakeProvider(saying(ProviderError("down"))))
    assert await arena.duel("Answer: 42") is None
    assert [result.status for result in arena.books.results()] == [CallStatus.ERROR]
    assert [ending for ending, _ in arena.told] == ["failed"]


async def test_books_that_cannot_be_written_hurt_nobody() -> None:
    class FullBooks(FakeBooks):
        is_full = False

        def write(self, entries: Any) -> None:
            if self.is_full:
                raise Unavailable("full")
            super().write(entries)

    books = FullBooks()
    arena = Arena(FakeProvider(saying("Answer: 42")), books)
    match = arena.match("Answer: 42", Tier.FAST, AnswerType.NUMERIC)
    books.is_full = True
    arena.duels.begin(match)
    await arena.duels.idle()
    assert (arena.provider.requests, arena.allowance.left) == ([], 10**12)


async def test_closing_calls_off_what_is_under_way_and_settles_it() -> None:
    called = asyncio.Event()

    def hang(request: ProviderRequest, index: int) -> Hang:
        called.set()
        return Hang()

    arena = Arena(FakeProvider(hang))
    arena.duels.begin(arena.match("Answer: 42", Tier.FAST, AnswerType.NUMERIC))
    await called.wait()
    await arena.duels.close()
    assert [result.status for result in arena.books.results()] == [CallStatus.CANCELLED]


async def test_no_more_than_so_many_run_at_once() -> None:
    arena = Arena(FakeProvider(saying(Hang())))
    for _ in range(MOST_AT_ONCE + 2):
        arena.duels.begin(arena.match("Answer: 42", Tier.FAST, AnswerType.NUMERIC))
    assert arena.told == [("busy", 0)] * 2
    await arena.duels.close()


def test_only_agreement_and_judges_grade() -> None:
    assert DuelFinding(Agreement.DIFFERS).grade(Tier.FAST) is None
    assert DuelFinding(Agreement.SAME).grade(Tier.REASONING) == 1.0
