"""The schema of the books: one for SQLite and PostgreSQL, narrow rows, no prompt text, no provider's id as a key.

`requests` and `calls` are only ever inserted, when settled; a correction is a row in `adjustments`. Columns stand in
the order that wastes no padding. Closed lists are stored as codes, recurring texts as labels: the views `request_lines`
and `call_lines` show both with readable names. Times are microseconds since the epoch (UTC), amounts nano-dollars.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Dialect,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import REAL, TypeDecorator, TypeEngine

from router.database import codes
from router.errors import Cause
from router.types import CallKind, CallStatus, Outcome, Precision, Reason, Signal, Tier


class RequestId(TypeDecorator[str]):
    """Our request id, 32 hex digits in Python: a native uuid on PostgreSQL, 16 bytes on SQLite."""

    impl = LargeBinary(16)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the compact type of each database."""
        return dialect.type_descriptor(Uuid(as_uuid=False) if dialect.name == "postgresql" else LargeBinary(16))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """Store the hex digits compactly."""
        return value if value is None or dialect.name == "postgresql" else bytes.fromhex(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Read back 32 hex digits."""
        if value is None:
            return None
        return value.hex() if isinstance(value, bytes) else str(value).replace("-", "")


class Coded(TypeDecorator[StrEnum]):
    """A member of a closed list, stored as its code."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, codes_of: Any) -> None:
        super().__init__()
        self.members = tuple(codes_of.items())
        self._codes = dict(self.members)
        self._by_code = {code: member for member, code in self.members}

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> int | None:
        """Store the code; a plain string of the list will do."""
        return None if value is None else self._codes[value]

    def process_result_value(self, value: int | None, dialect: Dialect) -> StrEnum | None:
        """Read back the member."""
        return None if value is None else self._by_code[value]


NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SERIAL = Integer
BIG_SERIAL = BigInteger().with_variant(Integer(), "sqlite")
SMALL_SERIAL = SmallInteger().with_variant(Integer(), "sqlite")
CLUSTERED = {"sqlite_with_rowid": False}


class Base(DeclarativeBase):
    """All tables of the house."""

    metadata = MetaData(naming_convention=NAMING)


class LabelText(Base):
    """A recurring text (segment, model, country, language, version), stored once."""

    __tablename__ = "labels"

    id: Mapped[int] = mapped_column(SMALL_SERIAL, primary_key=True)
    text: Mapped[str] = mapped_column(Text, unique=True)


class Request(Base):
    """One settled request. The id is a UUIDv7, so a range of ids is a range of time and needs no index of its own."""

    __tablename__ = "requests"
    __table_args__ = CLUSTERED

    id: Mapped[str] = mapped_column(RequestId, primary_key=True)
    opened_at: Mapped[int] = mapped_column(BigInteger)
    closed_at: Mapped[int] = mapped_column(BigInteger)
    recorded_at: Mapped[int] = mapped_column(BigInteger)
    expected_revenue_nanousd: Mapped[int | None] = mapped_column(BigInteger)
    score: Mapped[float] = mapped_column(REAL)
    p_fast: Mapped[float] = mapped_column(REAL)
    p_reasoning: Mapped[float] = mapped_column(REAL)
    propensity: Mapped[float] = mapped_column(REAL)
    key_id: Mapped[int | None] = mapped_column(Integer)
    policy_version: Mapped[int] = mapped_column(Integer)
    revenue_version: Mapped[int | None] = mapped_column(Integer)
    first_byte_ms: Mapped[int | None] = mapped_column(Integer)
    total_ms: Mapped[int | None] = mapped_column(Integer)
    first_tier: Mapped[Tier] = mapped_column(Coded(codes.TIERS))
    final_tier: Mapped[Tier] = mapped_column(Coded(codes.TIERS))
    reason: Mapped[Reason] = mapped_column(Coded(codes.REASONS))
    outcome: Mapped[Outcome] = mapped_column(Coded(codes.OUTCOMES))
    answer_call_no: Mapped[int | None] = mapped_column(SmallInteger)
    turn: Mapped[int] = mapped_column(SmallInteger)
    segment_id: Mapped[int] = mapped_column(SmallInteger)
    country_id: Mapped[int] = mapped_column(SmallInteger)
    requested_model_id: Mapped[int] = mapped_column(SmallInteger)
    classifier_id: Mapped[int] = mapped_column(SmallInteger)
    answer_type_id: Mapped[int] = mapped_column(SmallInteger)
    language_id: Mapped[int | None] = mapped_column(SmallInteger)
    streamed: Mapped[bool] = mapped_column(Boolean)
    ads_eligible: Mapped[bool] = mapped_column(Boolean)
    synthetic: Mapped[bool] = mapped_column(Boolean)
    shadow_version: Mapped[int | None] = mapped_column(Integer)
    shadow_tier: Mapped[Tier | None] = mapped_column(Coded(codes.TIERS))
    signal: Mapped[Signal | None] = mapped_column(Coded(codes.SIGNALS))
    previous_id: Mapped[str | None] = mapped_column(RequestId)
    conversation_mark: Mapped[int | None] = mapped_column(BigInteger)  # see `router.ledger.marks`
    user_mark: Mapped[int | None] = mapped_column(BigInteger)
    expected_cost_nanousd: Mapped[int | None] = mapped_column(BigInteger)  # of the first tier, see `decision.forecast`
    cost_factor: Mapped[float | None] = mapped_column(REAL)  # that the expected cost was multiplied by
    cost_ratio: Mapped[float | None] = mapped_column(REAL)  # how many times the usual its thinking costs
    effort: Mapped[str | None] = mapped_column(Coded(codes.EFFORTS))  # asked of the first tier's model
    background: Mapped[bool | None] = mapped_column(Boolean)  # answered by a job, for which nobody held a connection


class Call(Base):
    """One paid thing: an answer, a sample, a judge, a shadow; losers and failures too. NULL cost is unpriced."""

    __tablename__ = "calls"
    __table_args__ = CLUSTERED

    request_id: Mapped[str] = mapped_column(RequestId, primary_key=True)
    started_at: Mapped[int] = mapped_column(BigInteger)
    recorded_at: Mapped[int] = mapped_column(BigInteger)
    cost_nanousd: Mapped[int | None] = mapped_column(BigInteger)
    hold_nanousd: Mapped[int | None] = mapped_column(BigInteger)
    price_id: Mapped[int | None] = mapped_column(Integer)
    input_fresh: Mapped[int | None] = mapped_column(Integer)
    input_cached: Mapped[int | None] = mapped_column(Integer)
    input_cache_write: Mapped[int | None] = mapped_column(Integer)
    output_visible: Mapped[int | None] = mapped_column(Integer)
    output_reasoning: Mapped[int | None] = mapped_column(Integer)
    first_token_ms: Mapped[int | None] = mapped_column(Integer)
    duration_ms: Mapped[int | None] = mapped_column(Integer)
    call_no: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    kind: Mapped[CallKind] = mapped_column(Coded(codes.KINDS))
    tier: Mapped[Tier] = mapped_column(Coded(codes.TIERS))
    status: Mapped[CallStatus] = mapped_column(Coded(codes.STATUSES))
    precision: Mapped[Precision] = mapped_column(Coded(codes.PRECISIONS))
    provider_model_id: Mapped[int] = mapped_column(SmallInteger)
    service_id: Mapped[int | None] = mapped_column(SmallInteger)
    cause: Mapped[Cause | None] = mapped_column(Coded(codes.CAUSES))  # why it failed
    http_status: Mapped[int | None] = mapped_column(SmallInteger)  # that its provider failed it with


class RawUsage(Base):
    """A provider's own usage JSON, kept 30 days: evidence, not books."""

    __tablename__ = "raw_usage"
    __table_args__ = CLUSTERED

    request_id: Mapped[str] = mapped_column(RequestId, primary_key=True)
    call_no: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    body: Mapped[str] = mapped_column(Text)


class Adjustment(Base):
    """A correction: lines are never changed, a run adds the difference. Costs are calls plus adjustments."""

    __tablename__ = "adjustments"

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))  # reversal, rerated, reconciled
    request_id: Mapped[str | None] = mapped_column(RequestId, index=True)
    call_no: Mapped[int | None] = mapped_column(SmallInteger)
    day: Mapped[str | None] = mapped_column(String(10))  # UTC, of what is corrected
    provider_model: Mapped[str | None] = mapped_column(Text)
    price_id: Mapped[int | None] = mapped_column(Integer)
    amount_nanousd: Mapped[int] = mapped_column(BigInteger)
    effective_at: Mapped[int] = mapped_column(BigInteger)


