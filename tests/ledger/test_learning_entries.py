"""Features and verdicts go the way of the books: spooled, shipped once, on both databases, late ones too."""

from sqlalchemy import Engine, func, insert, select

from router.database.learning_tables import Duel, DuelDay, FeatureRow
from router.database.tables import Call
from router.ledger import retention
from router.ledger.entries import DuelVerdict, KeptFeatures
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.types import DAY_US, Agreement, CallKind, Tier
from tests.ledger.builders import NOON, FakeClock, a_closing, a_result, an_id, an_intent, an_opening

ROW = bytes(range(256))


def features_of(request_id: str) -> KeptFeatures:
    return KeptFeatures(request_id, NOON, 1, ROW)


def a_verdict(request_id: str) -> DuelVerdict:
    return DuelVerdict(request_id, NOON, Tier.FAST, Tier.REASONING, Agreement.DIFFERS, Tier.REASONING, 0.0, 1.0, 12_345)


def write_request(spool: Spool, request_id: str) -> None:
    spool.write([an_opening(request_id), features_of(request_id), an_intent(request_id)])
    spool.write([a_result(request_id), a_closing(request_id)])


def test_the_features_of_a_request_are_booked_with_it(engine: Engine, spool: Spool, clock: FakeClock) -> None:
    request_id = an_id()
    write_request(spool, request_id)
    Shipper(spool, engine, clock=clock).turn()
    with engine.connect() as connection:
        found = connection.execute(select(FeatureRow.__table__)).one()
    assert (found.request_id, found.created_at, found.format, bytes(found.row)) == (request_id, NOON, 1, ROW)
    assert spool.rows_waiting == 0


def test_a_duel_after_the_closing_is_booked_with_its_verdict(engine: Engine, spool: Spool, clock: FakeClock) -> None:
    request_id, shipper = an_id(), Shipper(spool, engine, clock=clock)
    write_request(spool, request_id)
    shipper.turn()
    shadow = an_intent(request_id, 1, kind=CallKind.SHADOW, tier=Tier.REASONING)
    spool.write([shadow])
    shipper.turn()
    for _ in range(2):  # the second time changes nothing
        spool.write([shadow, a_result(request_id, 1), a_verdict(request_id)])
        shipper.turn()
    with engine.connect() as connection:
        [duel] = connection.execute(select(Duel.__table__)).all()
        kinds = list(connection.scalars(select(Call.kind).order_by(Call.call_no)))
    assert (duel.agreement, duel.preferred, duel.grade_fast, duel.cost_nanousd) == ("differs", "reasoning", 0.0, 12_345)
    assert kinds == [CallKind.ANSWER, CallKind.SHADOW]
    assert spool.rows_waiting == 0


def test_feature_rows_go_after_their_time_and_duels_stay(engine: Engine, spool: Spool, clock: FakeClock) -> None:
    old, new, day = an_id(NOON - 91 * DAY_US), an_id(), NOON // DAY_US
    for request_id in (old, new):
        write_request(spool, request_id)
        spool.write([a_verdict(request_id)])
    Shipper(spool, engine, clock=clock, feature_days=3_650).turn()
    with engine.begin() as connection:
        connection.execute(insert(DuelDay), [{"day": day - 91, "taken_nanousd": 1}])
    assert retention.purge(engine, NOON, feature_days=90) == 1
    with engine.connect() as connection:
        assert list(connection.scalars(select(FeatureRow.request_id))) == [new]
        assert connection.scalar(select(func.count()).select_from(Duel)) == 2
        assert connection.scalar(select(func.count()).select_from(DuelDay)) == 0
