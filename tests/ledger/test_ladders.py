"""The figures of ladders: the newest of each source, and not more than are kept."""

from sqlalchemy import Engine, func, select

from router.database.ladder_tables import LadderRow
from router.ledger import ladders


def test_the_newest_of_a_source_is_read_back_and_nothing_where_there_is_none(engine: Engine) -> None:
    assert ladders.newest(engine, "questions") is None
    for number in (1, 2):
        ladders.keep(engine, {"number": number, "rungs": []}, "questions", number)
    ladders.keep(engine, {"number": 3}, "traffic", 3)
    assert ladders.newest(engine, "questions") == {"number": 2, "rungs": []}
    assert ladders.newest(engine, "traffic") == {"number": 3}


def test_only_the_newest_stay(engine: Engine) -> None:
    for number in range(ladders.MOST_KEPT + 3):
        ladders.keep(engine, {"number": number}, "questions", number)
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(LadderRow)) == ladders.MOST_KEPT
    assert ladders.newest(engine, "questions") == {"number": ladders.MOST_KEPT + 2}
