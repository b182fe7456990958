"""The lines of a stretch of time as columns of integers, and how they add up to cells.

Rollups and the part of a report that is not rolled up are made here, by the same code. A request belongs to the
moment in its id (when it came in), a call to its request, a correction to its call. What belongs to no request (a
reconciled difference, a statement that nothing matches) is a unit of its own with unknown keys.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from router.database import codes, ids
from router.database.closing_tables import LineKind
from router.errors import Cause
from router.ledger.attribution import RevenueAttribution, Unmatched, fetch_rows
from router.ledger.cells import (
    ADDED_FACTS,
    CALL_FACTS,
    CALL_KEYS,
    MADE_UP,
    NO_CAUSE,
    REQUEST_FACTS,
    REQUEST_KEYS,
    UNKNOWN,
    CallRole,
)
from router.types import FAILED_CALLS, CallKind, CallStatus, Outcome, Precision, Tier

Ints = NDArray[np.int64]
Factor = tuple[Ints, Ints]

HOME = "home"  # a key of what was posted late alone: the month that it belongs to, counted from 1970
PAGE_REQUESTS = 20_000
BUCKETS_PER_DOUBLING = 16
NO_COST_BUCKET = -1

# What is read of a request and of a call besides its id, by name; keys have the names that cells have them by.
REQUEST_COLUMNS: Mapping[str, str] = {
    "tier": "final_tier",
    "first_tier": "first_tier",
    "reason": "reason",
    "outcome": "outcome",
    "segment": "segment_id",
    "country": "country_id",
    "language": "COALESCE(language_id, -1)",
    "answer_type": "answer_type_id",
    "policy": "policy_version",
    "turn": "turn",
    "key": "COALESCE(key_id, -1)",
    "effort": "COALESCE(effort, -1)",
    "background": "COALESCE(CAST(background AS INTEGER), -1)",
    "made_up": "CAST(synthetic AS INTEGER)",
    "answered_by": "COALESCE(answer_call_no, -1)",
    "expected_nanousd": "COALESCE(expected_revenue_nanousd, 0)",
    "expected_unknown": "CAST(expected_revenue_nanousd IS NULL AS INTEGER)",
}
FAILED = tuple(codes.STATUSES[status] for status in FAILED_CALLS)
CALL_COLUMNS: Mapping[str, str] = {
    "call_no": "call_no",
    "model": "provider_model_id",
    "kind": "kind",
    "status": "status",
    "cause": f"COALESCE(cause, CASE WHEN status IN ({', '.join(map(str, FAILED))})"
    f" THEN {codes.CAUSES[Cause.UNKNOWN]} ELSE {NO_CAUSE} END)",
    "precision": "precision",
    "cost_nanousd": "COALESCE(cost_nanousd, 0)",
    "unpriced": "CAST(cost_nanousd IS NULL AS INTEGER)",
    "input_fresh": "COALESCE(input_fresh, 0)",
    "input_cached": "COALESCE(input_cached, 0)",
    "input_cache_write": "COALESCE(input_cache_write, 0)",
    "output_visible": "COALESCE(output_visible, 0)",
    "output_reasoning": "COALESCE(output_reasoning, 0)",
}
# A request of which only calls or events are known here: all but this is UNKNOWN.
STRAY = {"expected_nanousd": 0, "expected_unknown": 1, MADE_UP: 0}

REQUESTS = f"""
SELECT {{id}} AS id, {", ".join(REQUEST_COLUMNS.values())} FROM requests
WHERE {{between}} AND id NOT IN (SELECT request_id FROM late_lines WHERE kind = {LineKind.REQUEST:d})
ORDER BY id LIMIT :most
"""  # noqa: S608 - names of our own
REQUESTS_OF = f"""
SELECT {{id}} AS id, {", ".join(REQUEST_COLUMNS.values())} FROM requests WHERE id IN :ids ORDER BY id
"""  # noqa: S608 - names of our own
CALLS = f"""
SELECT {{id}} AS id, {", ".join(CALL_COLUMNS.values())} FROM calls
WHERE {{between}}
    AND (request_id, call_no) NOT IN (SELECT request_id, number FROM late_lines WHERE kind = {LineKind.CALL:d})
