from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, select

from router import keys
from router.database.tables import ApiKey
from router.errors import Unavailable
from router.keys import KEY_PREFIX, NEW_KEY_SCOPES, KeyLimits, KeyRing, Scope, WrongKey, hash_of
from router.types import DAY_US, Tier
from tests.builders.databases import open_books


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_books(f"sqlite:///{tmp_path}/books.db")
    yield made
    made.dispose()


def a_key(engine: Engine, name: str = "app", segment: str = "default", tiers: tuple[Tier, ...] = tuple(Tier)) -> str:
    return keys.create(engine, name, segment=segment, scopes=NEW_KEY_SCOPES, allowed_tiers=tiers, now_us=1)


async def test_a_new_key_opens_at_once_with_what_it_was_given(engine: Engine) -> None:
    secret = a_key(engine, segment="plus", tiers=(Tier.FAST,))
    key = await KeyRing(engine).find(secret)
    assert key is not None
    assert (key.name, key.segment) == ("app", "plus")
    assert (set(key.scopes), set(key.allowed_tiers)) == ({Scope.CHAT, Scope.FEEDBACK}, {Tier.FAST})


def test_only_a_hash_is_stored(engine: Engine) -> None:
    secret = a_key(engine)
    with engine.connect() as connection:
        row = connection.execute(select(ApiKey.__table__)).one()
    assert row.hash == hash_of(secret)
    assert secret not in str(row)
    assert secret.startswith(row.prefix)


def test_keys_do_not_repeat(engine: Engine) -> None:
    assert a_key(engine, "one") != a_key(engine, "two")


@pytest.mark.parametrize("secret", ["", "sk-something", KEY_PREFIX, KEY_PREFIX + "x" * 43])
async def test_an_unknown_secret_opens_nothing(engine: Engine, secret: str) -> None:
    a_key(engine)
    assert await KeyRing(engine).find(secret) is None


async def test_a_revoked_key_opens_nothing_after_the_next_refresh(engine: Engine) -> None:
    secret, ring = a_key(engine), KeyRing(engine)
    assert await ring.find(secret) is not None
    keys.revoke(engine, "app", now_us=2)
    ring.refresh()
    assert await ring.find(secret) is None


async def test_known_keys_stay_valid_while_the_database_is_away(engine: Engine, tmp_path: Path) -> None:
    secret, ring = a_key(engine), KeyRing(engine)
    await ring.find(secret)
    engine.dispose()
    (tmp_path / "books.db").rename(tmp_path / "gone.db")
    assert await ring.find(secret) is not None


async def test_an_unknown_key_cannot_be_judged_while_the_database_is_away() -> None:
    with pytest.raises(Unavailable, match="database is away"):
        await KeyRing(create_engine("sqlite:////nowhere/books.db")).find(KEY_PREFIX + "x")


def test_a_name_is_taken_once(engine: Engine) -> None:
    a_key(engine)
    with pytest.raises(WrongKey, match="'app' already"):
        a_key(engine)


@pytest.mark.parametrize(("name", "segment"), [("", "default"), ("x" * 129, "default"), ("a", "Free Users"), ("a", "")])
def test_a_key_with_an_impossible_name_or_segment_is_not_made(engine: Engine, name: str, segment: str) -> None:
    with pytest.raises(WrongKey):
        a_key(engine, name, segment)


def test_a_key_that_opens_nothing_is_not_made(engine: Engine) -> None:
    with pytest.raises(WrongKey, match="opens nothing"):
        a_key(engine, tiers=())


def test_only_a_valid_key_can_be_revoked(engine: Engine) -> None:
    a_key(engine)
    keys.revoke(engine, "app", now_us=2)
    for name in ("app", "never"):
        with pytest.raises(WrongKey, match=f"no valid key named '{name}'"):
            keys.revoke(engine, name, now_us=3)


def test_the_listing_shows_revoked_keys_too_and_no_hash(engine: Engine) -> None:
    a_key(engine, "one")
    a_key(engine, "two")
    keys.revoke(engine, "one", now_us=2)
    rows = keys.list_keys(engine)
    assert [(row["name"], row["revoked_at"]) for row in rows] == [("one", 2), ("two", None)]
    assert rows[0]["scopes"] == "chat,feedback"


class Hand:
    """A clock that is set by hand."""

    def __init__(self, at_us: int) -> None:
        self.at_us = at_us

    def __call__(self) -> int:
        return self.at_us


async def test_an_expired_key_opens_nothing_even_while_the_database_is_away(engine: Engine, tmp_path: Path) -> None:
    secret = a_key(engine)
    keys.change(engine, "app", {"expires_at": 100}, now_us=1)
    clock = Hand(99)
    ring = KeyRing(engine, now_us=clock)
    assert await ring.find(secret) is not None
    (tmp_path / "books.db").rename(tmp_path / "gone.db")
    engine.dispose()
    clock.at_us = 100
    assert await ring.find(secret) is None


