"""Who answered the last turn of a conversation, whichever worker it was."""

from pathlib import Path

from sqlalchemy import Engine

from router.ledger.last_turns import LastTurns
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.types import HOUR_US, Reason, Tier
from tests.ledger.builders import NOON, FakeClock, a_closing, a_result, an_id, an_intent, an_opening

SECOND = 1_000_000


def book(
    spool: Spool,
    at_us: int,
    mark: int | None,
    turn: int,
    tier: Tier = Tier.FAST,
    reason: Reason = Reason.BELOW_THRESHOLD,
) -> str:
    request_id = an_id(at_us)
    spool.write(
        [
            an_opening(request_id, opened_at=at_us, conversation_mark=mark, turn=turn, reason=reason),
            an_intent(request_id, 0, started_at=at_us),
            a_result(request_id, 0),
            a_closing(request_id, closed_at=at_us, answer_call_no=0, final_tier=tier),
        ]
    )
    return request_id


def test_the_newest_request_of_a_conversation_counts_and_how_often_it_came(engine: Engine, tmp_path: Path) -> None:
    spool, clock = Spool.open(tmp_path / "spool"), FakeClock()
    turns, shipper = LastTurns(engine, clock.now_us), Shipper(spool, engine, clock=clock)
    clock.advance(10)
    book(spool, NOON, 7, 1)
    book(spool, NOON + SECOND, 7, 2)
    book(spool, NOON - 2 * HOUR_US, 8, 1)
    book(spool, NOON, None, 1)
    assert shipper.turn()
    turns.follow()
    again = book(spool, NOON + 2 * SECOND, 7, 2, Tier.REASONING)
    assert shipper.turn()
    for _ in range(2):
        clock.advance(5)
        turns.follow()
    assert turns.of(7) == (2, again, Tier.REASONING, 2)
    assert turns.of(8) is None
    spool.close()


def test_a_long_answer_is_found_though_it_is_booked_after_later_ones(engine: Engine, tmp_path: Path) -> None:
    spool, clock = Spool.open(tmp_path / "spool"), FakeClock()
    turns, shipper = LastTurns(engine, clock.now_us), Shipper(spool, engine, clock=clock)
    clock.advance(10)
    book(spool, NOON + 9 * SECOND, 8, 1)
    assert shipper.turn()
    turns.follow()
    late = book(spool, NOON, 7, 1, Tier.REASONING)
    assert shipper.turn()
    clock.advance(5)
    turns.follow()
    assert turns.of(7) == (1, late, Tier.REASONING, 1)
    spool.close()


def test_housekeeping_is_no_turn(engine: Engine, tmp_path: Path) -> None:
    spool, clock = Spool.open(tmp_path / "spool"), FakeClock()
    turns, shipper = LastTurns(engine, clock.now_us), Shipper(spool, engine, clock=clock)
    asked = book(spool, NOON, 7, 1)
    book(spool, NOON + SECOND, 7, 1, reason=Reason.HOUSEKEEPING)
    assert shipper.turn()
    clock.advance(5)
    turns.follow()
    assert turns.of(7) == (1, asked, Tier.FAST, 1)
    spool.close()