ORDER BY request_id, call_no
"""  # noqa: S608 - names of our own
CALLS_OF = f"""
SELECT {{id}} AS id, {", ".join(CALL_COLUMNS.values())} FROM calls WHERE request_id IN :ids ORDER BY request_id, call_no
"""  # noqa: S608 - names of our own
IN_TIME = f"id NOT IN (SELECT number FROM late_lines WHERE kind = {LineKind.ADJUSTMENT:d})"  # noqa: S608 - our own
ADJUSTMENTS = f"""
SELECT {{id}} AS id, COALESCE(call_no, -1), amount_nanousd FROM adjustments
WHERE {{between}} AND adjustments.{IN_TIME} ORDER BY 1, adjustments.id
"""  # noqa: S608 - names of our own
FREE_ADJUSTMENTS = f"""
SELECT a.effective_at, COALESCE(l.id, -1), a.amount_nanousd FROM adjustments a
LEFT JOIN labels l ON l.text = a.provider_model
WHERE a.request_id IS NULL AND a.effective_at >= :lo AND a.effective_at < :hi AND a.{IN_TIME}
"""  # noqa: S608 - names of our own


@dataclass(frozen=True, slots=True)
class Posted:
    """Which requests are themselves among what was posted, for which something was booked first, and the moments."""

    requests: Collection[bytes]
    first_booked: Collection[bytes]
    ms: Mapping[bytes, int]


@dataclass(frozen=True, slots=True)
class CellSums:
    """Facts by cell: `keys` has a row per cell and a column per key, `facts` a column per added fact."""

    keys: Ints
    facts: Ints
    largest: Ints


@dataclass(slots=True)
class Lines:
    """Units (requests, and what stands alone) and the paid lines that belong to them."""

    ms: Ints
    keys: dict[str, Ints]
    request_facts: Ints  # a row per unit
    answer_model: Ints
    first_cause: Ints  # a row per unit: why the first call that failed did
    unit: Ints  # per paid line: which unit it belongs to
    call_keys: dict[str, Ints]
    call_facts: Ints  # a row per paid line
    cost: Ints = field(init=False)
    is_request: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        sums = np.zeros((len(self.ms), len(CALL_FACTS)), np.int64)
        for column in range(len(CALL_FACTS)):
            np.add.at(sums[:, column], self.unit, self.call_facts[:, column])
        self.is_request = self.request_facts[:, REQUEST_FACTS.index("requests")] == 1
        unpriced = sums[:, CALL_FACTS.index("calls")] > sums[:, CALL_FACTS.index("priced")]
        self.request_facts[:, REQUEST_FACTS.index("incomplete")] = unpriced & self.is_request
        self.cost = sums[:, CALL_FACTS.index("cost_nanousd")].copy()
        # In columns, as they are added up.
        self._facts = np.asfortranarray(np.hstack((self.request_facts, sums)))

    _facts: Ints = field(init=False)
    _factors: dict[str, Factor] = field(init=False, default_factory=dict)

    def _factor(self, name: str) -> Factor:
        if name not in self._factors:
            self._factors[name] = _distinct(self.keys[name])
        return self._factors[name]

    def cells(self, grouping: Sequence[str], labels: Ints) -> CellSums:
        """Add the facts up by a label per unit (a stretch of time) and the values of the keys."""
        known = self._complete_cost()
        if not len(self.ms):
            return CellSums(
                np.empty((0, len(grouping) + 1), np.int64), np.empty((0, len(ADDED_FACTS)), np.int64), known
            )
        if not any(name in CALL_KEYS for name in grouping):
            return _sum_by_factors([_distinct(labels), *(self._factor(name) for name in grouping)], self._facts, known)
        answer = {
            "model": self.answer_model,
            "role": np.where(self.answer_model == UNKNOWN, UNKNOWN, CallRole.ANSWER),
            "cause": self.first_cause,
        }
        of_units = [answer[name] if name in CALL_KEYS else self.keys[name] for name in grouping]
        of_lines = [self.call_keys[n] if n in CALL_KEYS else self.keys[n][self.unit] for n in grouping]
        columns = [np.concatenate((labels, labels[self.unit]))]
        columns += [np.concatenate(pair) for pair in zip(of_units, of_lines, strict=True)]
        facts = np.zeros((len(self.ms) + len(self.unit), len(ADDED_FACTS)), np.int64)
        facts[: len(self.ms), : len(REQUEST_FACTS)] = self.request_facts
        facts[len(self.ms) :, len(REQUEST_FACTS) :] = self.call_facts
        nothing = np.full(len(self.unit), UNKNOWN, np.int64)
        return sum_by_columns(columns, facts, np.concatenate((known, nothing)))

    def histogram(self, labels: Ints) -> Ints:
        """Count requests by label, tier, bucket of cost and mark; rows of (label, tier, bucket, made_up, count)."""
        counted = self._complete_cost() != UNKNOWN
        columns = np.stack((labels, self.keys["tier"], bucket_of(self.cost), self.keys[MADE_UP]), axis=1)[counted]
        cells, counts = np.unique(columns, axis=0, return_counts=True)
        return np.column_stack((cells, counts)).astype(np.int64)

    def _complete_cost(self) -> Ints:
        """Return the cost of each request that is known wholly; UNKNOWN elsewhere."""
        incomplete = self.request_facts[:, REQUEST_FACTS.index("incomplete")] == 1
        return np.where(self.is_request & ~incomplete, np.maximum(self.cost, 0), UNKNOWN)


def bucket_of(cost_nanousd: Ints) -> Ints:
    """Place an amount on a log scale of sixteen steps per doubling (4.4 % wide); nothing is NO_COST_BUCKET."""
    positive = np.maximum(cost_nanousd, 1)
    place = np.floor(np.log2(positive.astype(np.float64)) * BUCKETS_PER_DOUBLING).astype(np.int64)
    return np.where(cost_nanousd > 0, place, NO_COST_BUCKET)


def sum_by_columns(columns: Sequence[Ints], facts: Ints, largest: Ints) -> CellSums:
    """Add facts up by the distinct combinations of the columns."""
    if not len(facts):
        return CellSums(np.empty((0, len(columns)), np.int64), facts, largest)
    return _sum_by_factors([_distinct(column) for column in columns], facts, largest)


def _distinct(column: Ints) -> Factor:
    """Return the distinct values of a column, in order, and the place of each row's among them."""
    least = int(column.min())
    present, places = _factorise(column - least, int(column.max()) - least + 1)
    return present + least, places