async def test_a_key_that_expired_opens_again_when_its_end_is_moved(engine: Engine) -> None:
    secret = a_key(engine)
    keys.change(engine, "app", {"expires_at": 100}, now_us=1)
    assert await KeyRing(engine, now_us=lambda: 200).find(secret) is None
    keys.change(engine, "app", {"expires_at": None}, now_us=200)
    assert await KeyRing(engine, now_us=lambda: 200).find(secret) is not None


async def test_a_rotated_key_keeps_number_and_limits_and_both_secrets_for_the_overlap(engine: Engine) -> None:
    old = a_key(engine, segment="plus", tiers=(Tier.FAST,))
    keys.change(engine, "app", {}, limits={"max_n": 3}, now_us=1)
    new = keys.rotate(engine, "app", overlap_us=50, now_us=100)
    clock = Hand(149)
    ring = KeyRing(engine, now_us=clock)
    by_old, by_new = await ring.find(old), await ring.find(new)
    assert by_old is not None
    assert by_new is not None
    assert (by_old.id, by_old.segment, by_old.limits, by_old.allowed_tiers) == (
        by_new.id,
        by_new.segment,
        by_new.limits,
        by_new.allowed_tiers,
    )
    clock.at_us = 150
    assert await ring.find(old) is None
    assert await ring.find(new) is not None


async def test_rotating_twice_within_an_overlap_cuts_nobody_off(engine: Engine) -> None:
    secrets = [a_key(engine)]
    secrets += [keys.rotate(engine, "app", overlap_us=50, now_us=at) for at in (100, 110)]
    ring = KeyRing(engine, now_us=lambda: 140)
    assert None not in [await ring.find(secret) for secret in secrets]


async def test_a_rotation_without_overlap_ends_the_old_secret_at_once(engine: Engine) -> None:
    old = a_key(engine)
    keys.rotate(engine, "app", overlap_us=0, now_us=100)
    assert await KeyRing(engine, now_us=lambda: 100).find(old) is None


async def test_revoking_ends_every_secret(engine: Engine) -> None:
    old = a_key(engine)
    new = keys.rotate(engine, "app", overlap_us=DAY_US, now_us=100)
    keys.revoke(engine, "app", now_us=101)
    ring = KeyRing(engine, now_us=lambda: 102)
    assert [await ring.find(old), await ring.find(new)] == [None, None]
    with pytest.raises(WrongKey, match="no valid key"):
        keys.rotate(engine, "app", overlap_us=0, now_us=103)


async def test_an_old_secret_does_not_outlive_its_key(engine: Engine) -> None:
    old = a_key(engine)
    keys.change(engine, "app", {"expires_at": 120}, now_us=1)
    keys.rotate(engine, "app", overlap_us=DAY_US, now_us=100)
    key = await KeyRing(engine, now_us=lambda: 110).find(old)
    assert key is not None
    assert key.valid_until == 120


@pytest.mark.parametrize(
    ("tiers", "models", "expected"),
    [
        (tuple(Tier), None, None),
        ((Tier.FAST,), None, frozenset()),
        ((Tier.FAST,), ("*",), None),
        (tuple(Tier), (), frozenset()),
        ((Tier.FAST,), ("gpt-5",), frozenset({"gpt-5"})),
    ],
)
async def test_which_models_a_new_key_may_name(
    engine: Engine, tiers: tuple[Tier, ...], models: tuple[str, ...] | None, expected: frozenset[str] | None
) -> None:
    secret = keys.create(
        engine, "m", segment="default", scopes=NEW_KEY_SCOPES, allowed_tiers=tiers, now_us=1, allowed_models=models
    )
    key = await KeyRing(engine).find(secret)
    assert key is not None
    assert key.allowed_models == expected


async def test_a_key_s_own_limits_beat_the_configured_ones_and_none_lifts_them(engine: Engine) -> None:
    secret = a_key(engine)
    keys.change(engine, "app", {}, limits={"max_n": 2, "concurrency": None}, now_us=1)
    defaults = KeyLimits(max_n=9, concurrency=5, max_tokens=7)
    key = await KeyRing(engine, defaults).find(secret)
    assert key is not None
    assert key.limits == KeyLimits(max_n=2, concurrency=None, max_tokens=7)
    keys.change(engine, "app", {}, inherited=["max_n", "concurrency"], now_us=1)
    key = await KeyRing(engine, defaults).find(secret)
    assert key is not None
    assert key.limits == defaults


@pytest.mark.parametrize("limits", [{"max_n": 0}, {"user_deep_per_day": -1}, {"spells_per_day": 3}])
def test_a_limit_that_is_none_is_refused(engine: Engine, limits: dict[str, int | None]) -> None:
    a_key(engine)
    with pytest.raises(WrongKey):
        keys.change(engine, "app", {}, limits=limits, now_us=1)


def test_a_key_does_not_expire_in_the_past(engine: Engine) -> None:
    a_key(engine)
    with pytest.raises(WrongKey, match="in the future"):
        keys.change(engine, "app", {"expires_at": 5}, now_us=5)
