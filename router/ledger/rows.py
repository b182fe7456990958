"""The rows of the books as they are inserted: fields named and ordered as the columns."""

from collections.abc import Mapping

import msgspec

from router.database import codes
from router.ledger.entries import CallIntent, CallResult, Closing, Opening
from router.types import Outcome, Reason

LARGEST_INT4 = 2**31 - 1
LARGEST_INT2 = 2**15 - 1

Key = str | bytes  # a request id: hex digits for PostgreSQL, 16 bytes for SQLite


class RequestRow(msgspec.Struct):
    """A row of `requests`, fields named and ordered as its columns."""

    id: Key
    opened_at: int
    closed_at: int
    recorded_at: int
    expected_revenue_nanousd: int | None
    score: float
    p_fast: float
    p_reasoning: float
    propensity: float
    key_id: int | None
    policy_version: int
    revenue_version: int | None
    first_byte_ms: int | None
    total_ms: int | None
    first_tier: int
    final_tier: int
    reason: int
    outcome: int
    answer_call_no: int | None
    turn: int
    segment_id: int
    country_id: int
    requested_model_id: int
    classifier_id: int
    answer_type_id: int
    language_id: int | None
    streamed: bool
    ads_eligible: bool
    synthetic: bool
    shadow_version: int | None = None
    shadow_tier: int | None = None
    signal: int | None = None
    previous_id: Key | None = None
    conversation_mark: int | None = None
    user_mark: int | None = None
    expected_cost_nanousd: int | None = None
    cost_factor: float | None = None
    cost_ratio: float | None = None
    effort: int | None = None
    background: bool | None = None


class CallRow(msgspec.Struct):
    """A row of `calls`."""

    request_id: Key
    started_at: int
    recorded_at: int
    cost_nanousd: int | None
    hold_nanousd: int | None
    price_id: int | None
    input_fresh: int | None
    input_cached: int | None
    input_cache_write: int | None
    output_visible: int | None
    output_reasoning: int | None
    first_token_ms: int | None
    duration_ms: int | None
    call_no: int
    kind: int
    tier: int
    status: int
    precision: int
    provider_model_id: int
    service_id: int | None
    cause: int | None = None
    http_status: int | None = None


class RawUsageRow(msgspec.Struct):
    """A row of `raw_usage`."""

    request_id: Key
    call_no: int
    body: str


def _revenue_expectation(o: Opening, c: Closing) -> int | None:
    """Tell what a request is expected to earn: an ad needs an answer beside it."""
    was_shown = c.outcome is Outcome.OK or (c.outcome is Outcome.CANCELLED and c.first_byte_ms is not None)
    is_known = c.outcome is not Outcome.UNKNOWN
    return 0 if is_known and not was_shown and o.expected_revenue_nanousd is not None else o.expected_revenue_nanousd


def request_row(key: Key, o: Opening, c: Closing, recorded_at: int, label: Mapping[str, int]) -> RequestRow:
    """Lay out a settled request."""
    return RequestRow(
        id=key,
        opened_at=o.opened_at,
        closed_at=c.closed_at,
        recorded_at=recorded_at,
        expected_revenue_nanousd=_revenue_expectation(o, c),
        score=o.score,
        p_fast=o.p_fast,
        p_reasoning=o.p_reasoning,
        propensity=o.propensity,
        key_id=o.key_id,
        policy_version=o.policy_version,
        revenue_version=o.revenue_version,
        first_byte_ms=_int4(c.first_byte_ms),
        total_ms=_int4(c.total_ms),
        first_tier=codes.TIERS[o.first_tier],
        final_tier=codes.TIERS[c.final_tier],
        reason=codes.REASONS[Reason.FALLBACK if c.fell_back else o.reason],
        outcome=codes.OUTCOMES[c.outcome],
        answer_call_no=c.answer_call_no,
        turn=min(o.turn, LARGEST_INT2),
        segment_id=label[o.segment],
        country_id=label[o.country],
        requested_model_id=label[o.requested_model],
        classifier_id=label[o.classifier_version],
        answer_type_id=label[o.answer_type],
        language_id=None if o.language is None else label[o.language],
        streamed=o.streamed,
        ads_eligible=o.ads_eligible,
        synthetic=o.synthetic,
        shadow_version=o.shadow_version,
        shadow_tier=None if o.shadow_tier is None else codes.TIERS[o.shadow_tier],
        signal=None if o.signal is None else codes.SIGNALS[o.signal],
        previous_id=_like(key, o.previous_id),
        conversation_mark=o.conversation_mark,
        user_mark=o.user_mark,
        expected_cost_nanousd=o.expected_cost_nanousd,
        cost_factor=o.cost_factor,
        cost_ratio=o.cost_ratio,
        effort=None if o.effort is None else codes.EFFORTS[o.effort],
        background=o.is_job,
    )


def call_row(key: Key, i: CallIntent, r: CallResult, recorded_at: int, label: Mapping[str, int]) -> CallRow:
    """Lay out a settled call."""
    usage = r.usage
    return CallRow(
        request_id=key,
        started_at=i.started_at,
        recorded_at=recorded_at,
        cost_nanousd=r.cost_nanousd,
        hold_nanousd=i.hold_nanousd,
        price_id=r.price_id,
        input_fresh=usage.input_fresh if usage else None,
        input_cached=usage.input_cached if usage else None,
        input_cache_write=usage.input_cache_write if usage else None,
        output_visible=usage.output_visible if usage else None,
        output_reasoning=usage.output_reasoning if usage else None,
        first_token_ms=_int4(r.first_token_ms),
        duration_ms=_int4(r.duration_ms),
        call_no=i.call_no,
        kind=codes.KINDS[i.kind],
        tier=codes.TIERS[i.tier],
        status=codes.STATUSES[r.status],
        precision=codes.PRECISIONS[r.precision],
        provider_model_id=label[i.provider_model],
        service_id=None if r.service is None else label[r.service],
        cause=None if r.cause is None else codes.CAUSES[r.cause],
        http_status=r.http_status,
    )


def _like(key: Key, request_id: str | None) -> Key | None:
    """Write another request's id in the form that this database takes."""
    return bytes.fromhex(request_id) if request_id is not None and isinstance(key, bytes) else request_id


def _int4(value: int | None) -> int | None:
    return value if value is None or value <= LARGEST_INT4 else LARGEST_INT4
