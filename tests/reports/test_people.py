"""What conversations and persons cost, and never who they are."""

from datetime import UTC
from pathlib import Path

from sqlalchemy import Engine

from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.reports.people import people
from router.reports.reading import reading
from router.reports.window import Window
from tests.ledger.builders import NOON, FakeClock, a_closing, a_result, an_id, an_intent, an_opening

EVER = Window(None, None, UTC)


def book(spool: Spool, cost: int | None, conversation: int | None, user: int | None, calls: int = 1) -> None:
    request_id = an_id(NOON)
    entries = [an_opening(request_id, conversation_mark=conversation, user_mark=user)]
    entries += [an_intent(request_id, n) for n in range(calls)]  # type: ignore[misc]
    entries += [a_result(request_id, n, cost_nanousd=cost) for n in range(calls)]  # type: ignore[misc]
    spool.write([*entries, a_closing(request_id, answer_call_no=0)])


def test_costs_are_summed_up_by_mark(engine: Engine, tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool")
    for cost, conversation, user in ((100, 1, 9), (300, 1, 9), (1_000, 2, 9), (None, 3, None), (50, None, None)):
        book(spool, cost, conversation, user)
    book(spool, 10, 2, 8, calls=3)
    assert Shipper(spool, engine, clock=FakeClock()).turn()
    with reading(engine, EVER) as books:
        found = people(books)
    conversations, persons = found.conversations, found.persons
    assert (conversations.groups, conversations.requests, conversations.unpriced) == (3, 5, 1)
    assert (conversations.mean_usd, conversations.median_usd) == ("0.000000715", "0.000000715")
    assert (persons.groups, persons.requests, persons.mean_usd) == (2, 4, "0.000000715")
    spool.close()


def test_without_marks_there_is_nothing(engine: Engine) -> None:
    with reading(engine, EVER) as books:
        found = people(books)
    assert (found.conversations.groups, found.persons.mean_usd) == (0, None)
