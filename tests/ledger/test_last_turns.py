"""Who answered the last turn of a conversation, whichever worker it was."""

from pathlib import Path

from sqlalchemy import Engine

from router.ledger.last_turns import LastTurns
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.types import HOUR_US, Tier
from tests.ledger.builders import NOON, FakeClock, a_closing, a_result, an_id, an_intent, an_opening


def book(spool: Spool, at_us: int, mark: int | None, turn: int, tier: Tier = Tier.FAST) -> str:
    request_id = an_id(at_us)
    spool.write(
        [
            an_opening(request_id, opened_at=at_us, conversation_mark=mark, turn=turn),
            an_intent(request_id, 0, started_at=at_us),
            a_result(request_id, 0),
            a_closing(request_id, closed_at=at_us, answer_call_no=0, final_tier=tier),
        ]
    )
    return request_id


def test_the_newest_request_of_a_conversation_counts_and_how_often_it_came(engine: Engine, tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool")
    turns, shipper = LastTurns(engine, lambda: NOON + 10_000_000), Shipper(spool, engine, clock=FakeClock())
    book(spool, NOON, 7, 1)
    book(spool, NOON + 1_000_000, 7, 2)
    book(spool, NOON - 2 * HOUR_US, 8, 1)
    book(spool, NOON, None, 1)
    assert shipper.turn()
    turns.follow()
    again = book(spool, NOON + 2_000_000, 7, 2, Tier.REASONING)
    assert shipper.turn()
    turns.follow()
    turns.follow()
    assert turns.of(7) == (2, again, Tier.REASONING, 2)
    assert turns.of(8) is None
    spool.close()
