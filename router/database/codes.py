"""The small integers under which the closed lists are stored.

A code is never reused or renumbered: the books of years ago are read with the same list.
"""

from collections.abc import Mapping

from router.errors import Cause
from router.types import Agreement, CallKind, CallStatus, Outcome, Precision, Reason, Signal, Tier

TIERS: Mapping[Tier, int] = {Tier.FAST: 1, Tier.REASONING: 2, Tier.PARALLEL: 3}
KINDS: Mapping[CallKind, int] = {CallKind.ANSWER: 1, CallKind.SAMPLE: 2, CallKind.JUDGE: 3, CallKind.SHADOW: 4}
STATUSES: Mapping[CallStatus, int] = {
    CallStatus.OK: 1,
    CallStatus.ERROR: 2,
    CallStatus.CANCELLED: 3,
    CallStatus.NOT_SENT: 4,
    CallStatus.UNKNOWN: 5,
}
PRECISIONS: Mapping[Precision, int] = {Precision.EXACT: 1, Precision.ESTIMATED: 2, Precision.UNKNOWN: 3}
OUTCOMES: Mapping[Outcome, int] = {Outcome.OK: 1, Outcome.ERROR: 2, Outcome.CANCELLED: 3, Outcome.UNKNOWN: 4}
SIGNALS: Mapping[Signal, int] = {Signal.REGENERATE: 1, Signal.PUSHBACK: 2, Signal.DEEPER: 3}
REASONS: Mapping[Reason, int] = {
    Reason.BELOW_THRESHOLD: 1,
    Reason.ABOVE_THRESHOLD: 2,
    Reason.SHARE_CAP: 3,
    Reason.BUDGET_SPENT: 4,
    Reason.OVERRIDE: 5,
    Reason.EFFORT: 6,
    Reason.CAPABILITY: 7,
    Reason.HOUSEKEEPING: 8,
    Reason.FOLLOW_UP: 9,
    Reason.PUSHBACK: 10,
    Reason.EXPLORED: 11,
    Reason.FALLBACK: 12,
    Reason.USER_ALLOWANCE: 13,
    Reason.TOO_COSTLY: 14,
}
EFFORTS: Mapping[str, int] = {
    "none": 1,
    "minimal": 2,
    "low": 3,
    "medium": 4,
    "high": 5,
    "xhigh": 6,
    "max": 7,
}
AGREEMENTS: Mapping[Agreement, int] = {Agreement.SAME: 1, Agreement.DIFFERS: 2, Agreement.UNCLEAR: 3}
CAUSES: Mapping[Cause, int] = {
    Cause.CREDENTIALS: 1,
    Cause.NO_CREDIT: 2,
    Cause.RATE_LIMITED: 3,
    Cause.OVERLOADED: 4,
    Cause.BAD_REQUEST: 5,
    Cause.NOT_FOUND: 6,
    Cause.CONTENT_FILTER: 7,
    Cause.CONTEXT_TOO_LONG: 8,
    Cause.UNREACHABLE: 9,
    Cause.TIMEOUT_CONNECT: 10,
    Cause.TIMEOUT_FIRST_BYTE: 11,
    Cause.TIMEOUT_IDLE: 12,
    Cause.TIMEOUT_TOTAL: 13,
    Cause.BROKEN_OFF: 14,
    Cause.NONSENSE: 15,
    Cause.BREAKER_OPEN: 16,
    Cause.UNKNOWN: 17,
}
