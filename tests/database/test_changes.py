"""What people set is counted as it changes; what nobody changed is not read again."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from router import keys
from router.database.changes import AT_LEAST_EVERY_S, Changes, OnChange
from router.keys import Scope
from router.ledger import budgets, pricelist
from router.ledger.budgets import BudgetScope, Period
from router.ledger.folding import RequestRecord
from router.ledger.marks import MarkBook
from router.ledger.pricelist import OPERATOR, Quote
from router.ledger.prices import Rates
from router.ledger.store import Store
from router.policies import versions
from router.types import Tier
from tests.ledger.builders import NOON, a_closing, a_result, an_id, an_intent, an_opening


def make_key(engine: Engine) -> None:
    keys.create(engine, "app", segment="default", scopes=[Scope.CHAT], allowed_tiers=list(Tier), now_us=NOON)


def put_budget(engine: Engine) -> None:
    budgets.put(engine, BudgetScope.TOTAL, "", Period.DAY, 5, "ada", "", NOON)


def put_price(engine: Engine) -> None:
    pricelist.put(engine, Quote("scripted/steady", OPERATOR, "test", (Rates(input=1, output=2),)), NOON)


def make_salts(engine: Engine) -> None:
    MarkBook(engine, lambda: NOON).follow()


def activate_policy(engine: Engine) -> None:
    versions.import_dials(engine, {"reasoning_threshold": 0.5}, NOON)


@pytest.fixture
def changes(engine: Engine) -> Changes:
    found = Changes(engine)
    found.refresh()
    return found


@pytest.mark.parametrize("act", [make_key, put_budget, put_price, make_salts, activate_policy])
def test_what_is_set_counts(engine: Engine, changes: Changes, act: Callable[[Engine], None]) -> None:
    before = changes.number
    act(engine)
    changes.refresh()
    assert before is not None
    assert changes.number is not None
    assert changes.number > before


def test_what_is_changed_or_taken_away_counts(engine: Engine, changes: Changes) -> None:
    make_key(engine)
    put_budget(engine)
    seen = []
    for act in (
        changes.refresh,
        lambda: keys.rotate(engine, "app", overlap_us=60_000_000, now_us=NOON),
        lambda: keys.revoke(engine, "app", now_us=NOON),
        lambda: budgets.drop(engine, BudgetScope.TOTAL, "", Period.DAY),
    ):
        act()
        changes.refresh()
        seen.append(changes.number)
    assert seen == sorted(set(seen), key=lambda number: number or 0)


def test_requests_do_not_count(engine: Engine, changes: Changes) -> None:
    before, id_ = changes.number, an_id()
    record = RequestRecord(id_)
    for entry in (an_opening(id_), an_intent(id_), a_result(id_), a_closing(id_)):
        record.add(entry)
    Store(engine).record([record], NOON)
    changes.refresh()
    assert changes.number == before


class Follower:
    """Counts how often it is refreshed, and fails when told to."""

    def __init__(self) -> None:
        self.times, self.fails = 0, False

    def refresh(self) -> None:
        self.times += 1
        if self.fails:
            raise OperationalError("", {}, Exception("away"))


def test_a_follower_reads_once_and_then_whenever_the_count_moves(changes: Changes) -> None:
    follower = Follower()
    one = OnChange(changes, follower.refresh, lambda: 0.0)
    one.follow()
    one.follow()
    assert follower.times == 1
    changes.number = (changes.number or 0) + 1
    one.follow()
    assert follower.times == 2


def test_a_follower_reads_while_the_count_is_unknown_and_every_so_often(changes: Changes) -> None:
    follower, now_s = Follower(), 0.0
    one = OnChange(changes, follower.refresh, lambda: now_s)
    one.follow()
    now_s = AT_LEAST_EVERY_S
    one.follow()
    assert follower.times == 2
    changes.number = None
    one.follow()
    one.follow()
    assert follower.times == 4


def test_one_that_failed_reads_again_though_nothing_changed(changes: Changes) -> None:
    follower = Follower()
    one = OnChange(changes, follower.refresh, lambda: 0.0)
    one.follow()
    follower.fails, changes.number = True, (changes.number or 0) + 1
    with pytest.raises(OperationalError):
        one.follow()
    follower.fails, changes.number = False, changes.number - 1
    one.follow()
    assert follower.times == 3
