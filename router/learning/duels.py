"""Shadow duels: on a slice of the answered queries another tier runs too, off the user's path, to see who was right.

The reasoning model takes on answers of the fast tier, the fast model those of the deep ones. Equal vote keys are
agreement; a judge, where one is configured, decides the rest in both orders. Calls are booked as `shadow` on the same
request, under its budgets and a cap per day; the verdict goes through the spool. No text is kept.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from router.errors import QuotaExhausted, RouterError, Unavailable
from router.ledger.entries import DuelVerdict
from router.providers.base import Choice, Delta, ModelTarget, ProviderRequest
from router.providers.collecting import fold
from router.tiers.base import Answer, TierRequest
from router.tiers.calls import Calls, Hold
from router.tiers.vote import judge
from router.tiers.vote.agreement import WHOLE, agreement
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.keys import Asked, read_question
from router.types import Agreement, CallKind, Tier

log = logging.getLogger(__name__)

MOST_VISIBLE_TOKENS = 4_096  # of a rival's answer: bounds what a duel can cost
MOST_AT_ONCE = 8  # per worker; what comes while all are busy is not duelled
LONGEST_S = 300.0


class FillableHold(Hold, Protocol):
    """A hold that can be filled."""

    async def hold(self, amount: int) -> object | None:
        """Hold what is going to be spent; returns the budget that has too little."""
        ...


class Allowance(Protocol):
    """What duels may cost a day; waits for the database."""

    def take(self, nanousd: int, now_us: int) -> int | None:
        """Take an upper bound and return the day that it counts for; None when that day is used up."""
        ...

    def give_back(self, nanousd: int, day: int) -> None:
        """Return what was not spent."""
        ...


@dataclass(frozen=True, slots=True)
class DuelledQuery:
    """An answered query to be taken on. `budget_hold` makes what the request holds of its budgets, or None."""

    query: TierRequest
    calls: Calls
    answered: Tier
    answer: Choice
    budget_hold: Callable[[], FillableHold | None]

    @property
    def other(self) -> Tier:
        """The tier that takes it on."""
        return Tier.REASONING if self.answered is Tier.FAST else Tier.FAST


@dataclass(frozen=True, slots=True)
class DuelFinding:
    """What came of a duel; `preferred` by a judge of one mind in both orders."""

    agreement: Agreement
    preferred: Tier | None = None

    def grade(self, tier: Tier) -> float | None:
        """Tell how right a tier that took part was, 0 to 1; None where that is not known."""
        if self.agreement is Agreement.SAME:
            return 1.0
        return None if self.preferred is None else float(self.preferred is tier)


class PendingDuel:
    """A request that is to be duelled, while it is answered: gathers what is streamed, then begins."""

    def __init__(
        self, duels: "Duels", query: TierRequest, calls: Calls, budget_hold: Callable[[], FillableHold | None]
    ) -> None:
        self._duels = duels
        self._query = query
        self._calls = calls
        self._budget_hold = budget_hold
        self._deltas: list[Delta] = []

    def note(self, delta: Delta) -> None:
        """Keep a step of the answer until the duel is over."""
        self._deltas.append(delta)

    def begin(self, answer: Answer) -> None:
        """Start the duel, once the client has its answer; a model that stood in for another proves nothing."""
        choices = fold(self._deltas, answer.provider_model).choices if self._deltas else answer.choices
        if choices and not answer.fell_back:
            self._duels.begin(DuelledQuery(self._query, self._calls, answer.final_tier, choices[0], self._budget_hold))


class NoDuel(Exception):
    """A duel does not take place; the message is the label under which that is counted."""


class Duels:
    """Runs duels in the background, a bounded number at a time.

    `tell` hears how each one ended (an agreement, or why it did not take place) and what it cost.
    """

    def __init__(
        self,
        rivals: Mapping[Tier, ModelTarget],
        allowance: Allowance,
        checkers: CheckerPool,
        now_us: Callable[[], int],
        *,
        judges: Sequence[ModelTarget] = (),
        tell: Callable[[str, int], None] = lambda ending, cost_nanousd: None,
    ) -> None:
        self._rivals = dict(rivals)
        self._allowance = allowance
        self._checkers = checkers
        self._now_us = now_us
        self._judges = tuple(judges)
        self._tell = tell
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, match: DuelledQuery) -> None:
        """Start a duel in the background, if there is room."""
        if len(self._running) >= MOST_AT_ONCE:
            self._tell("busy", 0)
            return
        task = asyncio.create_task(self._run(match), name="duel")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def idle(self) -> None:
        """Wait until no duel is under way."""
        while self._running:
            await asyncio.wait(self._running)

    async def close(self) -> None:
        """Call off what is under way; its calls are settled as cancelled."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, match: DuelledQuery) -> None:
        """Run a duel: whatever goes wrong with it is counted and touches nobody."""
        before = len(match.calls.made)
        ending = "failed"
        try:
            async with asyncio.timeout(LONGEST_S):
                ending = (await self._fight(match)).agreement
        except NoDuel as error:
            ending = str(error)
        except (RouterError, TimeoutError) as error:
            log.info("a duel failed: %s", error)
        except Exception:  # a bug in what nobody waits for: logged, and no more
            log.exception("a duel failed")
        finally:
            costs = [call.cost_nanousd for call in match.calls.made[before:]]
            self._tell(ending, sum(cost for cost in costs if cost is not None))

    async def _fight(self, match: DuelledQuery) -> DuelFinding:
        first = len(match.calls.made)
        request = self._request(match)
        async with _Stake(self._allowance, match, self._now_us) as stake:
            await stake.put(match.calls.worst_case(request, match.query.input_bound_tokens))
            if not match.calls.permits.admits(request.target):
                raise NoDuel("breaker_open")
            [call] = match.calls.dispatch([request], CallKind.SHADOW, match.other, match.query.input_bound_tokens)
            completion = await match.calls.complete(call, request)
            finding = await self._compare(match, completion.choices[0], stake)
            costs = [made.cost_nanousd for made in match.calls.made[first:]]
            cost = None if None in costs else sum(cost for cost in costs if cost is not None)
            match.calls.note(self._verdict(match, finding, cost))
            return finding

    def _request(self, match: DuelledQuery) -> ProviderRequest:
        query, target = match.query, self._rivals[match.other]
        return ProviderRequest(
            target,
            query.messages,
            {key: value for key, value in query.params.items() if key != "n"},
            effort=target.effort,
            think=match.other is Tier.REASONING,
            max_visible_tokens=min(query.max_visible_tokens or MOST_VISIBLE_TOKENS, MOST_VISIBLE_TOKENS),
            max_output_tokens=query.max_output_tokens,
        )

    async def _compare(self, match: DuelledQuery, rival: Choice, stake: "_Stake") -> DuelFinding:
        question = read_question(match.query.estimate.answer_type, match.query.messages, match.query.params)
        agreed = await agreement(match.answer, rival, question, self._checkers)
        texts = (match.answer.content or "", rival.content or "")
        can_judge = self._judges and all(texts) and {match.answer.finish_reason, rival.finish_reason} <= WHOLE
        if agreed is Agreement.SAME or not can_judge:
            return DuelFinding(agreed)
        preferred = await self._ask_judge(match, question, texts, stake)
        return DuelFinding(agreed, preferred)

    async def _ask_judge(
        self, match: DuelledQuery, question: Asked, texts: tuple[str, str], stake: "_Stake"
    ) -> Tier | None:
        chosen = judge.choose_judge(self._judges, list(self._rivals.values()))
        assert chosen is not None
        try:
            await stake.put(judge.worst_case(match.calls, chosen, question.question, texts))
        except NoDuel:
            return None  # the rival has answered: what is known without a judge is kept
        won = await judge.decide(match.calls, match.other, chosen, question.question, texts, CallKind.SHADOW)
        return None if won is None else (match.answered, match.other)[won]

    def _verdict(self, match: DuelledQuery, finding: DuelFinding, cost: int | None) -> DuelVerdict:
        took_part = (match.answered, match.other)
        fast, reasoning = (finding.grade(tier) if tier in took_part else None for tier in (Tier.FAST, Tier.REASONING))
        return DuelVerdict(
            match.query.request_id,
            self._now_us(),
            match.answered,
            match.other,
            finding.agreement,
            finding.preferred,
            fast,
            reasoning,
            cost,
        )


