import pytest
from sqlalchemy import Engine

from router.ledger.retention import purge
from router.ledger.stored import StoredResponses

NOW_US, LATER_US = 1_000, 2_000


@pytest.fixture
def table(engine: Engine) -> StoredResponses:
    return StoredResponses(engine)


def test_a_reservation_cannot_be_read(table: StoredResponses) -> None:
    table.reserve("resp_1", None, NOW_US)
    assert table.find("resp_1", None, NOW_US) is None
    assert not table.delete("resp_1", None, NOW_US)


@pytest.mark.parametrize("key_id", [None, 7])
def test_what_is_kept_takes_the_place_of_its_reservation(table: StoredResponses, key_id: int | None) -> None:
    table.reserve("resp_1", key_id, NOW_US)
    table.keep("resp_1", key_id, NOW_US, LATER_US, b"{}")
    assert table.find("resp_1", key_id, NOW_US) == b"{}"


@pytest.mark.parametrize(("owner", "stranger"), [(7, None), (None, 7), (7, 8)])
def test_to_another_key_it_is_not_there(table: StoredResponses, owner: int | None, stranger: int | None) -> None:
    table.keep("resp_1", owner, NOW_US, LATER_US, b"{}")
    assert table.find("resp_1", stranger, NOW_US) is None
    assert not table.delete("resp_1", stranger, NOW_US)
    assert table.delete("resp_1", owner, NOW_US)
    assert table.find("resp_1", owner, NOW_US) is None


def test_what_has_expired_is_neither_read_nor_kept(table: StoredResponses, engine: Engine) -> None:
    table.keep("resp_1", None, NOW_US, LATER_US, b"{}")
    assert table.find("resp_1", None, LATER_US) is None
    assert purge(engine, LATER_US + 1) == 1