def _sum_by_factors(factors: Sequence[Factor], facts: Ints, largest: Ints) -> CellSums:
    """Add facts up; each column comes as its distinct values and the place of each row's value among them."""
    code, sizes = np.zeros(len(facts), np.int64), [len(values) for values, _ in factors]
    for (_, places), size in zip(factors, sizes, strict=True):
        code = code * size + places
    present, cell = _factorise(code, math.prod(sizes))
    sums = np.zeros((facts.shape[1], len(present)), np.int64)
    for number, column in enumerate(facts.T):
        np.add.at(sums[number], cell, np.ascontiguousarray(column))
    most = np.full(len(present), UNKNOWN, np.int64)
    np.maximum.at(most, cell, largest)
    keys = np.empty((len(present), len(factors)), np.int64)
    for number in reversed(range(len(factors))):
        present, rest = np.divmod(present, sizes[number])
        keys[:, number] = factors[number][0][rest]
    return CellSums(keys, sums.T, most)


def _factorise(code: Ints, size: int) -> tuple[Ints, Ints]:
    """Return the codes that occur, in order, and each row's place among them; few codes are counted, not sorted."""
    if size > 4 * len(code) + 10_000:
        return np.unique(code, return_inverse=True)
    present = np.flatnonzero(np.bincount(code, minlength=size))
    places = np.zeros(size, np.int64)
    places[present] = np.arange(len(present))
    return present, places[code]


