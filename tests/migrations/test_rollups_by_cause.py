"""What was rolled up before rollups knew causes is rolled up again."""

from sqlalchemy import MetaData, Table, insert, select

from router.database import schema
from router.database.engine import open_engine, writing
from router.database.tables import RollupMark
from router.ledger.cells import ADDED_FACTS, LARGEST, UNKNOWN


def test_every_quarter_is_marked_when_a_grouping_is_added(empty_url: str) -> None:
    engine = open_engine(empty_url)
    schema.migrate(engine, "0013")
    facts = dict.fromkeys((*ADDED_FACTS, LARGEST), 0)
    row = {"grouping_id": 0, "grain": 0, "key1": UNKNOWN, "key2": UNKNOWN, **facts}
    with writing(engine) as connection:
        of_then = Table("rollups", MetaData(), autoload_with=connection)
        connection.execute(insert(of_then), [{**row, "start": start} for start in (7, 8)])
    schema.migrate(engine, "0014")
    with engine.connect() as connection:
        assert set(connection.scalars(select(RollupMark.quarter))) == {7, 8}
    engine.dispose()
