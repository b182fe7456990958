"""Folding, purely: the first word on anything stands, and what nobody ends keeps its hold."""

from router.ledger.entries import Entry
from router.ledger.folding import RequestRecord, settlement
from router.types import CallKind, CallStatus, Outcome, Precision, Tier
from tests.ledger.builders import NOON, a_closing, a_result, an_intent, an_opening

ID = "0" * 32


def a_dossier(*entries: Entry) -> RequestRecord:
    record = RequestRecord(ID)
    for entry in entries:
        record.add(entry)
    return record


def test_the_first_result_stands() -> None:
    record = a_dossier(an_intent(ID), a_result(ID, cost_nanousd=1), a_result(ID, cost_nanousd=2))
    assert [result.cost_nanousd for _, result in record.calls_with_results()] == [1]


def test_the_first_hold_and_the_first_closing_stand() -> None:
    record = a_dossier(
        an_opening(ID),
        an_intent(ID, hold_nanousd=1),
        an_intent(ID, hold_nanousd=2),
        a_closing(ID, outcome=Outcome.OK),
        a_closing(ID, outcome=Outcome.ERROR),
    )
    assert record.intents[0].hold_nanousd == 1
    assert record.closing is not None
    assert record.closing.outcome is Outcome.OK


def test_a_result_nobody_announced_is_a_stray() -> None:
    record = a_dossier(an_opening(ID), a_result(ID))
    assert (record.calls_with_results(), record.strays) == ([], 1)


def test_a_request_is_settled_when_it_and_its_calls_ended() -> None:
    record = a_dossier(an_opening(ID), an_intent(ID), an_intent(ID, 1), a_result(ID), a_closing(ID))
    assert (record.is_closed, record.is_settled) == (True, False)
    record.add(a_result(ID, 1))
    assert record.is_settled


def test_what_is_open_is_settled_as_unknown_with_its_hold() -> None:
    record = a_dossier(
        an_opening(ID), an_intent(ID, hold_nanousd=7, price_id=3), an_intent(ID, 1, tier=Tier.REASONING), a_result(ID)
    )
    result, closing = settlement(record, NOON)
    assert result == a_result(
        ID,
        1,
        status=CallStatus.UNKNOWN,
        precision=Precision.UNKNOWN,
        usage=None,
        cost_nanousd=1_000_000,
        first_token_ms=None,
        duration_ms=None,
    )
    assert closing == a_closing(
        ID,
        closed_at=NOON,
        final_tier=Tier.REASONING,
        outcome=Outcome.UNKNOWN,
        answer_call_no=None,
        first_byte_ms=None,
        total_ms=None,
    )


def test_an_unpriced_call_stays_unpriced_when_it_is_lost() -> None:
    (result, _) = settlement(a_dossier(an_opening(ID), an_intent(ID, hold_nanousd=None)), NOON)
    assert getattr(result, "cost_nanousd", 0) is None


def test_a_late_part_settles_only_its_calls() -> None:
    record = a_dossier(an_intent(ID, 5, kind=CallKind.SHADOW))
    assert [type(entry).__name__ for entry in settlement(record, NOON)] == ["CallResult"]


def test_what_is_settled_needs_nothing() -> None:
    assert settlement(a_dossier(an_opening(ID), an_intent(ID), a_result(ID), a_closing(ID)), NOON) == []