def merge_histograms(made: Sequence[Ints]) -> Ints:
    """Add the counts of several histograms up."""
    rows = np.vstack(made) if made else np.empty((0, 5), np.int64)
    cells, places = np.unique(rows[:, :4], axis=0, return_inverse=True)
    counts = np.zeros(len(cells), np.int64)
    np.add.at(counts, places.reshape(-1), rows[:, 4])
    return np.column_stack((cells, counts))


def read(connection: Connection, start_ms: int, end_ms: int, attribution: RevenueAttribution) -> Iterator[Lines]:
    """Read the lines of what came in from `start_ms` to `end_ms` (exclusive), a page at a time; none that came late."""
    dialect = connection.dialect.name
    at, end = ids.first_at(start_ms), ids.first_at(end_ms)
    requests = REQUESTS.format(id=ids.as_bytes(dialect, "id"), between=ids.between(dialect, "id"))
    while at < end:
        page = {**ids.bounds(dialect, at, end), "most": PAGE_REQUESTS}
        rows = fetch_rows(connection, requests, page)
        stop = end if len(rows) < PAGE_REQUESTS else int.from_bytes(rows[-1][0], "big") + 1
        lines = _page(connection, rows, at, stop, attribution)
        if lines is not None:
            yield lines
        at = stop
    if (alone := _standing_alone(connection, start_ms, end_ms, attribution)) is not None:
        yield alone


def _page(
    connection: Connection, requests: Sequence[Any], at: int, stop: int, attribution: RevenueAttribution
) -> Lines | None:
    dialect = connection.dialect.name
    names = {"id": ids.as_bytes(dialect, "request_id"), "between": ids.between(dialect, "request_id")}
    bounds = ids.bounds(dialect, at, stop)
    calls = fetch_rows(connection, CALLS.format(**names), bounds)
    adjusted = fetch_rows(connection, ADJUSTMENTS.format(**names), bounds)
    return lay_out(requests, calls, adjusted, attribution.of_requests(connection, at, stop))


def lay_out(
    requests: Sequence[Any],
    calls: Sequence[Any],
    adjusted: Sequence[Any],
    booked: Mapping[bytes, int],
    posted: Posted | None = None,
) -> Lines | None:
    """Lay out fetched rows, each sorted by id; what has no request here gets unknown keys. None where there are none.

    Of what was posted for closed months, requests that are no part of it give their keys only.
    """
    others = {row[0] for rows in (calls, adjusted) for row in rows} | booked.keys()
    strays = sorted(others - {row[0] for row in requests})
    if not requests and not strays:
        return None
    named = ids.as_array([row[0] for row in requests] + strays)
    columns = _columns_of(requests, REQUEST_COLUMNS)
    if strays:
        order = np.argsort(named, kind="stable")
        blanks = {name: np.full(len(strays), STRAY.get(name, UNKNOWN), np.int64) for name in columns}
        columns = {name: np.concatenate((column, blanks[name]))[order] for name, column in columns.items()}
        named = named[order]
    keys = {name: columns[name] for name in REQUEST_KEYS}
    is_request, is_first, ms = keys["tier"] != UNKNOWN, np.ones(len(named), bool), ids.ms_of(named)
    if posted is not None:
        listed = [*(row[0] for row in requests), *strays]
        listed.sort()
        is_request &= np.array([id in posted.requests for id in listed], bool)
        is_first = np.array([id in posted.first_booked for id in listed], bool)
        keys[HOME] = _months(ms)
        ms = np.array([posted.ms[id] for id in listed], np.int64)
    expected = columns["expected_nanousd"]
    facts = np.zeros((len(named), len(REQUEST_FACTS)), np.int64)
    cancelled = codes.OUTCOMES[Outcome.CANCELLED]
    amounts, are_booked = _amounts_of(named, booked)
    fact_columns = {
        "requests": is_request,
        "deep": is_request & (keys["tier"] != codes.TIERS[Tier.FAST]),
        "expected_nanousd": np.where(is_request | (keys["tier"] == UNKNOWN), expected, 0),
        "expected_known": is_request & (columns["expected_unknown"] == 0),
        "booked_nanousd": amounts,
        "booked_requests": are_booked & is_first & (keys["tier"] != UNKNOWN),
        "replaced_nanousd": np.where(are_booked & is_first, expected, 0),
        "aborted": is_request & (keys["outcome"] == cancelled),
    }
    for name, column in fact_columns.items():
        facts[:, REQUEST_FACTS.index(name)] = column
    return _with_calls(named, ms, keys, facts, columns["answered_by"], calls, adjusted)


