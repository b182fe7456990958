"""Reads recent requests: why each went where it went, what it cost, and what the other tiers cost on average.

Newest first, page by page along the ids, which are in the order of time. A filter looks through a bounded number of
requests at once, so a rare one never reads the whole table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from router.admin.queries.cuts import cuts_of
from router.database import ids
from router.database.labels import read_label_texts
from router.database.tables import Adjustment, ApiKey, Call, LabelText, PolicyVersion, Request
from router.decision.policy import Policy
from router.ledger.made_up import are_counted
from router.policies.versions import policy_of
from router.reports.queries import sum_by
from router.reports.reading import BooksSnapshot
from router.reports.window import Window
from router.types import CallKind, CallStatus, Outcome, Reason, Tier

PAGE_ROWS = 50
LOOKED_THROUGH = 50_000
MOST_SAVED = 5_000
EARLIEST, LATEST = "0" * 32, "f" * 32


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which requests: those from the id `after` on and before the id `before`; None of the others is any."""

    before: str = LATEST
    after: str = EARLIEST
    tier: Tier | None = None
    reason: Reason | None = None
    outcome: Outcome | None = None
    segment: str | None = None
    key_id: int | None = None
    model: str | None = None
    country: str | None = None
    request_id: str | None = None
    with_made_up: bool | None = None

    @property
    def is_filtered(self) -> bool:
        """Whether not every request is wanted."""
        own = (self.tier, self.reason, self.outcome, self.segment, self.model, self.country)
        return any(own) or self.key_id is not None

    def within(self, window: Window) -> "DecisionFilter":
        """The same of what came in within a window, and of it what comes before `before`."""
        begin = EARLIEST if window.since_us is None else ids.text_at(-(-window.since_us // 1_000))
        end = LATEST if window.until_us is None else ids.text_at(-(-window.until_us // 1_000))
        return replace(self, after=begin, before=min(self.before, end), with_made_up=window.with_made_up)


@dataclass(frozen=True, slots=True)
class DecisionPage:
    """A page of requests; `older` is where the next page begins, `looked_back_us` how far a filter has looked."""

    requests: Sequence[dict[str, Any]]
    means: Mapping[str, int | None]
    older: str | None
    looked_back_us: int | None


def read(engine: Engine, chosen: DecisionFilter, week: Window, most: int = PAGE_ROWS) -> DecisionPage:
    """Read one page of requests; what the tiers cost on average is that of a week."""
    with engine.connect() as connection, connection.begin():
        bound = _oldest_id(connection, chosen)
        rows = _rows(connection, chosen, bound, most)
        labels = read_label_texts(connection)
        means = _means(connection, week)
        names = {row.id: row.name for row in connection.execute(select(ApiKey.id, ApiKey.name))}
        policies = _policies(connection, {row.policy_version for row in rows})
        calls = _calls(connection, [row.id for row in rows])
        corrections = _corrections(connection, [row.id for row in rows])
        older, looked_back = _older(chosen, rows, bound, most)
        requests = [
            _request_row(row, labels, names, calls.get(row.id, []), corrections.get(row.id, 0))
            | {"cuts": _cuts(connection, policies.get(row.policy_version), labels.get(row.segment_id, "unknown"), row)}
            for row in rows
        ]
    return DecisionPage(requests, means, older, looked_back)


def _rows(connection: Connection, chosen: DecisionFilter, bound: str | None, most: int) -> Sequence[Any]:
    table = Request.__table__
    if chosen.request_id is not None:
        return connection.execute(select(table).where(table.c.id == chosen.request_id)).all()
    query = select(table).where(table.c.id < chosen.before).order_by(table.c.id.desc()).limit(most)
    if (floor := max(chosen.after, bound or EARLIEST)) > EARLIEST:
        query = query.where(table.c.id >= floor)
    if chosen.tier is not None:
        query = query.where(table.c.final_tier == chosen.tier)
    if chosen.reason is not None:
        query = query.where(table.c.reason == chosen.reason)
    if chosen.outcome is not None:
        query = query.where(table.c.outcome == chosen.outcome)
    if not are_counted(connection, chosen.with_made_up):
        query = query.where(table.c.synthetic.is_(False))
    if chosen.key_id is not None:
        query = query.where(table.c.key_id == chosen.key_id)
    for column, text in ((table.c.segment_id, chosen.segment), (table.c.country_id, chosen.country)):
        if text is not None:
            query = query.where(column.in_(select(LabelText.id).where(LabelText.text == text)))
    if chosen.model is not None:
        query = query.where(_is_answered_by(chosen.model))
    return connection.execute(query).all()


def _is_answered_by(model: str) -> ColumnElement[bool]:
    """Whether a model gave the answer: where reports count a request by model."""
    call, request = Call.__table__, Request.__table__
    answering = select(call.c.request_id).where(
        call.c.request_id == request.c.id,
        call.c.call_no == request.c.answer_call_no,
        call.c.provider_model_id.in_(select(LabelText.id).where(LabelText.text == model)),
    )
    return answering.exists()


def _oldest_id(connection: Connection, chosen: DecisionFilter) -> str | None:
    """The last id that a filter looks at; None where everything there is gets looked at."""
    if not chosen.is_filtered:
        return None
    ids_before = select(Request.id).where(Request.id < chosen.before).order_by(Request.id.desc())
    found = connection.scalar(ids_before.offset(LOOKED_THROUGH - 1).limit(1))
    return found if found is not None and found > chosen.after else None


def _older(chosen: DecisionFilter, rows: Sequence[Any], bound: str | None, most: int) -> tuple[str | None, int | None]:
    """Where to go on: after a full page its last request, after a vain search the last one looked at."""
    if chosen.request_id is not None:
        return None, None
    if len(rows) == most:
        return rows[-1].id, None
    return bound, None if bound is None else int(bound[:12], 16) * 1_000


def _policies(connection: Connection, versions: set[int]) -> dict[int, Policy]:
    query = select(PolicyVersion.version, PolicyVersion.body).where(PolicyVersion.version.in_(versions))
    return {row.version: policy_of(row.version, row.body) for row in connection.execute(query)}


def _calls(connection: Connection, request_ids: Sequence[str]) -> dict[str, list[Any]]:
    by_request: dict[str, list[Any]] = {}
    table = Call.__table__
    query = select(table).where(table.c.request_id.in_(request_ids)).order_by(table.c.request_id, table.c.call_no)
    for row in connection.execute(query):
        by_request.setdefault(row.request_id, []).append(row)
    return by_request


def _corrections(connection: Connection, request_ids: Sequence[str]) -> dict[str, int]:
    query = select(Adjustment.request_id, func.sum(Adjustment.amount_nanousd)).group_by(Adjustment.request_id)
    sums = connection.execute(query.where(Adjustment.request_id.in_(request_ids)))
    return {str(request_id): int(amount) for request_id, amount in sums}


def _means(connection: Connection, week: Window) -> dict[str, int | None]:
    """What a request of each tier cost on average over a week, all that it called counted."""
    by_tier = sum_by(BooksSnapshot(connection, week), ["tier"], {})
    means: dict[str, int | None] = dict.fromkeys(Tier, None)
    for (name,), sums in by_tier.rows.items():
        if name is not None and sums.requests and sums.has_cost:
            means[name] = round(sums.cost_nanousd / sums.requests)
    return means


def _request_row(
    row: Any,
    labels: Mapping[int, str],
    names: Mapping[int, str],
    calls: Sequence[Any],
    corrected_nanousd: int,
) -> dict[str, Any]:
    known = [call.cost_nanousd for call in calls if call.cost_nanousd is not None]
    return {
        "id": row.id,
        "at_us": int(row.id[:12], 16) * 1_000,
        "first_tier": row.first_tier,
        "final_tier": row.final_tier,
        "reason": row.reason,
        "outcome": row.outcome,
        "score": row.score,
        "p_fast": row.p_fast,
        "p_reasoning": row.p_reasoning,
        "propensity": row.propensity,
        "policy_version": row.policy_version,
        "classifier": labels.get(row.classifier_id),
        "signal": row.signal,
        "judges": row.previous_id,
        "shadow_version": row.shadow_version,
        "shadow_tier": row.shadow_tier,
        "answer_type": labels.get(row.answer_type_id),
        "segment": labels.get(row.segment_id, "unknown"),
        "country": labels.get(row.country_id),
        "key": None if row.key_id is None else names.get(row.key_id, str(row.key_id)),
        "asked_for": labels.get(row.requested_model_id),
        "turn": row.turn,
        "streamed": row.streamed,
        "ads_eligible": row.ads_eligible,
        "synthetic": row.synthetic,
        "expected_nanousd": row.expected_revenue_nanousd,
        "first_byte_ms": row.first_byte_ms,
        "total_ms": row.total_ms,
        "cost_nanousd": sum(known) + corrected_nanousd if known or not calls else None,
        "corrected_nanousd": corrected_nanousd,
        "unpriced": sum(call.cost_nanousd is None and call.status != CallStatus.NOT_SENT for call in calls),
        "samples": sum(call.kind == CallKind.SAMPLE for call in calls),
        "calls": [_call(call, labels) for call in calls],
    }


def _cuts(connection: Connection, policy: Policy | None, segment: str, row: Any) -> dict[str, float] | None:
    return None if policy is None else asdict(cuts_of(connection, policy, segment, row))


def _call(call: Any, labels: Mapping[int, str]) -> dict[str, Any]:
    return {
        "no": call.call_no,
        "kind": call.kind,
        "tier": call.tier,
        "model": labels.get(call.provider_model_id),
        "status": call.status,
        "cause": call.cause,
        "http_status": call.http_status,
        "precision": call.precision,
        "input_tokens": _sum(call.input_fresh, call.input_cached, call.input_cache_write),
        "output_tokens": _sum(call.output_visible, call.output_reasoning),
        "thinking_tokens": call.output_reasoning,
        "cost_nanousd": call.cost_nanousd,
        "first_token_ms": call.first_token_ms,
        "duration_ms": call.duration_ms,
    }


def _sum(*tokens: int | None) -> int | None:
    known = [count for count in tokens if count is not None]
    return sum(known) if known else None
