"""The small vocabulary of the house: tiers, reasons, usage, the decision.

A leaf: anything may import it, it imports nothing of ours. The closed lists are part of the outside contract.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal, Self

import msgspec

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US  # a day of the books is one of UTC; days of other zones are the business of reports
DAY_MS = DAY_US // 1_000
HOURS_A_WEEK = 7 * 24

REQUEST_ID = re.compile(r"[0-9a-f]{32}")
SEGMENT_NAME = re.compile(r"[a-z0-9_-]{1,64}")  # of surfaces too
DEFAULT_SEGMENT = "default"  # of keys that have none of their own
UNKNOWN_COUNTRY = "ZZ"  # a code that ISO 3166 leaves to its users
CONFIG_AUTHOR = "config"  # who wrote the versions that come from the configuration file

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How long a model is asked to think, from least to most."""


class Tier(StrEnum):
    """How much thinking is bought."""

    FAST = "fast"
    REASONING = "reasoning"
    PARALLEL = "parallel"


# The tiers by names of their own: what each request asks for many times is slow to find as a member of its enum.
FAST: Final = Tier.FAST
REASONING: Final = Tier.REASONING
PARALLEL: Final = Tier.PARALLEL


class Reason(StrEnum):
    """Why a query went where it went; an operator reads this in a report."""

    BELOW_THRESHOLD = "below_threshold"
    ABOVE_THRESHOLD = "above_threshold"
    SHARE_CAP = "share_cap"
    TOO_COSTLY = "too_costly"
    BUDGET_SPENT = "budget_spent"
    USER_ALLOWANCE = "user_allowance"
    OVERRIDE = "override"
    EFFORT = "effort"
    CAPABILITY = "capability"
    HOUSEKEEPING = "housekeeping"
    FOLLOW_UP = "follow_up"
    PUSHBACK = "pushback"
    EXPLORED = "explored"
    FALLBACK = "fallback"


class RelayedCall(StrEnum):
    """What is passed through to a provider as it is, by the last part of its address."""

    EMBEDDINGS = "embeddings"
    COMPLETIONS = "completions"


class CallKind(StrEnum):
    """What a paid call was for."""

    ANSWER = "answer"
    SAMPLE = "sample"
    JUDGE = "judge"
    SHADOW = "shadow"


class CallStatus(StrEnum):
    """How a call ended: `not_sent` never reached a provider, `unknown` may have."""

    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


FAILED_CALLS = (CallStatus.ERROR, CallStatus.UNKNOWN)


class Precision(StrEnum):
    """How an amount is known: provider usage, our own count, or only the hold as an upper bound."""

    EXACT = "exact"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """How a whole request ended."""

    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Agreement(StrEnum):
    """How the answers of two tiers to one query stand to each other."""

    SAME = "same"
    DIFFERS = "differs"
    UNCLEAR = "unclear"


class Signal(StrEnum):
    """What a request says, by the way, of the answer before it; each is a weak sign that it did not satisfy."""

    REGENERATE = "regenerate"  # the same messages came again
    PUSHBACK = "pushback"  # the conversation went on with an objection
    DEEPER = "deeper"  # the client named a deeper tier than the one that answered


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one call in disjoint buckets: every token is in exactly one of them."""

    input_fresh: int = 0
    input_cached: int = 0
    input_cache_write: int = 0
    output_visible: int = 0
    output_reasoning: int = 0

    @property
    def input_tokens(self) -> int:
        """All input tokens, cached ones included (OpenAI's prompt_tokens)."""
        return self.input_fresh + self.input_cached + self.input_cache_write

    @property
    def output_tokens(self) -> int:
        """All output tokens, thinking included (OpenAI's completion_tokens)."""
        return self.output_visible + self.output_reasoning

    def __add__(self, other: Self) -> "Usage":
        return Usage(
            self.input_fresh + other.input_fresh,
            self.input_cached + other.input_cached,
            self.input_cache_write + other.input_cache_write,
            self.output_visible + other.output_visible,
            self.output_reasoning + other.output_reasoning,
        )


class Decision(msgspec.Struct, frozen=True):
    """Where a query goes, and why.

    `propensity` is the probability with which this tier was chosen (1.0 unless exploring); `threshold` the
    effective cut that was compared with `worth`, None where no comparison decided; `effort` a client's wish. `worth` is
    the score at what the query costs, `cost_ratio` how many times the usual that is (`router.decision.worth`).
    """

    tier: Tier
    reason: Reason
    score: float
    threshold: float | None
    policy_version: int
    propensity: float = 1.0
    effort: str | None = None
    worth: float = 0.0
    cost_ratio: float = 1.0


Json = Mapping[str, object]
UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)  # what decoding JSON raises


class AcrossWorkers(StrEnum):
    """What becomes of a figure that each of several workers has."""

    OWN = "own"  # all know the same, by the database or the machine: that of the worker that is asked
    COUNT = "count"  # the sum, with what workers counted that are gone
    SUM = "sum"  # the sum of those that live
    MEAN = "mean"
    LEAST = "least"
    MOST = "most"


class TargetsOf(StrEnum):
    """Which requests a target speaks of: all of them, as Overview counts them, or those that a score decided."""

    ALL = "all"
    DECIDED = "decided"
