"""SIGKILL at random moments under load, restart, and the books against the tally after each."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from router.ledger.verify import verify
from scripts.benchmarks.faults.account import Account, account
from scripts.benchmarks.faults.load import Load
from scripts.benchmarks.faults.served import Instance, Place


@dataclass(frozen=True, slots=True)
class Kills:
    """How often the promise held."""

    rounds: int
    held: int
    sent: int
    answered: int
    breaks: dict[str, int]
    last: Account


async def kills(place: Place, rounds: int, seed: int = 1, told: Callable[[str], None] = lambda line: None) -> Kills:
    """Kill `rounds` times; every restart adopts what the dead worker left, then both sides are compared."""
    dice = random.Random(seed)
    instance = Instance(place)
    try:
        await instance.start()
        answered: list[str] = []
        held = sent = 0
        engine = place.engine()
        found = account(engine, place.tally)
        for number in range(rounds):
            load = Load(place.url, clients=12, seed=seed + number)
            load.start()
            await asyncio.sleep(dice.uniform(0.05, 1.5))
            if number == rounds - 1:
                await load.wait_answered()  # on a slow machine nothing may have been served so far
            await instance.kill()
            seen = await load.stop(abruptly=True)
            answered += seen.answered
            sent += seen.sent
            instance = Instance(place)
            await instance.start()
            await instance.wait_shipped()
            found = account(engine, place.tally, answered)
            held += found.holds
            if not found.holds or number % 20 == 19:
                told(f"kill {number + 1}: {'held' if found.holds else 'BROKEN'} {found}")
    finally:
        await instance.stop()
    breaks = dict(verify(engine, place.directory / "state").breaks)
    engine.dispose()
    return Kills(rounds, held, sent, len(answered), breaks, found)
