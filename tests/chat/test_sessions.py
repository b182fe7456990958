"""Sessions of the page: they end by themselves, and nobody can make one up."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from router.chat.sessions import ChatSessions
from router.database.engine import open_engine
from tests.builders.databases import lay_out

HOUR_US = 3_600_000_000


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    url = f"sqlite:///{tmp_path}/books.db"
    lay_out(url)
    return open_engine(url)


def test_a_session_lasts_so_many_hours(engine: Engine) -> None:
    moments = [0]
    sessions = ChatSessions(engine, 2, lambda: moments[-1])
    token = sessions.open("of a key")
    moments.append(2 * HOUR_US - 1)
    found = sessions.find(token)
    assert found is not None
    assert found.key_hash == "of a key"
    moments.append(2 * HOUR_US)
    assert sessions.find(token) is None


def test_what_has_expired_is_forgotten(engine: Engine) -> None:
    moments = [0]
    sessions = ChatSessions(engine, 1, lambda: moments[-1])
    sessions.open(None)
    moments.append(HOUR_US)
    sessions.open(None)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM chat_sessions").scalar_one() == 1


@pytest.mark.parametrize("token", ["", "made up", "ü" * 20, "x" * 5_000])
def test_a_token_that_was_never_given_out_opens_nothing(engine: Engine, token: str) -> None:
    assert ChatSessions(engine, 1, lambda: 0).find(token) is None


def test_it_works_on_postgresql(postgresql_engine: Engine) -> None:
    lay_out(postgresql_engine.url.render_as_string(hide_password=False))
    sessions = ChatSessions(postgresql_engine, 1, lambda: 0)
    token = sessions.open(None)
    assert sessions.find(token) is not None
    sessions.end(token)
    assert sessions.find(token) is None