def _with_calls(
    named: NDArray[np.bytes_],
    ms: Ints,
    keys: dict[str, Ints],
    facts: Ints,
    answered: Ints,
    calls: Sequence[Any],
    adjusted: Sequence[Any],
) -> Lines:
    columns = _columns_of(calls, CALL_COLUMNS)
    unit = np.searchsorted(named, ids.as_array([row[0] for row in calls])).astype(np.int64)
    call_no, model, cost = columns["call_no"], columns["model"], columns["cost_nanousd"]
    role = _roles(call_no, columns["kind"], columns["status"], answered[unit] if len(unit) else answered[:0])
    answer_model = np.full(len(named), UNKNOWN, np.int64)
    is_answer = call_no == answered[unit] if len(unit) else np.zeros(0, bool)
    answer_model[unit[is_answer]] = model[is_answer]
    first_cause = np.full(len(named), NO_CAUSE, np.int64)
    failed = np.flatnonzero((columns["cause"] != NO_CAUSE) & (columns["kind"] != codes.KINDS[CallKind.SHADOW]))[::-1]
    first_cause[unit[failed]] = columns["cause"][failed]  # the last that is written stays: the first call's
    priced = 1 - columns["unpriced"]
    extra: list[tuple[int, int, int, int]] = []  # unit, model, role, amount
    if adjusted:
        place = {(row[0], row[1]): line for line, row in enumerate(calls)}
        for id, number, amount in adjusted:
            line = place.get((id, number))
            if line is None:
                extra.append((int(np.searchsorted(named, np.bytes_(id))), UNKNOWN, CallRole.CORRECTION, amount))
            else:
                priced[line] = 1
                cost[line] += amount
    fact_columns = columns | {
        "calls": np.ones(len(calls), np.int64),
        "priced": priced,
        "estimated": columns["precision"] == codes.PRECISIONS[Precision.ESTIMATED],
        "unknown": columns["precision"] == codes.PRECISIONS[Precision.UNKNOWN],
    }
    call_facts = np.column_stack([fact_columns[name] for name in CALL_FACTS]).astype(np.int64)
    units, models, roles, more = _extra(extra)
    return Lines(
        ms=ms,
        keys=keys,
        request_facts=facts,
        answer_model=answer_model,
        first_cause=first_cause,
        unit=np.concatenate((unit, units)),
        call_keys={
            "model": np.concatenate((model, models)),
            "role": np.concatenate((role, roles)),
            "cause": np.concatenate((columns["cause"], np.full(len(units), NO_CAUSE, np.int64))),
        },
        call_facts=np.vstack((call_facts, more)),
    )


