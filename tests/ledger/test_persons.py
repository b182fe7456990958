"""A person's day holds, whoever asks at once; what was not used comes back; a database away is no free pass."""

import asyncio
import random
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from router.database.tables import PersonDay
from router.errors import AllowanceSpent, QuotaExhausted
from router.exchange import Dispatcher
from router.ledger.marks import MarkBook
from router.ledger.persons import Claim, PersonAllowances, PersonHold, PersonLimit
from router.types import DAY_US, Outcome, Reason, Tier
from tests.builders.dispatchers import FixedModel, a_dispatcher, an_inference_request
from tests.ledger.builders import NOON
from tests.tiers.fakes import FakeBooks, FakeClock, FakeProvider, saying
from tests.waiting import soon

PLENTY = 10**12


def days(engine: Engine) -> dict[tuple[int, int], tuple[int, int]]:
    with engine.connect() as connection:
        rows = connection.execute(select(PersonDay.__table__))
        return {(row.day, row.user_mark): (row.deep, row.taken_nanousd) for row in rows}


def allowances(engine: Engine) -> PersonAllowances:
    return PersonAllowances(engine, lambda: NOON)


def test_so_many_and_no_more(engine: Engine) -> None:
    book, limit = allowances(engine), PersonLimit(2, 100)
    granted = [book.try_claim(7, limit, cost, NOON) is not None for cost in (60, 41, 40, 0)]
    assert granted == [True, False, True, False]
    assert days(engine) == {(NOON // DAY_US, 7): (2, 100)}


@pytest.mark.parametrize("limit", [PersonLimit(0, None), PersonLimit(None, 9), PersonLimit(3, 9)])
def test_what_never_fits_leaves_no_row(engine: Engine, limit: PersonLimit) -> None:
    assert allowances(engine).try_claim(7, limit, 10, NOON) is None
    assert days(engine) == {}


def test_every_person_and_every_day_has_its_own(engine: Engine) -> None:
    book, limit = allowances(engine), PersonLimit(1)
    claims = [book.try_claim(mark, limit, 0, at) for mark in (-7, 7) for at in (NOON, NOON + DAY_US)]
    assert None not in claims
    assert len(days(engine)) == 4


def test_what_was_not_used_comes_back_once(engine: Engine) -> None:
    book, limit = allowances(engine), PersonLimit(1, 100)
    claim = book.try_claim(7, limit, 100, NOON)
    assert claim is not None
    book.give_back(claim, deep=1, nanousd=70)
    book.follow()
    book.follow()
    assert days(engine) == {(NOON // DAY_US, 7): (0, 30)}
    assert book.try_claim(7, limit, 70, NOON) is not None


def test_rows_of_long_ago_go(engine: Engine) -> None:
    book = allowances(engine)
    book.try_claim(7, PersonLimit(1), 0, NOON - 60 * DAY_US)
    book.follow()
    assert days(engine) == {}


def test_while_the_database_is_away_every_allowance_counts_as_spent(sqlite_engine: Engine) -> None:
    book = allowances(sqlite_engine)
    book.give_back(Claim(7, 1, 5), deep=1, nanousd=5)
    with sqlite_engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE person_days")
    assert book.try_claim(7, PersonLimit(5), 0, NOON) is None
    with pytest.raises(Exception, match="person_days"):
        book.follow()
    assert len(book._returns) == 1


def test_many_at_once_take_no_more_than_there_is(engine: Engine) -> None:
    limit, won = PersonLimit(3, 1_000), []

    def work(seed: int) -> None:
        book, dice = allowances(engine), random.Random(seed)
        for _ in range(40):
            mark, cost = dice.randrange(5), dice.randrange(1, 500)
            if (claim := book.try_claim(mark, limit, cost, NOON)) is not None:
                won.append(claim)
                if dice.random() < 0.3:
                    book.give_back(claim, deep=0, nanousd=0)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for (_, mark), (deep, taken) in days(engine).items():
        mine = [claim.nanousd for claim in won if claim.user_mark == mark]
        assert (len(mine), sum(mine)) == (deep, taken)
        assert deep <= 3
        assert taken <= 1_000
    assert len(won) > 5


async def test_a_client_that_left_while_it_was_claimed_has_nothing(sqlite_engine: Engine) -> None:
    book, released = allowances(sqlite_engine), threading.Event()
    claim_now = book.try_claim

    def slow(*args: Any) -> Claim | None:
        released.wait()
        return claim_now(*args)

    book.try_claim = slow  # type: ignore[method-assign,assignment]
    waiting = asyncio.ensure_future(book.claim(7, PersonLimit(1, 9), 9, NOON))
    await asyncio.sleep(0)
    waiting.cancel()
    released.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await soon(lambda: book._returns)
    book.follow()
    assert days(sqlite_engine) == {(NOON // DAY_US, 7): (0, 0)}


async def test_a_database_that_does_not_answer_keeps_nobody_waiting_and_is_left_alone(sqlite_engine: Engine) -> None:
    book, released = allowances(sqlite_engine), threading.Event()
    claim_now, asked = book.try_claim, []

    def slow(*args: Any) -> Claim | None:
        asked.append(args)
        released.wait()
        return claim_now(*args)

    book.try_claim, book.patience_s = slow, 0.01  # type: ignore[method-assign,assignment]
    assert await book.claim(7, PersonLimit(1, 9), 9, NOON) is None
    assert await book.claim(7, PersonLimit(1, 9), 9, NOON) is None
    assert len(asked) == 1
    released.set()
    await soon(lambda: book._returns)
    book.follow()
    assert days(sqlite_engine) == {(NOON // DAY_US, 7): (0, 0)}


class Purse(PersonAllowances):
    """Allowances in memory: one person, one day."""

    def __init__(self) -> None:
        super().__init__(None, lambda: NOON)  # type: ignore[arg-type]

    def try_claim(self, user_mark: int, limit: PersonLimit, nanousd: int, at_us: int) -> Claim | None:
        return Claim(user_mark, at_us // DAY_US, nanousd)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=5), st.booleans())
def test_what_is_given_back_is_what_was_not_spent(calls: list[tuple[int, int]], late: bool) -> None:
    purse, bounds = Purse(), [max(bound, cost) for bound, cost in calls]
    hold = PersonHold(purse, 7, PersonLimit(None, PLENTY), NOON, None)
    claimed = sum(bounds) + 10
    assert asyncio.run(hold.claim(claimed))
    for bound in bounds:
        hold.take(bound)
    spent = [min(pair) for pair in calls]
    for bound, cost in list(zip(bounds, spent, strict=True))[1 if late else 0 :]:
        hold.settle(bound, cost)
    hold.close()
    for bound, cost in list(zip(bounds, spent, strict=True))[: 1 if late else 0]:
        hold.settle(bound, cost)
    hold.close()
    assert claimed - sum(back.nanousd for back in purse._returns) == sum(spent)


async def test_no_call_takes_more_than_was_claimed() -> None:
    hold = PersonHold(Purse(), 7, PersonLimit(None, PLENTY), NOON, None)
    await hold.claim(100)
    hold.take(60)
    with pytest.raises(AllowanceSpent):
        hold.take(41)
    with pytest.raises(QuotaExhausted, match="without a price"):
        hold.take(None)


def a_dispatcher_for(engine: Engine, provider: FakeProvider | None = None) -> tuple[Dispatcher, PersonAllowances]:
    now_us = FakeClock().now_us
    dispatcher = a_dispatcher(provider or FakeProvider(saying("hi")), FakeBooks(), model=FixedModel(0.3, 0.9))
    dispatcher._marks, dispatcher._persons = MarkBook(engine, now_us), PersonAllowances(engine, now_us)
    dispatcher._marks.follow()
    return dispatcher, dispatcher._persons


def asked(user: str | None = "ann", deep: int | None = 1, **changes: Any) -> Any:
    return an_inference_request(user=user, user_deep_per_day=deep, **changes)


async def test_the_second_deep_answer_of_a_day_is_fast_and_says_why(sqlite_engine: Engine) -> None:
    dispatcher, _ = a_dispatcher_for(sqlite_engine)
    decisions = [(await dispatcher.open(asked())).decision for _ in range(2)]
    assert [decision.tier for decision in decisions] == [Tier.REASONING, Tier.FAST]
    assert decisions[1].reason is Reason.USER_ALLOWANCE
    assert (await dispatcher.open(asked("bob"))).decision.tier is Tier.REASONING


async def test_who_names_a_deep_tier_is_refused_until_the_day_ends(sqlite_engine: Engine) -> None:
    dispatcher, _ = a_dispatcher_for(sqlite_engine)
    await dispatcher.open(asked(model="reasoning"))
    with pytest.raises(AllowanceSpent) as caught:
        await dispatcher.open(asked(model="reasoning"))
    assert (caught.value.status, caught.value.code) == (429, "insufficient_quota")
    assert 0 < int(caught.value.headers()["retry-after"]) <= 86_400


@pytest.mark.parametrize(
    "request_of_nobody", [asked(None), asked(deep=None), asked(model="fast")], ids=["no user", "no limit", "fast"]
)
async def test_nothing_is_claimed_where_nothing_is_limited(sqlite_engine: Engine, request_of_nobody: Any) -> None:
    dispatcher, _ = a_dispatcher_for(sqlite_engine)
    for _ in range(2):
        await dispatcher.open(request_of_nobody)
    assert days(sqlite_engine) == {}


async def test_dollars_are_claimed_at_their_most_and_settled_at_their_cost(sqlite_engine: Engine) -> None:
    dispatcher, persons = a_dispatcher_for(sqlite_engine)
    exchange = await dispatcher.open(asked(deep=None, user_nanousd_per_day=PLENTY))
    [(deep, taken)] = days(sqlite_engine).values()
    assert (deep, taken) == (1, exchange.worst_case())
    exchange.settle(Outcome.OK, await exchange.answer())
    persons.follow()
    assert days(sqlite_engine).popitem()[1] == (1, exchange.calls.made[0].cost_nanousd)


async def test_an_answer_that_failed_is_no_answer(sqlite_engine: Engine) -> None:
    dispatcher, persons = a_dispatcher_for(sqlite_engine)
    exchange = await dispatcher.open(asked())
    exchange.settle(Outcome.ERROR)
    persons.follow()
    assert days(sqlite_engine).popitem()[1] == (0, 0)


async def test_without_a_salt_nobody_is_known_and_nothing_deep_is_given(sqlite_engine: Engine) -> None:
    dispatcher, _ = a_dispatcher_for(sqlite_engine)
    dispatcher._marks = MarkBook(sqlite_engine, FakeClock().now_us)
    assert (await dispatcher.open(asked())).decision.reason is Reason.USER_ALLOWANCE
