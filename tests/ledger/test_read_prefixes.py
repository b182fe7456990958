"""What models have read of a conversation is known from the books, whichever worker asked them."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from router.ledger import read_prefixes
from router.ledger.read_prefixes import ReadPrefixes
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.types import HOUR_US, CallKind, CallStatus, Reason, Usage
from tests.ledger.builders import NOON, FakeClock, a_closing, a_result, an_id, an_intent, an_opening

LONG = Usage(input_fresh=1_000, input_cached=4_000, input_cache_write=500, output_visible=90)
SECOND = 1_000_000


def book(
    engine: Engine,
    directory: Path,
    at_us: int = NOON,
    *,
    usage: Usage | None = LONG,
    model: str = "a/strong",
    kind: CallKind = CallKind.ANSWER,
    status: CallStatus = CallStatus.OK,
    **changes: Any,
) -> None:
    spool, request_id = Spool.open(directory), an_id(at_us)
    opening = an_opening(request_id, opened_at=at_us, **{"conversation_mark": 7, **changes})
    intent = an_intent(request_id, provider_model=model, kind=kind, started_at=at_us)
    spool.write([opening, intent])
    spool.write([a_result(request_id, usage=usage, status=status), a_closing(request_id, closed_at=at_us)])
    assert Shipper(spool, engine, clock=FakeClock()).turn()
    spool.close()


def following(engine: Engine, at_us: int = NOON + SECOND) -> ReadPrefixes:
    found = ReadPrefixes(engine, lambda: at_us)
    found.follow()
    return found


def test_tokens_read_and_marked_are_known_with_the_model_and_the_time(engine: Engine, tmp_path: Path) -> None:
    book(engine, tmp_path)
    book(engine, tmp_path, NOON + SECOND // 2, model="b/weak", turn=2)
    known = following(engine)
    assert (
        known.of(7, 2) == known.of(7, 3) == {"a/strong": (5_500, 4_500, NOON), "b/weak": (5_500, 4_500, NOON + 500_000)}
    )
    assert known.of(8, 2) == {}


def test_a_conversation_that_stands_elsewhere_is_another_one(engine: Engine, tmp_path: Path) -> None:
    book(engine, tmp_path, turn=3)
    known = following(engine)
    assert [bool(known.of(7, turn)) for turn in (2, 3, 4, 5)] == [False, True, True, False]


@pytest.mark.parametrize(
    "changes",
    [
        {"usage": Usage(input_fresh=1_023)},
        {"usage": None},
        {"kind": CallKind.JUDGE},
        {"kind": CallKind.SHADOW},
        {"status": CallStatus.ERROR},
        {"synthetic": True},
        {"reason": Reason.HOUSEKEEPING},
        {"conversation_mark": None},
        {"at_us": NOON - 3 * HOUR_US},
    ],
)
def test_what_no_next_turn_begins_with_is_left_out(engine: Engine, tmp_path: Path, changes: dict[str, Any]) -> None:
    book(engine, tmp_path, **changes)
    assert following(engine).of(7, 1) == {}


def test_what_is_booked_late_is_found_later_and_the_oldest_are_forgotten(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_prefixes, "MOST_KEPT", 2)
    clock = FakeClock()
    known = ReadPrefixes(engine, clock.now_us)
    for mark in (1, 2, 3):
        clock.advance(10)
        book(engine, tmp_path, clock.now - 8 * SECOND, conversation_mark=mark)
        known.follow()
    assert [bool(known.of(mark, 1)) for mark in (1, 2, 3)] == [False, True, True]
    clock.advance(1)
    book(engine, tmp_path, clock.now, conversation_mark=4)
    known.follow()
    assert known.of(4, 1) == {}  # it looks every five seconds
    clock.advance(5)
    known.follow()
    assert known.of(4, 1)