def _roles(call_no: Ints, kind: Ints, status: Ints, answered: Ints) -> Ints:
    """Tell what each call was to the answer of its request."""
    return np.select(
        [
            status == codes.STATUSES[CallStatus.NOT_SENT],
            kind == codes.KINDS[CallKind.SHADOW],
            kind == codes.KINDS[CallKind.JUDGE],
            call_no == answered,
            status == codes.STATUSES[CallStatus.CANCELLED],
            np.isin(status, FAILED) & (answered > call_no),
            np.isin(status, FAILED),
            (kind == codes.KINDS[CallKind.SAMPLE]) & (status == codes.STATUSES[CallStatus.OK]),
        ],
        [
            CallRole.NOT_SENT,
            CallRole.SHADOW,
            CallRole.JUDGE,
            CallRole.ANSWER,
            CallRole.CANCELLED,
            CallRole.RETRIED,
            CallRole.FAILED,
            CallRole.LOSING_SAMPLE,
        ],
        CallRole.ANSWER,
    ).astype(np.int64)


def _standing_alone(
    connection: Connection, start_ms: int, end_ms: int, attribution: RevenueAttribution
) -> Lines | None:
    """Return what belongs to no request: reconciled differences, and statements that no request matches."""
    bounds = {"lo": start_ms * 1_000, "hi": end_ms * 1_000}
    free = fetch_rows(connection, FREE_ADJUSTMENTS, bounds)
    return stand_alone(free, attribution.read_unmatched(connection, start_ms, end_ms))


def stand_alone(
    free: Sequence[Any], unmatched: Sequence[Unmatched], posted_ms: Sequence[int] | None = None
) -> Lines | None:
    """Lay out adjustments of no request (moment in microseconds, model, amount) and statements that match none.

    `posted_ms` are the moments at which each counts, where that is not its own.
    """
    count = len(free) + len(unmatched)
    if not count:
        return None
    keys = {name: np.full(count, STRAY.get(name, UNKNOWN), np.int64) for name in REQUEST_KEYS}
    facts = np.zeros((count, len(REQUEST_FACTS)), np.int64)
    ms = np.array([row[0] // 1_000 for row in free] + [s.at_ms for s in unmatched], np.int64)
    if posted_ms is not None:
        keys[HOME], ms = _months(ms), np.array(posted_ms, np.int64)
    for place, statement in enumerate(unmatched, len(free)):
        keys["segment"][place], keys["country"][place] = statement.segment_id, statement.country_id
        keys[MADE_UP][place] = statement.made_up
        facts[place, REQUEST_FACTS.index("booked_nanousd")] = statement.amount_nanousd
    lines = [(place, int(row[1]), int(CallRole.CORRECTION), int(row[2])) for place, row in enumerate(free)]
    units, models, roles, call_facts = _extra(lines)
    nothing = np.full(count, UNKNOWN, np.int64)
    well = np.full(count, NO_CAUSE, np.int64)
    of_calls = {"model": models, "role": roles, "cause": well[: len(units)]}
    return Lines(ms, keys, facts, nothing, well, units, of_calls, call_facts)


def _months(ms: Ints) -> Ints:
    """Return the months of moments, counted from January 1970."""
    return ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)


def _extra(lines: Sequence[tuple[int, int, int, int]]) -> tuple[Ints, Ints, Ints, Ints]:
    """Lay out amounts that are no calls."""
    table = np.array(lines, np.int64).reshape(-1, 4)
    facts = np.zeros((len(lines), len(CALL_FACTS)), np.int64)
    facts[:, CALL_FACTS.index("cost_nanousd")] = table[:, 3]
    return table[:, 0], table[:, 1], table[:, 2], facts


def _amounts_of(named: NDArray[np.bytes_], booked: Mapping[bytes, int]) -> tuple[Ints, NDArray[np.bool_]]:
    amounts, are = np.zeros(len(named), np.int64), np.zeros(len(named), bool)
    if booked:
        places = np.searchsorted(named, ids.as_array(list(booked)))
        amounts[places], are[places] = list(booked.values()), True
    return amounts, are


def _columns_of(rows: Sequence[Any], names: Collection[str]) -> dict[str, Ints]:
    """Turn fetched rows into columns of integers by name; their ids, which come first, are left out."""
    table = np.array(list(zip(*rows, strict=True))[1:] if rows else [()] * len(names), np.int64)
    return dict(zip(names, table, strict=True))
