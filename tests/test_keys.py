from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, select

from router import keys
from router.database.tables import ApiKey
from router.errors import Unavailable
from router.keys import KEY_PREFIX, NEW_KEY_SCOPES, KeyRing, Scope, WrongKey, hash_of
from router.types import Tier
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
