"""Idempotency keys in their table: one claim at a time, taken over once it lapses, gone with its caller."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, select

from router import keys
from router.database.replay_tables import ReplayRow
from router.database.tables import ApiKey
from router.keys import Scope
from router.ledger.forgetting import forget
from router.ledger.replays import KEPT_US, LEASE_US, KeptAnswer, ReplayClaim, Replays
from router.ledger.retention import purge
from router.types import Tier
from tests.ledger.builders import NOON, an_id

ANSWER = KeptAnswer(200, "[]", b"text")


def a_claim(name: bytes = b"name", asked: bytes = b"asked", key_id: int | None = None) -> ReplayClaim:
    return ReplayClaim(name, asked, key_id, an_id())


def names(engine: Engine) -> list[bytes]:
    with engine.connect() as connection:
        return [bytes(name) for name in connection.scalars(select(ReplayRow.name))]


@pytest.fixture
def table(engine: Engine) -> Replays:
    return Replays(engine, bytes_per_key=8)


def test_of_many_at_once_one_claims_a_key(table: Replays) -> None:
    claims = [a_claim() for _ in range(16)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda claim: table.claim(claim, NOON), claims))
    [first] = [claim for claim, stands in zip(claims, found, strict=True) if stands is None]
    assert {stands.request_id for stands in found if stands is not None} == {first.request_id}


def test_what_stands_there_is_told_with_its_answer(table: Replays) -> None:
    first = a_claim()
    assert table.claim(first, NOON) is None
    under_way = table.claim(a_claim(), NOON)
    assert under_way is not None
    assert (under_way.request_id, under_way.is_same, under_way.answer) == (first.request_id, True, None)
    table.keep(first, ANSWER, NOON)
    other = table.claim(a_claim(asked=b"other"), NOON + LEASE_US)
    assert other is not None
    assert (other.is_same, other.answer) == (False, ANSWER)


def test_a_claim_that_is_not_renewed_is_taken_over_for_the_same_request_only(table: Replays) -> None:
    first, later = a_claim(), a_claim()
    table.claim(first, NOON)
    table.renew([first], NOON + 1)
    assert table.claim(later, NOON + LEASE_US) is not None
    assert table.claim(a_claim(asked=b"other"), NOON + LEASE_US + 1) is not None
    assert table.claim(later, NOON + LEASE_US + 1) is None
    table.keep(first, ANSWER, NOON)
    stands = table.claim(a_claim(), NOON + LEASE_US + 2)
    assert stands is not None
    assert (stands.request_id, stands.answer) == (later.request_id, None)


def test_a_released_key_and_an_old_one_are_free_again(table: Replays, engine: Engine) -> None:
    first, second = a_claim(), a_claim()
    table.claim(first, NOON)
    table.release(first)
    assert table.claim(second, NOON) is None
    table.keep(second, ANSWER, NOON)
    table.release(second)
    assert table.claim(a_claim(asked=b"other"), NOON + KEPT_US - 1) is not None
    assert table.claim(a_claim(asked=b"other"), NOON + KEPT_US) is None
    assert purge(engine, NOON + 3 * KEPT_US) == 1
    assert names(engine) == []


@pytest.mark.parametrize("how", ["revoke", "forget"])
def test_text_goes_with_its_key(table: Replays, engine: Engine, how: str) -> None:
    keys.create(engine, "alice", segment="free", scopes=[Scope.CHAT], allowed_tiers=list(Tier), now_us=1)
    with engine.connect() as connection:
        key_id = connection.execute(select(ApiKey.id)).scalar_one()
    for name, of_key in ((b"mine", key_id), (b"other", None)):
        table.claim(a_claim(name, key_id=of_key), NOON)
    if how == "revoke":
        keys.revoke(engine, "alice", now_us=NOON)
    else:
        assert forget(engine, "alice", NOON).replays == 1
    assert names(engine) == [b"other"]


def test_a_caller_keeps_no_more_than_it_may_and_pays_once_all_the_same(table: Replays) -> None:
    found = []
    for name in (b"first", b"second", b"third"):
        claim = a_claim(name)
        table.claim(claim, NOON)
        table.keep(claim, ANSWER, NOON)
        found.append(table.claim(a_claim(name), NOON))
    bodies = [stands.answer.body for stands in found if stands is not None and stands.answer is not None]
    assert bodies == [b"text", b"text", None]