class Run(Base):
    """One act of correction (re-rating, reconciliation): who, when, why."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))  # rerate, reconcile
    created_at: Mapped[int] = mapped_column(BigInteger)
    author: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)


class PriceRow(Base):
    """A price of one model in an effective range; ranges of a model do not overlap."""

    __tablename__ = "prices"
    __table_args__ = (UniqueConstraint("model", "effective_from"),)

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    model: Mapped[str] = mapped_column(Text)
    effective_from: Mapped[int] = mapped_column(BigInteger)
    effective_to: Mapped[int | None] = mapped_column(BigInteger)
    source: Mapped[str] = mapped_column(String(16))  # config, map, builtin
    provenance: Mapped[str] = mapped_column(Text)
    rates: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    per_call_nanousd: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[int] = mapped_column(BigInteger)


class RevenueVersion(Base):
    """A dated set of revenue assumptions."""

    __tablename__ = "revenue_versions"

    version: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    created_at: Mapped[int] = mapped_column(BigInteger)
    author: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)


class RevenueEvent(Base):
    """Revenue that a network reported; (source, event_id) is the sender's idempotency key."""

    __tablename__ = "revenue_events"
    __table_args__ = (UniqueConstraint("source", "event_id"),)

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    event_id: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(RequestId, index=True)
    segment: Mapped[str | None] = mapped_column(Text)
    country: Mapped[str | None] = mapped_column(String(2))
    day: Mapped[str | None] = mapped_column(String(10), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    amount_nanousd: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[int] = mapped_column(BigInteger, index=True)
    synthetic: Mapped[bool] = mapped_column(
        Boolean, server_default=false(), default=False
    )  # belongs to made-up traffic


class PolicyVersion(Base):
    """A version of the routing policy: who, when, why."""

    __tablename__ = "policy_versions"

    version: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    parent: Mapped[int | None] = mapped_column(Integer)
    author: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    validated_at: Mapped[int | None] = mapped_column(BigInteger)
    wiring: Mapped[str | None] = mapped_column(String(32))  # fingerprint of the configuration it was validated against


class PolicyEvent(Base):
    """One act on policy versions (see `router.policies.versions`); `previous` was in force until then, or beside it."""

    __tablename__ = "policy_events"

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    act: Mapped[str] = mapped_column(String(32))
    version: Mapped[int] = mapped_column(ForeignKey("policy_versions.version"))
    previous: Mapped[int | None] = mapped_column(ForeignKey("policy_versions.version"))
    author: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)


