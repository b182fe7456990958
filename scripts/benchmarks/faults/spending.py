"""A hard budget after providers failed and clients hung up: what is spent of it is what the provider billed."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from sqlalchemy import func, select

from router.database.tables import BudgetPeriod, Call
from router.ledger import budgets
from router.ledger.budgets import BudgetScope, Period
from router.ledger.prices import PriceBook
from router.money import nano_from_usd
from router.types import CallStatus, Precision
from scripts.benchmarks.faults.account import Account, account, read_tally
from scripts.benchmarks.faults.served import MODELS, Instance, Place

LIMIT = nano_from_usd("1000")
AT_ONCE = 10
FAILING = """
[models.midway]
model = "scripted/assistant-5ms-1gap-fail-midstream"
[models.refusing]
model = "scripted/assistant-5ms-fail-500"
[models.silent]
model = "scripted/assistant-5ms-fail-timeout"
"""


@dataclass(frozen=True, slots=True)
class Spending:
    """What a budget says, beside what the lines and the provider's own tally say."""

    failures: int
    hang_ups: int
    spent_nanousd: int
    leased_nanousd: int
    lines_nanousd: int
    estimated_nanousd: int
    billed_nanousd: int
    account: Account

    @property
    def holds(self) -> bool:
        """Spent is what the lines say, exact ones are what was billed, and estimates cover the rest."""
        is_booked = self.spent_nanousd == self.lines_nanousd and not self.leased_nanousd
        is_exact = self.account.exact_nanousd == self.account.tally_nanousd
        return is_booked and is_exact and abs(self.spent_nanousd - self.billed_nanousd) <= self.estimated_nanousd


async def spending(place: Place, each: int = 60) -> Spending:
    """Let so many requests fail at the provider and so many clients hang up, under one budget of everything."""
    engine = place.engine()
    budgets.put(engine, BudgetScope.TOTAL, "", Period.MONTH, LIMIT, "faults", "", time.time_ns() // 1000)
    instance = Instance(place)
    try:
        await instance.start()
        models = ("midway", "refusing", "silent")
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(_ask(place, gate, models[n % 3], n, None) for n in range(each)))
        await asyncio.gather(*(_ask(place, gate, "long", n, 0.05 + 0.02 * (n % 20)) for n in range(each)))
        await instance.wait_shipped()
    finally:
        await instance.stop()  # which gives back what was leased and not spent
    both = account(engine, place.tally)
    book, now_us = PriceBook.load(engine), time.time_ns() // 1000
    prices = {model: book.in_effect(model, now_us) for model in {one.model for one in read_tally(place.tally)}}
    billed = sum(price.cost(one.usage) for one in read_tally(place.tally) if (price := prices[one.model]))
    lines = select(func.sum(Call.cost_nanousd)).where(Call.status != CallStatus.NOT_SENT)
    with engine.connect() as connection:
        settled, leased = connection.execute(
            select(func.sum(BudgetPeriod.settled_nanousd), func.sum(BudgetPeriod.leased_nanousd))
        ).one()
        total = int(connection.scalar(lines) or 0)
        estimated = int(connection.scalar(lines.where(Call.precision != Precision.EXACT)) or 0)
    engine.dispose()
    return Spending(each, each, int(settled or 0), int(leased or 0), total, estimated, billed, both)


def a_place(directory: Path) -> Place:
    """Lay out an instance with models that fail."""
    return Place.make(directory, models=MODELS + FAILING)


async def _ask(place: Place, gate: asyncio.Semaphore, model: str, number: int, patience_s: float | None) -> None:
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": f"Tell me of {number}."}]}
    url, timeout = f"{place.url}/v1/chat/completions", aiohttp.ClientTimeout(total=60)
    async with gate:
        try:
            async with (
                asyncio.timeout(patience_s),
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, json=body) as reply,
            ):
                await reply.read()
        except (aiohttp.ClientError, TimeoutError):
            pass


def describe(found: Spending) -> str:
    """Write the figures for the table."""
    return (
        f"{found.failures} failures, {found.hang_ups} hang-ups: spent {found.spent_nanousd} nano-dollars, lines say "
        f"{found.lines_nanousd}, billed {found.billed_nanousd}, of it estimated {found.estimated_nanousd}; "
        f"{found.leased_nanousd} still leased"
    )
