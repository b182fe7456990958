"""The entries that a request leaves in the spool, in the order in which they may appear.

`Opening` and `CallIntent` go in before a provider is called, `CallResult` when the call ended, `Closing` before the
final bytes go out. Writing the same entry twice changes nothing: the key is (request id, call number, type).
Times are microseconds since the epoch (UTC). No prompt text, no answer text, no topic.
"""

from typing import Any

import msgspec

from router.errors import Cause
from router.types import Agreement, CallKind, CallStatus, Outcome, Precision, Reason, Signal, Tier, Usage


class Opening(msgspec.Struct, frozen=True, tag="open", array_like=True):
    """A request was decided: what is known before any provider is called.

    `shadow_version` is a policy that decided beside the one in force and acted on nothing; it would have taken
    `shadow_tier`. `signal` is what the request says of an earlier answer: that of `previous_id`, where it is known.
    """

    request_id: str  # 32 hex digits, time-ordered (UUIDv7)
    opened_at: int
    key_id: int | None
    segment: str
    country: str
    requested_model: str
    first_tier: Tier
    reason: Reason
    score: float
    p_fast: float
    p_reasoning: float
    propensity: float
    policy_version: int
    classifier_version: str
    answer_type: str
    language: str | None
    turn: int
    streamed: bool
    ads_eligible: bool
    revenue_version: int | None
    expected_revenue_nanousd: int | None
    synthetic: bool = False
    shadow_version: int | None = None
    shadow_tier: Tier | None = None
    signal: Signal | None = None
    previous_id: str | None = None
    conversation_mark: int | None = None  # see `router.ledger.marks`
    user_mark: int | None = None
    expected_cost_nanousd: int | None = None  # see the columns of `requests`
    cost_factor: float | None = None
    cost_ratio: float | None = None
    effort: str | None = None  # that the first tier's model is asked for
    is_job: bool = False  # a background job, whose calls several workers may have made


class CallIntent(msgspec.Struct, frozen=True, tag="call", array_like=True):
    """A provider is about to be called. `hold_nanousd` bounds what it can cost; None when it has no price."""

    request_id: str
    call_no: int
    kind: CallKind
    tier: Tier
    provider_model: str
    price_id: int | None
    hold_nanousd: int | None
    started_at: int


class CallResult(msgspec.Struct, frozen=True, tag="result", array_like=True):
    """A call ended. `usage` None: nothing is known of it; `cost_nanousd` None: unpriced, never zero.

    `duration_ms` is None where a dead worker's call was settled for it.
    """

    request_id: str
    call_no: int
    status: CallStatus
    precision: Precision
    usage: Usage | None
    price_id: int | None
    cost_nanousd: int | None
    first_token_ms: int | None
    duration_ms: int | None
    raw_usage: dict[str, Any] | None = None
    service: str | None = None  # the provider's service tier (flex, priority, batch) when it is not the standard one
    cause: Cause | None = None  # why it failed
    http_status: int | None = None  # that the provider failed it with; 200 where the error came in an answer


class Closing(msgspec.Struct, frozen=True, tag="close", array_like=True):
    """The request ended; `answer_call_no` names the call whose answer the client got.

    `fell_back`: the model chosen could not answer and another stood in, which is the reason that counts then.
    """

    request_id: str
    closed_at: int
    final_tier: Tier
    outcome: Outcome
    answer_call_no: int | None
    first_byte_ms: int | None
    total_ms: int | None
    fell_back: bool = False


class KeptFeatures(msgspec.Struct, frozen=True, tag="row", array_like=True):
    """What the classifier read of the request, packed, to learn from later; written with the opening. No text."""

    request_id: str
    created_at: int
    format: int
    row: bytes


class DuelVerdict(msgspec.Struct, frozen=True, tag="duel", array_like=True):
    """What came of running another tier too: a late entry, after the closing. Grades are 0..1, None: not known."""

    request_id: str
    at: int
    answered_tier: Tier
    other_tier: Tier
    agreement: Agreement
    preferred: Tier | None  # by a judge that was of one mind in both orders
    grade_fast: float | None
    grade_reasoning: float | None
    cost_nanousd: int | None


def join_key(models: str, answer_type: str) -> str:
    """Write the models of a vote, joined by "+", and its answer type as one text."""
    return f"{models}|{answer_type}"


def split_key(key: str) -> tuple[str, str]:
    """Return the models and the answer type of such a text."""
    models, _, answer_type = key.rpartition("|")
    return models, answer_type


class VoteEnding(msgspec.Struct, frozen=True, tag="vote", array_like=True):
    """How a vote of the parallel tier ended, written with the closing: what a later label is evidence of. No text.

    Of the `samples` sent, `voters` voted and `unreadable` came without a vote; `leader` and `second` are the largest
    counts. `agrees` tells whether a stronger tier's answer is the leader's: None where none was asked, where it cannot
    be read, and where there is no leader. `confidence` is the P(right) that the client was told. `judge_accepts`: a
    judge on trial chose what the client got.
    """

    request_id: str
    models: str  # joined by "+", in order
    answer_type: str
    stop_reason: str
    samples: int
    voters: int
    unreadable: int
    leader: int
    second: int
    is_escalated: bool
    agrees: bool | None
    confidence: float
    p_sampled: float  # P(correct) of one sample and of the stronger tier, as they were estimated
    p_strong: float
    judge: str | None = None
    judge_accepts: bool | None = None

    @property
    def key(self) -> str:
        """The models and the answer type: what agreements are compared within."""
        return join_key(self.models, self.answer_type)

    @property
    def share(self) -> float:
        """The leader's share of the votes."""
        return self.leader / self.voters if self.voters else 0.0


Entry = Opening | CallIntent | CallResult | Closing | KeptFeatures | DuelVerdict | VoteEnding
