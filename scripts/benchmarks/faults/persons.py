"""Allowances of persons under load: eight workers claim deep answers for the same people, and some are killed.

Each worker notes every deep answer that it gave away, and what that cost, in a file of its own, beside the books: by
these notes no person may have had more answers, or cost more, than the allowance of the day. Run by itself the module
is one of the workers.
"""

import asyncio
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, or_, select

from router.clock import SystemClock
from router.database.engine import open_engine
from router.database.tables import PersonDay
from router.ledger.persons import PersonAllowances, PersonHold, PersonLimit
from scripts.benchmarks.faults.served import Place

PROCESSES = 8
PEOPLE = 10_000
EAGER = 500  # people of whom half of the questions come
DEEP_A_DAY, NANOUSD_A_DAY = 3, 100_000_000
MOST_NANOUSD = 60_000_000  # that one answer may cost
KILLED_AFTER_S, PATIENCE_S = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class PersonsFound:
    """What the notes and the books say once all workers are through or dead."""

    asked: int
    granted: int
    people: int  # who got any
    spent: int  # people whose allowance was used up, so that it was put to the test
    over: int  # people who had more than they may, by the notes or by the books
    killed: int


def press(place: Place, asks: int, people: int = PEOPLE, kills: int = 2) -> PersonsFound:
    """Let the workers ask, kill some of them on the way, and count."""
    command = [sys.executable, "-m", __spec__.name, place.database_url, str(place.directory), str(people), str(asks)]
    workers = [subprocess.Popen([*command, str(seed)]) for seed in range(PROCESSES)]
    deadline = time.monotonic() + PATIENCE_S
    while len(list(place.directory.glob("*.notes"))) < PROCESSES and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(KILLED_AFTER_S)
    killed = 0
    for worker in workers[:kills]:
        if worker.poll() is None:
            worker.kill()
            killed += 1
    codes = [worker.wait() for worker in workers]
    assert not any(codes[kills:]), "a worker failed"
    return _count(place, asks * PROCESSES, killed)


def _count(place: Place, asked: int, killed: int) -> PersonsFound:
    deep: Counter[int] = Counter()
    nanousd: Counter[int] = Counter()
    for path in place.directory.glob("*.notes"):
        for line in path.read_text().splitlines():
            if line.endswith("]"):  # the last line of a killed worker may be cut
                mark, cost = json.loads(line)
                deep[mark] += 1
                nanousd[mark] += cost
    is_over = or_(PersonDay.deep > DEEP_A_DAY, PersonDay.taken_nanousd > NANOUSD_A_DAY)
    engine = open_engine(place.database_url)
    with engine.connect() as connection:
        over = connection.scalar(select(func.count()).select_from(PersonDay).where(is_over)) or 0
    engine.dispose()
    by_notes = [m for m in deep if deep[m] > DEEP_A_DAY or nanousd[m] > NANOUSD_A_DAY]
    spent = sum(deep[m] == DEEP_A_DAY or nanousd[m] > NANOUSD_A_DAY - MOST_NANOUSD // 2 for m in deep)
    return PersonsFound(asked, deep.total(), len(deep), spent, over + len(by_notes), killed)


async def _work(url: str, directory: Path, people: int, asks: int, seed: int) -> None:
    """One worker: it claims, notes what it gave away, settles at less, and gives back from a thread of its own."""
    engine, clock, dice = open_engine(url), SystemClock(), random.Random(seed)
    book, limit = PersonAllowances(engine, clock.now_us), PersonLimit(DEEP_A_DAY, NANOUSD_A_DAY)
    day_us = clock.now_us()  # all claims are of one day, whenever this runs
    stopping = threading.Event()

    def follow() -> None:
        while not stopping.wait(0.2):
            book.follow()

    follower = threading.Thread(target=follow)
    follower.start()
    with (directory / f"{seed}.notes").open("w", buffering=1) as notes:

        async def ask() -> None:
            mark = dice.randrange(EAGER) if dice.random() < 0.5 else dice.randrange(people)
            bound = dice.randrange(MOST_NANOUSD)
            hold = PersonHold(book, mark, limit, day_us, None)
            if not await hold.claim(bound):
                return
            hold.take(bound)
            cost = dice.randrange(bound + 1)
            notes.write(f"[{mark}, {cost}]\n")
            await asyncio.sleep(dice.random() * 0.01)
            hold.settle(bound, cost)
            hold.close()

        for _ in range(asks // 8):
            await asyncio.gather(*(ask() for _ in range(8)))
    stopping.set()
    follower.join()
    book.follow()
    engine.dispose()


if __name__ == "__main__":
    url, directory, people, asks, seed = sys.argv[1:]
    asyncio.run(_work(url, Path(directory), int(people), int(asks), int(seed)))
