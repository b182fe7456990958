"""Reads the requests of a stretch of time into columns for a back-test: scores and amounts, never texts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, text

from classifier.types import AnswerType
from router.database import codes, ids
from router.decision.rules import LEAST_P_SAMPLED, VOTABLE
from router.decision.worth import SCORE_DIGITS
from router.ledger.feedback import correctness
from router.ledger.made_up import are_counted
from router.reports.window import Window
from router.tuning.traffic import SCORED, TIERS, Floats, Ints, Traffic, join
from router.types import CallKind

MOST_ROWS = 60_000  # more would narrow intervals a little, and make everybody wait
STRETCHES = 200
PIECE = 20_000
ANY_VERSION = -1

REQUESTS = """
SELECT {id} AS id, r.score, r.p_fast, r.p_reasoning, r.first_tier, r.propensity, r.expected_revenue_nanousd,
    r.total_ms, s.text, a.text, r.first_byte_ms, c.text, r.cost_ratio
FROM requests r JOIN labels s ON s.id = r.segment_id JOIN labels a ON a.id = r.answer_type_id
JOIN labels c ON c.id = r.country_id
WHERE {between} AND r.reason IN ({reasons}) AND CAST(r.synthetic AS INTEGER) <= :most_made_up
    AND (r.policy_version = :version OR :version < 0)
ORDER BY r.id DESC LIMIT :most
"""
END = """
SELECT {id} FROM requests r WHERE {between} AND CAST(r.synthetic AS INTEGER) <= :most_made_up
ORDER BY r.id {order} LIMIT 1
"""
COSTS = """
SELECT {id} AS id, SUM(c.cost_nanousd), SUM(CASE WHEN c.cost_nanousd IS NULL THEN 1 ELSE 0 END),
    MAX(CASE WHEN c.call_no = 0 THEN c.input_fresh + c.input_cached + c.input_cache_write END)