class ApiKey(Base):
    """An API key; only its hash is stored."""

    __tablename__ = "keys"

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    prefix: Mapped[str] = mapped_column(String(16))
    segment: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    allowed_tiers: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[int] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)
    max_cost_nanousd: Mapped[int | None] = mapped_column(BigInteger)  # of one request
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    allowed_models: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))  # NULL: all
    limits: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # its own; see `router.keys`


class OldKeySecret(Base):
    """The hash of a secret that was replaced, and until when it still opens its key."""

    __tablename__ = "old_key_secrets"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[int] = mapped_column(ForeignKey("keys.id", ondelete="CASCADE"), index=True)
    prefix: Mapped[str] = mapped_column(String(16))
    valid_until: Mapped[int] = mapped_column(BigInteger)


class PersonDay(Base):
    """What deep answers have taken of an end user's allowance on a day (UTC), over all workers and replicas."""

    __tablename__ = "person_days"
    __table_args__ = CLUSTERED

    day: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)  # since the epoch
    user_mark: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    deep: Mapped[int] = mapped_column(Integer)
    taken_nanousd: Mapped[int] = mapped_column(BigInteger)


class MarkSalt(Base):
    """The key of a month's marks, the same for all workers and replicas; without it they belong to nobody."""

    __tablename__ = "mark_salts"

    month: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)  # since the year 0, UTC
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[int] = mapped_column(BigInteger)


class Feedback(Base):
    """What a user thought of an answer."""

    __tablename__ = "feedback"

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    request_id: Mapped[str] = mapped_column(RequestId, index=True)
    key_id: Mapped[int | None] = mapped_column(Integer)
    rating: Mapped[int | None] = mapped_column(SmallInteger)
    score: Mapped[float | None] = mapped_column(REAL)
    note: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)


