"""What is learnt afterwards: thumbs, what people did next, revenue events of single requests, daily statements."""

from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Connection, insert, select

from router.database import codes
from router.database.tables import RevenueEvent
from router.types import DAY_MS, Outcome, Signal
from scripts.showcase.seed.calls import Answered
from scripts.showcase.seed.columns import Column, Columns, known
from scripts.showcase.seed.days import FAST, Asked, Bools, Ints
from scripts.showcase.seed.world import AUTHOR, CALLERS, COUNTRIES, World

LATE_MS = 4 * DAY_MS  # statements come some days later
BY_STATEMENT = ("US", "DE", "GB")  # where a network reports by the day; elsewhere it names requests
NETWORK_LEVEL, NETWORK_SPREAD = 0.75, 0.1  # what is booked is a little off what was expected


def signals(asked: Asked, dice: np.random.Generator) -> tuple[Ints, Column]:
    """What a later turn says of the answer before it, -1 nothing; and the request that it judges."""
    count = len(asked)
    is_told = (asked.turn > 1) & (dice.random(count) < 0.04)
    kinds = np.array([codes.SIGNALS[s] for s in (Signal.REGENERATE, Signal.PUSHBACK, Signal.DEEPER)])
    signal = np.where(is_told, kinds[dice.integers(0, len(kinds), count)], -1)
    earlier = np.maximum(np.arange(count) - dice.integers(1, 40, count), 0)
    return signal, Column(asked.ids[earlier], ~is_told | (earlier == np.arange(count)))


def feedback(world: World, asked: Asked, answered: Answered, dice: np.random.Generator) -> Columns:
    """Thumbs of some: up as often as the answer is right, a little noise both ways; the displeased speak up more."""
    count = len(asked)
    p_right = np.where(answered.final_tier == FAST, asked.p_fast, asked.p_reasoning)
    is_right = dice.random(count) < 0.04 + 0.92 * p_right
    has_answer = answered.outcome == codes.OUTCOMES[Outcome.OK]
    chosen = np.flatnonzero(has_answer & (dice.random(count) < np.where(is_right, 0.015, 0.03)))
    later_us = dice.integers(5_000_000, 600_000_000, len(chosen))
    return {
        "request_id": Column(asked.ids[chosen]),
        "key_id": known(np.array(world.keys)[asked.caller[chosen]]),
        "rating": Column(np.where(is_right[chosen], 1, -1)),
        "created_at": Column(asked.ms[chosen] * 1_000 + later_us),
    }


def book_events(
    connection: Connection, asked: Asked, expected: Ints, is_ok: Bools, now_ms: int, dice: np.random.Generator
) -> None:
    """Impressions that a network booked for single requests, in countries without daily statements."""
    elsewhere = ~np.isin(asked.country, [list(COUNTRIES).index(name) for name in BY_STATEMENT])
    chosen = np.flatnonzero(is_ok & elsewhere & (expected > 0) & (dice.random(len(asked)) < 0.002))
    if not len(chosen):
        return
    amounts = expected[chosen] * dice.gamma(1.5, 0.6, len(chosen))
    rows = [
        {
            "source": AUTHOR,
            "event_id": f"impression-{asked.ids[place].tobytes().hex()}",
            "request_id": asked.ids[place].tobytes().hex(),
            "kind": "impression",
            "amount_nanousd": int(amount),
            "synthetic": True,
            "received_at": min(int(asked.ms[place]) + 3_600_000, now_ms) * 1_000,
        }
        for place, amount in zip(chosen.tolist(), amounts.tolist(), strict=True)
    ]
    connection.execute(insert(RevenueEvent), rows)


def book_statements(
    connection: Connection, world: World, start_ms: int, now_ms: int, count: int, dice: np.random.Generator
) -> None:
    """What a network reported for a day, some days later; a day is reported once."""
    levels = dice.normal(NETWORK_LEVEL, NETWORK_SPREAD, len(BY_STATEMENT)).tolist()
    if now_ms - start_ms < LATE_MS:
        return
    day = datetime.fromtimestamp(start_ms / 1_000, UTC).date().isoformat()
    share = sum(share for _, segment, share in CALLERS if segment == "free")
    rows = [
        {
            "source": AUTHOR,
            "event_id": f"{day}-{country}",
            "segment": "free",
            "country": country,
            "day": day,
            "kind": "statement",
            "amount_nanousd": int(count * share * COUNTRIES[country] * world.expected["free", country] * level),
            "received_at": (start_ms + LATE_MS - DAY_MS) * 1_000,
            "synthetic": True,
        }
        for country, level in zip(BY_STATEMENT, levels, strict=True)
    ]
    query = select(RevenueEvent.event_id).where(RevenueEvent.source == AUTHOR, RevenueEvent.day == day)
    booked = set(connection.scalars(query))
    if new := [row for row in rows if row["event_id"] not in booked]:
        connection.execute(insert(RevenueEvent), new)
