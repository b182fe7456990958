"""Made-up traffic for reports and benchmarks: seasonal, long-tailed, of several countries and segments.

Every request is marked synthetic. Prices and expected revenue are those of the books, amounts are computed in
integers as the ledger does. Goes straight into the tables, a day at a time, and is rolled up at the end.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, insert

from router.clock import SystemClock
from router.commands.opening import opened
from router.keys import DEFAULT_SEGMENT
from router.ledger import codes, pricelist, revenue, rollups
from router.ledger.database import writing
from router.ledger.prices import Price, PriceBook
from router.ledger.revenue import RevenueBook
from router.ledger.rows import CallRow, RequestRow
from router.ledger.store import labels
from router.ledger.tables import RevenueEvent
from router.types import CallKind, CallStatus, Outcome, Precision, Reason, Tier

Ints = NDArray[np.int64]
DAY_MS = 86_400_000
CHEAP, STRONG, UNLISTED = "openai/gpt-5-nano", "openai/gpt-5-mini", "example/unlisted"
STAND_IN = "gemini/gemini-2.5-flash-lite"
MODELS = (CHEAP, STRONG, UNLISTED, STAND_IN)
SEGMENTS = {"free": 0.78, "plus": 0.15, "enterprise": 0.05, DEFAULT_SEGMENT: 0.02}
COUNTRIES = {
    "US": 0.22,
    "IN": 0.19,
    "BR": 0.11,
    "DE": 0.09,
    "GB": 0.08,
    "FR": 0.06,
    "JP": 0.06,
    "PT": 0.04,
    "NG": 0.05,
    "ID": 0.07,
    "ZZ": 0.03,
}
LANGUAGE_OF = {
    "US": "en",
    "IN": "en",
    "BR": "pt",
    "DE": "de",
    "GB": "en",
    "FR": "fr",
    "JP": "ja",
    "PT": "pt",
    "NG": "en",
}
ANSWER_TYPES = {"open": 0.55, "factual": 0.2, "number": 0.09, "choice": 0.06, "code": 0.07, "yes_no": 0.03}
REASONS = {
    Tier.FAST: {Reason.BELOW_THRESHOLD: 0.88, Reason.HOUSEKEEPING: 0.06, Reason.SHARE_CAP: 0.04, Reason.OVERRIDE: 0.02},
    Tier.REASONING: {Reason.ABOVE_THRESHOLD: 0.7, Reason.OVERRIDE: 0.12, Reason.PUSHBACK: 0.1, Reason.EXPLORED: 0.08},
    Tier.PARALLEL: {Reason.ABOVE_THRESHOLD: 0.85, Reason.EXPLORED: 0.1, Reason.OVERRIDE: 0.05},
}
TIERS = {Tier.FAST: 0.925, Tier.REASONING: 0.045, Tier.PARALLEL: 0.03}
OFFSET_HOURS = {"US": -6, "IN": 5, "BR": -3, "DE": 1, "GB": 0, "FR": 1, "JP": 9, "PT": 0, "NG": 1, "ID": 7, "ZZ": 0}


@dataclass(frozen=True, slots=True)
class World:
    """What made-up requests refer to."""

    labels: dict[str, int]
    prices: dict[str, Price | None]
    expected: dict[tuple[str, str], int]
    revenue_version: int


def seed_demo(
    requests: Annotated[int, typer.Option(min=1, help="How many requests.")] = 100_000,
    days: Annotated[int, typer.Option(min=1, max=3_000, help="Spread over so many days up to now.")] = 90,
    seed: Annotated[int, typer.Option(help="The same seed makes the same traffic.")] = 1,
    config: Annotated[Path | None, typer.Option(help="Configuration file.")] = None,
) -> None:
    """Fill the configured database with made-up traffic, marked synthetic."""
    began = time.perf_counter()
    now_us = SystemClock().now_us()
    with opened(config) as (configured, engine):
        segments = {DEFAULT_SEGMENT: configured.revenue}
        segments |= {name: s.revenue for name, s in configured.segments.items() if s.revenue}
        revenue.sync(engine, segments, now_us)
        pricelist.sync(engine, {CHEAP, STRONG, STAND_IN}, configured.prices, now_us)
        world = _world(engine, now_us)
        dice = np.random.default_rng(seed)
        made = 0
        for start_ms, count in per_day(requests, days, now_us // 1_000, dice):
            end_ms = min(start_ms + DAY_MS, now_us // 1_000)
            _insert(
                engine,
                a_day(world, start_ms, end_ms, count, dice),
                _statements(world, start_ms, now_us // 1_000, count, dice),
            )
            made += count
        inserted = time.perf_counter()
        rollups.catch_up(engine, now_us)
        ended = time.perf_counter()
        typer.echo(f"{made} requests in {inserted - began:.1f} s, rolled up in {ended - inserted:.1f} s")


def per_day(requests: int, days: int, now_ms: int, dice: np.random.Generator) -> Iterator[tuple[int, int]]:
    """How many requests come in on each day: growing, and fewer at weekends."""
    first = now_ms // DAY_MS - days + 1
    numbers = np.arange(first, first + days)
    weight = np.linspace(0.8, 1.2, days) * np.where((numbers + 4) % 7 >= 5, 0.8, 1.0) * dice.lognormal(0, 0.05, days)
    weight[-1] *= (now_ms % DAY_MS + 1) / DAY_MS
    counts = dice.multinomial(requests, weight / weight.sum())
    yield from ((int(day) * DAY_MS, int(count)) for day, count in zip(numbers, counts, strict=True) if count)


def a_day(
    world: World, start_ms: int, end_ms: int, count: int, dice: np.random.Generator
) -> tuple[list[Any], list[Any], list[Any]]:
    """Make the ids, requests and calls of a day, as columns in the order of RequestRow and CallRow."""
    country = _choice(dice, count, COUNTRIES)
    offsets = np.array([OFFSET_HOURS[name] for name in COUNTRIES])[country]
    hour_of_day = dice.normal(15.5, 4.5, count) % 24  # local: quiet nights, busy afternoons
    ms = start_ms + (((hour_of_day - offsets) % 24) * 3_600_000).astype(np.int64)
    ms = np.where(ms < end_ms, ms, start_ms + dice.integers(0, max(end_ms - start_ms, 1), count))
    ms.sort()
    ids = _ids(ms, dice)
    segment, tier = _choice(dice, count, SEGMENTS), _choice(dice, count, TIERS)
    answer_type = _choice(dice, count, ANSWER_TYPES)
    reason = np.select(
        [tier == place for place in range(3)],
        [np.array([codes.REASONS[r] for r in REASONS[t]])[_choice(dice, count, REASONS[t])] for t in TIERS],
    )
    turn = np.minimum(dice.geometric(0.45, count), 40)
    is_cancelled, has_failed = dice.random(count) < 0.012, dice.random(count) < 0.004
    eligible = (reason != codes.REASONS[Reason.HOUSEKEEPING]) & (dice.random(count) < 0.85)
    score = np.round(np.clip(dice.normal(0.02, 0.06, count) + np.array([0, 0.3, 0.15])[tier], -0.3, 0.9), 4)
    calls, answer_no, cost_ms = _calls(world, ids, ms, tier, is_cancelled, has_failed, dice)
    amounts = np.array([[world.expected[s, c] for c in COUNTRIES] for s in SEGMENTS], np.int64)
    language = np.array([world.labels[LANGUAGE_OF[c]] if c in LANGUAGE_OF else -1 for c in COUNTRIES])[country]
    opened_at = ms * 1_000
    outcome = np.where(
        is_cancelled,
        codes.OUTCOMES[Outcome.CANCELLED],
        np.where(has_failed, codes.OUTCOMES[Outcome.ERROR], codes.OUTCOMES[Outcome.OK]),
    )
    tier_code = np.array([codes.TIERS[t] for t in TIERS])[tier]
    key = np.minimum(dice.zipf(1.6, count), 60)
    p_fast = np.round(np.clip(dice.beta(6, 2, count), 0, 1), 4)
    requests: list[Any] = [
        ids,
        opened_at,
        opened_at + cost_ms * 1_000,
        opened_at + cost_ms * 1_000 + 300_000,
        np.where(eligible, amounts[segment, country], 0),
        score,
        p_fast,
        np.clip(p_fast + score, 0, 1),
        np.ones(count),
        [None if k == 60 else k for k in key.tolist()],
        np.where(ms < end_ms, 1 + (ms // DAY_MS) % 2, 1),
        np.full(count, world.revenue_version),
        np.minimum(cost_ms, 900),
        cost_ms,
        tier_code,
        tier_code,
        reason,
        outcome,
        [None if n < 0 else n for n in answer_no.tolist()],
        turn,
        np.array([world.labels[s] for s in SEGMENTS])[segment],
        np.array([world.labels[c] for c in COUNTRIES])[country],
        np.full(count, world.labels["auto"]),
        np.full(count, world.labels["synthetic"]),
        np.array([world.labels[a] for a in ANSWER_TYPES])[answer_type],
        [None if label < 0 else label for label in language.tolist()],
        dice.random(count) < 0.8,
        eligible,
        np.ones(count, bool),
        *[[None] * count] * 4,  # no shadow policy, no signal
    ]
    return ids, requests, calls


def _calls(
    world: World,
    ids: list[bytes],
    ms: Ints,
    tier: Ints,
    is_cancelled: NDArray[np.bool_],
    has_failed: NDArray[np.bool_],
    dice: np.random.Generator,
) -> tuple[list[Any], Ints, Ints]:
    """Make the calls: an answer, or samples with a judge or an escalation now and then; some attempts fail first."""
    count = len(ids)
    is_parallel = tier == 2
    samples = np.where(is_parallel, dice.choice([4, 4, 4, 8], count), 1)
    retried = (dice.random(count) < 0.008) & ~is_parallel
    judged = is_parallel & (dice.random(count) < 0.15)
    escalated = is_parallel & ~judged & (dice.random(count) < 0.2)
    shadowed = dice.random(count) < 0.005
    total = samples + retried + judged + escalated + shadowed
    request = np.repeat(np.arange(count), total)
    number = np.arange(len(request)) - np.repeat(np.cumsum(total) - total, total)
    in_samples = number < samples[request]
    after = number - samples[request]
    is_judge = judged[request] & (after == 0)
    is_escalation = escalated[request] & (after == 0)
    is_shadow = shadowed[request] & (number == total[request] - 1)
    is_failed_try = retried[request] & (number == 0)
    answer_no = np.where(escalated, samples, np.where(is_parallel, dice.integers(0, 8, count) % samples, retried))
    answer_no = np.where(has_failed, -1, answer_no)
    kind = np.select(
        [is_shadow, is_judge, is_parallel[request] & in_samples],
        [codes.KINDS[k] for k in (CallKind.SHADOW, CallKind.JUDGE, CallKind.SAMPLE)],
        codes.KINDS[CallKind.ANSWER],
    )
    strong = is_escalation | is_shadow | (tier[request] == 1)
    draw = dice.random(len(request))
    model = np.where(strong, 1, np.where(is_judge | (draw < 0.02), 3, np.where(draw > 0.998, 2, 0)))
    unknown = draw < 0.001
    has_ended_badly = has_failed[request] | is_failed_try
    status = np.select(
        [is_failed_try | has_failed[request], is_cancelled[request]],
        [codes.STATUSES[CallStatus.ERROR], codes.STATUSES[CallStatus.CANCELLED]],
        codes.STATUSES[CallStatus.OK],
    )
    precision = np.select(
        [unknown, is_cancelled[request] | (draw > 0.99)],
        [codes.PRECISIONS[Precision.UNKNOWN], codes.PRECISIONS[Precision.ESTIMATED]],
        codes.PRECISIONS[Precision.EXACT],
    )
    size = len(request)
    prompt = np.clip(dice.lognormal(7.0, 0.8, size), 60, 100_000).astype(np.int64)
    cached = (prompt * np.where(dice.random(size) < 0.6, dice.uniform(0.2, 0.8, size), 0)).astype(np.int64)
    visible = np.clip(dice.lognormal(5.6, 0.8, size), 1, 8_000).astype(np.int64)
    thinking = np.where(strong, np.clip(dice.lognormal(7.3, 0.9, size), 50, 30_000), 0).astype(np.int64)
    visible[has_ended_badly], thinking[has_ended_badly] = 0, 0
    usage = np.stack((prompt - cached, cached, np.zeros(size, np.int64), visible, thinking))
    price_id, cost = _priced(world, model, usage)
    started = ms[request] * 1_000 + 2_000
    duration = np.clip(dice.lognormal(7.2, 0.6, size) * np.where(strong, 5, 1), 80, 300_000).astype(np.int64)
    slowest = np.zeros(count, np.int64)
    np.maximum.at(slowest, request, duration)
    all_ids = np.array(ids, dtype=object)[request]
    optional = [[None if p < 0 else p for p in column.tolist()] for column in (cost, cost, price_id)]
    tokens = [[None if gone else t for gone, t in zip(unknown.tolist(), c.tolist(), strict=True)] for c in usage]
    model_ids = np.array([world.labels[name] for name in MODELS])[model]
    call_tier = np.where(is_escalation, codes.TIERS[Tier.REASONING], tier[request] + 1)
    columns: list[Any] = [
        all_ids,
        started,
        started + 400_000 + duration * 1_000,
        *optional,
        *tokens,
        np.minimum(duration, 700),
        duration,
        number,
        kind,
        call_tier,
        status,
        precision,
        model_ids,
        [None] * size,
    ]
    return columns, answer_no, slowest


def _priced(world: World, model: Ints, usage: Ints) -> tuple[Ints, Ints]:
    """Price calls in whole nano-dollars, half-even as the ledger does; -1 is no price."""
    price_id, cost = np.full(len(model), -1, np.int64), np.full(len(model), -1, np.int64)
    for place, name in enumerate(MODELS):
        price = world.prices[name]
        if price is None:
            continue
        chosen = model == place
        each = np.array(list(price.rates_by_bucket().values()))
        whole, rest = np.divmod(each @ usage[:, chosen], 1_000)
        price_id[chosen] = price.id
        cost[chosen] = whole + ((rest > 500) | ((rest == 500) & (whole % 2 == 1)))
    return price_id, cost


def _statements(
    world: World, start_ms: int, now_ms: int, count: int, dice: np.random.Generator
) -> list[dict[str, object]]:
    """What a made-up network reported for a day, some days later: a little off what was expected."""
    if now_ms - start_ms < 4 * DAY_MS:
        return []
    day = datetime.fromtimestamp(start_ms / 1_000, UTC).date().isoformat()
    return [
        {
            "source": "synthetic",
            "event_id": f"{day}-{country}",
            "segment": "free",
            "country": country,
            "day": day,
            "kind": "statement",
            "amount_nanousd": int(
                count * SEGMENTS["free"] * COUNTRIES[country] * world.expected["free", country] * dice.normal(0.75, 0.1)
            ),
            "received_at": (start_ms + 3 * DAY_MS) * 1_000,
        }
        for country in ("US", "DE", "GB")
    ]


def _world(engine: Engine, now_us: int) -> World:
    texts = {*SEGMENTS, *COUNTRIES, *ANSWER_TYPES, *MODELS, *LANGUAGE_OF.values(), "auto", "synthetic"}
    with writing(engine) as connection:
        known = labels(connection, texts)
    prices, earnings = PriceBook.load(engine), RevenueBook.load(engine)
    assert earnings.version is not None
    expected = {(s, c): earnings.expected(s, c, True)[1] or 0 for s in SEGMENTS for c in COUNTRIES}
    return World(known, {name: prices.in_effect(name, now_us) for name in MODELS}, expected, earnings.version)


def _choice(dice: np.random.Generator, count: int, shares: dict[Any, float]) -> Ints:
    weights = np.array(list(shares.values()))
    return dice.choice(len(shares), count, p=weights / weights.sum()).astype(np.int64)


def _ids(ms: Ints, dice: np.random.Generator) -> list[bytes]:
    """UUIDv7s of these milliseconds, sorted."""
    high = (ms.astype(np.uint64) << np.uint64(16)) | np.uint64(0x7000)
    high |= dice.integers(0, 1 << 12, len(ms), dtype=np.uint64)
    low = dice.integers(0, 1 << 62, len(ms), dtype=np.uint64) | np.uint64(1 << 63)
    order = np.lexsort((low, high))
    octets = np.stack((high[order], low[order]), axis=1).astype(">u8").tobytes()
    return [octets[place : place + 16] for place in range(0, len(octets), 16)]


def _insert(
    engine: Engine, day: tuple[list[Any], list[Any], list[Any]], statements: Sequence[dict[str, object]]
) -> None:
    _, requests, calls = day
    with writing(engine) as connection:
        _insert_columns(connection, "requests", RequestRow.__struct_fields__, requests)
        _insert_columns(connection, "calls", CallRow.__struct_fields__, calls)
        if statements:
            known = {row[0] for row in connection.exec_driver_sql(KNOWN_STATEMENTS)}
            if new := [row for row in statements if row["event_id"] not in known]:
                connection.execute(insert(RevenueEvent), new)


KNOWN_STATEMENTS = "SELECT event_id FROM revenue_events WHERE source = 'synthetic'"


def _insert_columns(connection: Connection, table: str, names: Sequence[str], columns: Sequence[Any]) -> None:
    rows = zip(*(c.tolist() if isinstance(c, np.ndarray) else c for c in columns), strict=True)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - names of our own
        connection.exec_driver_sql(statement, list(rows))
        return
    cursor: Any = connection.connection.cursor()
    with cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
        lines = []
        for id, *values in rows:
            lines.append("\t".join([id.hex(), *("\\N" if v is None else str(v) for v in values)]))
            if len(lines) >= 5_000:
                copy.write("\n".join(lines) + "\n")
                lines.clear()
        if lines:
            copy.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    typer.run(seed_demo)
