"""Lines are read as columns by name: the order in which a statement names them changes nothing."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from router.database.engine import writing
from router.ledger import lines
from router.ledger.attribution import RevenueAttribution
from router.ledger.cells import CALL_FACTS, REQUEST_KEYS
from router.ledger.rows import CallRow, RequestRow
from router.ledger.store import insert_new
from tests.builders.databases import open_books

NOON_MS = 1_780_000_000_000
ID = bytes.fromhex(f"{NOON_MS:012x}7{0:019x}")
# A number of its own in every column that is a key.
KEYS = {
    "tier": 2,
    "first_tier": 1,
    "reason": 4,
    "outcome": 3,
    "segment": 21,
    "country": 22,
    "language": 23,
    "answer_type": 24,
    "policy": 25,
    "turn": 26,
    "key": 27,
    "effort": 3,
    "background": 0,
    "made_up": 1,
}
TOKENS = {
    "input_fresh": 101,
    "input_cached": 102,
    "input_cache_write": 103,
    "output_visible": 104,
    "output_reasoning": 105,
}


@pytest.fixture
def page(tmp_path: Path) -> lines.Lines:
    engine = open_books(f"sqlite:///{tmp_path}/books.db")
    try:
        return _page_of(engine)
    finally:
        engine.dispose()


def _page_of(engine: Engine) -> lines.Lines:
    """Book one request with one call, and read them."""
    request = RequestRow(
        id=ID,
        opened_at=0,
        closed_at=0,
        recorded_at=0,
        expected_revenue_nanousd=31,
        score=0.0,
        p_fast=0.0,
        p_reasoning=0.0,
        propensity=1.0,
        key_id=KEYS["key"],
        policy_version=KEYS["policy"],
        revenue_version=None,
        first_byte_ms=None,
        total_ms=None,
        first_tier=KEYS["first_tier"],
        final_tier=KEYS["tier"],
        reason=KEYS["reason"],
        outcome=KEYS["outcome"],
        answer_call_no=0,
        turn=KEYS["turn"],
        segment_id=KEYS["segment"],
        country_id=KEYS["country"],
        requested_model_id=1,
        classifier_id=1,
        answer_type_id=KEYS["answer_type"],
        language_id=KEYS["language"],
        streamed=False,
        ads_eligible=False,
        synthetic=True,
        effort=KEYS["effort"],
        background=bool(KEYS["background"]),
    )
    call = CallRow(
        request_id=ID,
        started_at=0,
        recorded_at=0,
        cost_nanousd=41,
        hold_nanousd=None,
        price_id=None,
        first_token_ms=None,
        duration_ms=None,
        call_no=0,
        kind=1,
        tier=1,
        status=1,
        precision=2,
        provider_model_id=51,
        service_id=None,
        **TOKENS,
    )
    with writing(engine) as connection:
        insert_new(connection, [request])
        insert_new(connection, [call])
    with engine.connect() as connection:
        [page] = lines.read(connection, NOON_MS, NOON_MS + 1, RevenueAttribution())
    return page


def test_every_key_is_read_from_its_own_column(page: lines.Lines) -> None:
    assert {name: column.tolist() for name, column in page.keys.items()} == {n: [value] for n, value in KEYS.items()}
    assert tuple(KEYS) == REQUEST_KEYS


def test_every_fact_of_a_call_is_read_from_its_own_column(page: lines.Lines) -> None:
    facts = dict(zip(CALL_FACTS, page.call_facts[0].tolist(), strict=True))
    assert facts == {"calls": 1, "priced": 1, "cost_nanousd": 41, "estimated": 1, "unknown": 0, **TOKENS}
    assert (page.answer_model.tolist(), page.cost.tolist()) == ([51], [41])