FROM calls c WHERE {between} AND c.kind <> {shadow} GROUP BY c.request_id
"""
ADJUSTMENTS = """
SELECT {id} AS id, SUM(a.amount_nanousd) FROM adjustments a WHERE {between} GROUP BY a.request_id
"""
RATINGS = """
SELECT {id} AS id, f.rating, f.score FROM feedback f WHERE {between} ORDER BY f.id
"""


def read(
    engine: Engine,
    window: Window,
    most: int = MOST_ROWS,
    piece: int = PIECE,
    *,
    version: int | None = None,
    expected: int = 0,
) -> Traffic:
    """Read what came in during the window and was decided by a score, oldest first.

    At most so many, the newest; or, where it is told how many there are (`expected`) and that is more, about so many:
    all that came in during a part of each of STRETCHES equal stretches of the time. Neighbours stay together, as a
    resampling in blocks wants it. With a `version`, only what that one decided. Made-up requests count as the window
    says, else while there are no others. Goes back piece by piece, so that a million requests take the room of their
    numbers only.
    """
    low = ids.first_at((window.since_us or 0) // 1_000)
    high = ids.END_OF_TIME_MS << 80 if window.until_us is None else ids.first_at(window.until_us // 1_000)
    of = ANY_VERSION if version is None else version
    pieces: list[Traffic] = []
    with engine.connect() as connection:
        counted = int(are_counted(connection, window.with_made_up))
        stretches = [(low, high)]
        if expected > most > 0:
            stretches, most = _parts(connection, low, high, most / expected, counted), expected
        for begin, end in stretches:
            while end > begin and most > 0:
                found = _fetch(
                    connection, REQUESTS, "r.id", begin, end, most=min(most, piece), version=of, most_made_up=counted
                )
                rows = found[::-1]
                if not rows:
                    break
                first = int.from_bytes(rows[0][0], "big")
                pieces.append(_piece(connection, rows, first, end))
                most, end = most - len(rows), first
    return join(pieces[::-1] or [_columns([], {}, {}, {})])


def _parts(connection: Connection, low: int, high: int, part: float, most_made_up: int) -> list[tuple[int, int]]:
    """Cut the time in which there are requests into stretches and take a part of each, somewhere in it; newest first.

    Where in a stretch is drawn, always alike, so that no hour of the day is taken more often than others.
    """
    ends = [
        _fetch(connection, END, "r.id", low, high, order=order, most_made_up=most_made_up) for order in ("ASC", "DESC")
    ]
    if high <= low or not ends[0]:
        return []
    begin, end = (int.from_bytes(rows[0][0], "big") for rows in ends)
    length = (end + 1 - begin) / STRETCHES
    places = np.random.default_rng(1).random(STRETCHES) * (1.0 - part)
    starts = [begin + int((number + place) * length) for number, place in enumerate(places.tolist())]
    return [(start, start + int(length * part)) for start in reversed(starts)]


def _piece(connection: Connection, rows: Sequence[Any], low: int, high: int) -> Traffic:
    costs, lengths = _costs(connection, low, high)
    ratings = {
        id: correctness(rating, score) for id, rating, score in _fetch(connection, RATINGS, "f.request_id", low, high)
    }
    return _columns(rows, costs, lengths, ratings)


def _fetch(
    connection: Connection, query: str, column: str, low: int, high: int, order: str = "", **more: int
) -> Sequence[Any]:
    if high <= low:
        return ()
    dialect = connection.dialect.name
    reasons = ", ".join(str(codes.REASONS[reason]) for reason in SCORED)
    names = {"id": ids.as_bytes(dialect, column), "between": ids.between(dialect, column), "order": order}
    filled = query.format(**names, reasons=reasons, shadow=codes.KINDS[CallKind.SHADOW])
    return connection.execute(text(filled), {**ids.bounds(dialect, low, high), **more}).fetchall()


def _costs(connection: Connection, low: int, high: int) -> tuple[dict[bytes, int], dict[bytes, int]]:
    """Return what each request cost with its corrections, without shadows, and how many tokens its first call was sent.

    Those with unpriced calls are not in the former.
    """
    costs, lengths = {}, {}
    for id, cost, unpriced, tokens in _fetch(connection, COSTS, "c.request_id", low, high):
        if not unpriced:
            costs[id] = int(cost)
        if tokens is not None:
            lengths[id] = int(tokens)
    for id, amount in _fetch(connection, ADJUSTMENTS, "a.request_id", low, high):
        if id in costs:
            costs[id] += int(amount)
    return costs, lengths


def _columns(
    rows: Sequence[Any],
    costs: dict[bytes, int],
    lengths: dict[bytes, int],
    ratings: dict[bytes, float | None],
) -> Traffic:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 13
    id, score, p_fast, p_reasoning, tier, propensity, revenue, total_ms, segment, answer_type = columns[:10]
    first_byte_ms, country, cost_ratio = columns[10:]
    segments, segment_names = _codes(segment)
    countries, country_names = _codes(country)
    place_of = {codes.TIERS[name]: place for place, name in enumerate(TIERS)}
    type_of = {kind: place for place, kind in enumerate(AnswerType)}
    fast = _floats(p_fast)
    return Traffic(
        # Stored in four bytes; rounded as they were when they decided.
        scores=np.round(_floats(score), SCORE_DIGITS),
        may_vote=np.array([kind in VOTABLE for kind in answer_type], bool) & (fast >= LEAST_P_SAMPLED),
        p_fast=fast,
        p_reasoning=_floats(p_reasoning),
        tiers=np.array([place_of[code] for code in tier], np.int64),
        propensities=_floats(propensity),
        cost_usd=_floats([costs.get(one) for one in id]) / 1e9,
        revenue_usd=_floats(revenue) / 1e9,
        total_ms=_floats(total_ms),
        rewards=_floats([ratings.get(one) for one in id]),
        segments=segments,
        segment_names=segment_names,
        first_byte_ms=_floats(first_byte_ms),
        input_tokens=_floats([lengths.get(one) for one in id]),
        answer_types=np.array([type_of.get(kind, len(type_of)) for kind in answer_type], np.int64),
        countries=countries,
        country_names=country_names,
        cost_ratios=_floats(cost_ratio),
    )


def _codes(names: Sequence[str]) -> tuple[Ints, tuple[str, ...]]:
    """Return the places in the sorted list of the different names, and that list."""
    different = tuple(sorted(set(names)))
    place_of = {name: place for place, name in enumerate(different)}
    return np.array([place_of[name] for name in names], np.int64), different


def _floats(values: Sequence[Any]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], np.float64)
