"""Entries, books and clocks for tests of the ledger."""

import os
from collections.abc import Sequence
from typing import Any

import msgspec

from router.clock import request_id
from router.ledger.entries import CallIntent, CallResult, Closing, Entry, Opening
from router.ledger.spool import Spool
from router.types import CallKind, CallStatus, Outcome, Precision, Reason, Tier, Usage

NOON = 1_800_000_000_000_000
MODEL = "scripted/steady"
USAGE = Usage(input_fresh=800, input_cached=700, output_visible=350)


class FakeClock:
    """A clock that stands still until told otherwise."""

    def __init__(self, now_us: int = NOON) -> None:
        self.now = now_us

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return self.now

    def ticks_ms(self) -> float:
        """Monotonic milliseconds."""
        return self.now / 1000

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * 1e6)


def an_id(at_us: int = NOON) -> str:
    return request_id(at_us)


def an_opening(request_id: str, **changes: Any) -> Opening:
    opening = Opening(
        request_id=request_id,
        opened_at=NOON,
        key_id=None,
        segment="default",
        country="ZZ",
        requested_model="auto",
        first_tier=Tier.FAST,
        reason=Reason.BELOW_THRESHOLD,
        score=0.1,
        p_fast=0.8,
        p_reasoning=0.9,
        propensity=1.0,
        policy_version=1,
        classifier_version="test",
        answer_type="open",
        language="en",
        turn=1,
        streamed=False,
        ads_eligible=True,
        revenue_version=1,
        expected_revenue_nanousd=1_450_000,
    )
    return msgspec.structs.replace(opening, **changes)


def an_intent(request_id: str, call_no: int = 0, **changes: Any) -> CallIntent:
    intent = CallIntent(
        request_id=request_id,
        call_no=call_no,
        kind=CallKind.ANSWER,
        tier=Tier.FAST,
        provider_model=MODEL,
        price_id=None,
        hold_nanousd=1_000_000,
        started_at=NOON,
    )
    return msgspec.structs.replace(intent, **changes)


def a_result(request_id: str, call_no: int = 0, **changes: Any) -> CallResult:
    result = CallResult(
        request_id=request_id,
        call_no=call_no,
        status=CallStatus.OK,
        precision=Precision.EXACT,
        usage=USAGE,
        price_id=None,
        cost_nanousd=None,
        first_token_ms=300,
        duration_ms=1200,
    )
    return msgspec.structs.replace(result, **changes)


def a_closing(request_id: str, **changes: Any) -> Closing:
    closing = Closing(
        request_id=request_id,
        closed_at=NOON + 1_200_000,
        final_tier=Tier.FAST,
        outcome=Outcome.OK,
        answer_call_no=0,
        first_byte_ms=300,
        total_ms=1200,
    )
    return msgspec.structs.replace(closing, **changes)


def a_request(request_id: str, **changes: Any) -> list[Sequence[Entry]]:
    """The writes of a request with one call."""
    return [
        [an_opening(request_id), an_intent(request_id)],
        [a_result(request_id, **changes), a_closing(request_id)],
    ]


def spool_requests(spool: Spool, count: int, **changes: Any) -> list[str]:
    """Write whole requests; returns their ids."""
    ids = [an_id() for _ in range(count)]
    for id in ids:
        for entries in a_request(id, **changes):
            spool.write(entries)
    return ids


def abandon(spool: Spool) -> None:
    """Do to a spool what the death of its worker does."""
    spool._writer.close()
    spool._reader.close()
    spool._is_closed = True
    os.close(spool._lock_file)
