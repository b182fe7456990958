"""The command behind `scripts/seed_demo`: a day at a time straight into the tables, rolled up at the end."""

import os
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from sqlalchemy import Engine

from router.clock import SystemClock
from router.commands.opening import open_books
from router.database import codes
from router.database.engine import writing
from router.database.tables import Call, Feedback, Request
from router.ledger import rollups
from router.types import DAY_MS, Outcome, Reason
from scripts.benchmarks.pages import circumstances, put
from scripts.showcase.seed import columns, evidence
from scripts.showcase.seed.calls import Answered, called
from scripts.showcase.seed.columns import Column, Columns, known
from scripts.showcase.seed.days import Asked, Ints, asked, per_day
from scripts.showcase.seed.world import ANSWER_TYPES, COUNTRIES, SEGMENTS, World, prepared

DEAR_DAYS_AGO = 1  # yesterday a provider stumbled: something for a report to find


def seed_demo(
    requests: Annotated[int, typer.Option(min=1, help="How many requests.")] = 100_000,
    days: Annotated[int, typer.Option(min=1, max=3_000, help="Spread over so many days up to now.")] = 90,
    seed: Annotated[int, typer.Option(help="The same seed makes the same traffic.")] = 1,
    config: Annotated[Path | None, typer.Option(help="Configuration file.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Put the time into docs/measured/reports-speed.md.")] = False,
) -> None:
    """Fill the configured database with made-up traffic, marked synthetic."""
    began, load, dice = time.perf_counter(), os.getloadavg()[0], np.random.default_rng(seed)
    now_us = SystemClock().now_us()
    with open_books(config) as (configured, engine):
        world = prepared(engine, configured, now_us - days * DAY_MS * 1_000, now_us)
        made = 0
        for start_ms, count in per_day(requests, days, now_us // 1_000, dice):
            _book_day(engine, world, start_ms, now_us // 1_000, count, dice)
            made += count
        inserted = time.perf_counter()
        rollups.catch_up(engine, now_us)
    ended = time.perf_counter()
    typer.echo(f"{made} requests in {inserted - began:.1f} s, rolled up in {ended - inserted:.1f} s")
    if write:
        took = f"{ended - began:.0f} s, {time.process_time():.0f} s of CPU in this process, rolled up"
        put("reports-speed.md", f"seeding {engine.dialect.name}", f"{made:,} requests: {took}; {circumstances(load)}.")


def _book_day(engine: Engine, world: World, start_ms: int, now_ms: int, count: int, dice: np.random.Generator) -> None:
    is_dear = start_ms // DAY_MS == now_ms // DAY_MS - DEAR_DAYS_AGO
    queries = asked(world, start_ms, min(start_ms + DAY_MS, now_ms), count, dice)
    calls, answered = called(world, queries, dice, is_dear=is_dear)
    eligible = (queries.reason != codes.REASONS[Reason.HOUSEKEEPING]) & (dice.random(count) < 0.85)
    is_ok = answered.outcome == codes.OUTCOMES[Outcome.OK]
    expected = np.where(eligible & is_ok, _amounts(world)[queries.segment, queries.country], 0)
    rows = _requests(world, queries, answered, expected, eligible, dice)
    thumbs = evidence.feedback(world, queries, answered, dice)
    with writing(engine) as connection:
        columns.insert(connection, Request, rows)
        columns.insert(connection, Call, calls)
        columns.insert(connection, Feedback, thumbs)
        evidence.book_events(connection, queries, expected, is_ok, now_ms, dice)
        evidence.book_statements(connection, world, start_ms, now_ms, count, dice)


def _amounts(world: World) -> Ints:
    return np.array([[world.expected[s, c] for c in COUNTRIES] for s in SEGMENTS], np.int64)


def _requests(
    world: World, asked: Asked, answered: Answered, expected: Ints, eligible: np.ndarray, dice: np.random.Generator
) -> Columns:
    count, opened_at = len(asked), asked.ms * 1_000
    closed_at = opened_at + answered.total_ms * 1_000
    signal, previous = evidence.signals(asked, dice)
    override = asked.reason == codes.REASONS[Reason.OVERRIDE]
    models = np.array([world.labels[name] for name in ("auto", "fast", "reasoning", "parallel")])
    return {
        "id": Column(asked.ids),
        "opened_at": Column(opened_at),
        "closed_at": Column(closed_at),
        "recorded_at": Column(closed_at + 300_000),
        "expected_revenue_nanousd": Column(expected),
        "score": Column(asked.score),
        "p_fast": Column(asked.p_fast),
        "p_reasoning": Column(asked.p_reasoning),
        "propensity": Column(asked.propensity),
        "key_id": known(np.array(world.keys)[asked.caller]),
        "policy_version": Column(asked.policy),
        "revenue_version": Column(np.full(count, world.revenue_version)),
        "first_byte_ms": Column(answered.first_byte_ms),
        "total_ms": Column(answered.total_ms),
        "first_tier": Column(asked.tier),
        "final_tier": Column(answered.final_tier),
        "reason": Column(asked.reason),
        "outcome": Column(answered.outcome),
        "answer_call_no": known(answered.answer_no),
        "turn": Column(asked.turn),
        "segment_id": Column(np.array([world.labels[s] for s in SEGMENTS])[asked.segment]),
        "country_id": Column(np.array([world.labels[c] for c in COUNTRIES])[asked.country]),
        "requested_model_id": Column(models[np.where(override, asked.tier, 0)]),
        "classifier_id": Column(np.full(count, world.labels["synthetic"])),
        "answer_type_id": Column(np.array([world.labels[a] for a in ANSWER_TYPES])[asked.answer_type]),
        "language_id": known(asked.language),
        "streamed": Column(dice.random(count) < 0.8),
        "ads_eligible": Column(eligible),
        "synthetic": Column(np.ones(count, bool)),
        "signal": known(signal),
        "previous_id": previous,
    }


if __name__ == "__main__":
    typer.run(seed_demo)