class StoredResponseRow(Base):
    """A response a client asked to keep, with its retention; like `ReplayRow` it may hold text of conversations."""

    __tablename__ = "stored_responses"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class RollupMark(Base):
    """Lines arrived here that the rollups do not hold yet: written by triggers, in the same transaction as the lines.

    One of: `granule` (the first 32 bits of request ids, 65.536 seconds), a UTC `day`, or a `quarter` of an hour.
    """

    __tablename__ = "rollup_marks"

    id: Mapped[int] = mapped_column(BIG_SERIAL, primary_key=True)
    granule: Mapped[str | None] = mapped_column(String(8), index=True)
    day: Mapped[str | None] = mapped_column(String(10))
    quarter: Mapped[int | None] = mapped_column(Integer)


class Rollup(Base):
    """The facts of one cell in one stretch of UTC time; see `router.ledger.cells`. -1 is a key without a value."""

    __tablename__ = "rollups"
    __table_args__ = CLUSTERED

    grouping_id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    grain: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    start: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    key1: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    key2: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    made_up: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)  # 1: of made-up requests
    requests: Mapped[int] = mapped_column(BigInteger)
    deep: Mapped[int] = mapped_column(BigInteger)
    expected_nanousd: Mapped[int] = mapped_column(BigInteger)
    expected_known: Mapped[int] = mapped_column(BigInteger)
    booked_nanousd: Mapped[int] = mapped_column(BigInteger)
    booked_requests: Mapped[int] = mapped_column(BigInteger)
    replaced_nanousd: Mapped[int] = mapped_column(BigInteger)
    aborted: Mapped[int] = mapped_column(BigInteger)
    incomplete: Mapped[int] = mapped_column(BigInteger)
    calls: Mapped[int] = mapped_column(BigInteger)
    priced: Mapped[int] = mapped_column(BigInteger)
    cost_nanousd: Mapped[int] = mapped_column(BigInteger)
    estimated: Mapped[int] = mapped_column(BigInteger)
    unknown: Mapped[int] = mapped_column(BigInteger)
    input_fresh: Mapped[int] = mapped_column(BigInteger)
    input_cached: Mapped[int] = mapped_column(BigInteger)
    input_cache_write: Mapped[int] = mapped_column(BigInteger)
    output_visible: Mapped[int] = mapped_column(BigInteger)
    output_reasoning: Mapped[int] = mapped_column(BigInteger)
    largest_nanousd: Mapped[int] = mapped_column(BigInteger)


class RollupCosts(Base):
    """How many requests of a tier cost how much: a histogram with sixteen steps per doubling, which merges."""

    __tablename__ = "rollup_costs"
    __table_args__ = CLUSTERED

    grain: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    start: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    tier: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    made_up: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    requests: Mapped[int] = mapped_column(BigInteger)


class BudgetRow(Base):
    """A budget: what may be spent in each period by a key, a segment, a tier, or in total."""

    __tablename__ = "budgets"
    __table_args__ = (UniqueConstraint("scope", "subject", "period"),)

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    scope: Mapped[str] = mapped_column(String(16))  # total, key, segment, tier
    subject: Mapped[str] = mapped_column(Text)  # the key's id, the segment, the tier; empty in total
    period: Mapped[str] = mapped_column(String(16))  # hour, day, month (UTC)
    limit_nanousd: Mapped[int] = mapped_column(BigInteger)
    author: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(8), server_default="hard")  # hard, soft


class BudgetPeriod(Base):
    """What of a budget is booked in a period, and what is leased to workers: together never over the limit."""

    __tablename__ = "budget_periods"

    budget_id: Mapped[int] = mapped_column(ForeignKey("budgets.id", ondelete="CASCADE"), primary_key=True)
    start_us: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    settled_nanousd: Mapped[int] = mapped_column(BigInteger)
    leased_nanousd: Mapped[int] = mapped_column(BigInteger)


class BudgetLease(Base):
    """A worker's lease of a period: what it has neither booked nor given back; `owner` is the name of its spool."""

    __tablename__ = "budget_leases"

    budget_id: Mapped[int] = mapped_column(ForeignKey("budgets.id", ondelete="CASCADE"), primary_key=True)
    start_us: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    owner: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    left_nanousd: Mapped[int] = mapped_column(BigInteger)
    renewed_at: Mapped[int] = mapped_column(BigInteger)