class _Stake:
    """What one duel holds of the day's allowance and of budgets; what it did not cost goes back."""

    def __init__(self, allowance: Allowance, match: DuelledQuery, now_us: Callable[[], int]) -> None:
        self._allowance = allowance
        self._match = match
        self._now_us = now_us
        self._taken: list[tuple[int, int]] = []  # amount, day
        self._first = len(match.calls.made)
        self._budget_hold: FillableHold | None = None

    async def __aenter__(self) -> "_Stake":
        self._budget_hold = self._match.budget_hold()
        self._match.calls.go_on(self._budget_hold)
        return self

    async def put(self, bound: int | None) -> None:
        """Hold the most that comes next may cost; raises NoDuel."""
        if bound is None:
            raise NoDuel("unpriced")
        try:
            day = await asyncio.to_thread(self._allowance.take, bound, self._now_us())
            if day is None:
                raise NoDuel("day_spent")
            self._taken.append((bound, day))
            if self._budget_hold and await self._budget_hold.hold(bound) is not None:
                raise NoDuel("budget_spent")
        except (SQLAlchemyError, Unavailable):
            raise NoDuel("database_away") from None
        except QuotaExhausted:
            raise NoDuel("budget_spent") from None

    async def __aexit__(self, *exc: object) -> None:
        if self._budget_hold:
            self._budget_hold.close()
        spent = sum(call.cost_nanousd or 0 for call in self._match.calls.made[self._first :])
        try:
            self._match.calls.flush()
        except Unavailable as error:
            log.warning("a duel waits for the spool: %s", error)
        for amount, day in self._taken:
            unspent, spent = max(amount - spent, 0), max(spent - amount, 0)
            if unspent:
                try:
                    await asyncio.to_thread(self._allowance.give_back, unspent, day)
                except SQLAlchemyError:
                    log.warning("%d nano-dollars of the duels' day stay taken: the database is away", unspent)
