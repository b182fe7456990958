"""What was rolled up before rollups knew made-up traffic is rolled up again where there is any, and only there."""

from sqlalchemy import MetaData, Table, insert, select, text

from router.database import schema
from router.database.engine import open_engine, writing
from router.database.tables import RevenueEvent, Rollup, RollupMark
from router.ledger.cells import ADDED_FACTS, LARGEST, UNKNOWN

DAY_QUARTERS, QUARTER_MS = 96, 900_000
MADE_UP_DAY, REAL_DAY = 20_000, 20_001
REQUEST = (
    "INSERT INTO requests (id, opened_at, closed_at, recorded_at, score, p_fast, p_reasoning, propensity, "
    "policy_version, first_tier, final_tier, reason, outcome, turn, segment_id, country_id, requested_model_id, "
    "classifier_id, answer_type_id, streamed, ads_eligible, synthetic) "
    "VALUES (:id, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, :no, :no, :synthetic)"
)
EVENT = (
    "INSERT INTO revenue_events (source, event_id, kind, amount_nanousd, received_at) VALUES (:source, '1', 'x', 1, 1)"
)


def test_only_what_is_made_up_is_rolled_up_again(empty_url: str) -> None:
    engine = open_engine(empty_url)
    schema.migrate(engine, "0022")
    facts = dict.fromkeys((*ADDED_FACTS, LARGEST), 3)
    key = {"grouping_id": 0, "grain": 2, "key1": UNKNOWN, "key2": UNKNOWN}
    ids = {
        is_made: f"{day * DAY_QUARTERS * QUARTER_MS:012x}7{0:019x}"
        for day, is_made in ((MADE_UP_DAY, True), (REAL_DAY, False))
    }
    with writing(engine) as connection:
        old = Table("rollups", MetaData(), autoload_with=connection)
        days = [{**key, **facts, "start": day * DAY_QUARTERS} for day in (MADE_UP_DAY, REAL_DAY)]
        connection.execute(insert(old), days)
        for is_made, id in ids.items():
            stored = bytes.fromhex(id) if engine.dialect.name == "sqlite" else id
            connection.execute(text(REQUEST), {"id": stored, "synthetic": is_made, "no": False})
        for source in ("synthetic", "network"):
            connection.execute(text(EVENT), {"source": source})
        connection.execute(text("DELETE FROM rollup_marks"))
    schema.migrate(engine, "0023")
    with engine.connect() as connection:
        assert connection.execute(select(Rollup.start, Rollup.made_up)).all() == [(REAL_DAY * DAY_QUARTERS, 0)]
        marks = connection.scalars(select(RollupMark.granule)).all()
        assert [str(mark).lower() for mark in marks] == [ids[True][:8]]
        events = connection.execute(select(RevenueEvent.source, RevenueEvent.synthetic).order_by(RevenueEvent.source))
        assert [tuple(row) for row in events] == [("network", False), ("synthetic", True)]
    schema.migrate(engine, "0022")
    engine.dispose()
