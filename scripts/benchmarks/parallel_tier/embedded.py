"""Four samples of the embedded model beside one, all of the same length: answers may not end before they are cut.

Rounds take the conditions in turn, each with a question that no cache has seen; what is compared are the ratios within
a round, so that other work on the machine falls on both sides.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from math import comb
from operator import attrgetter
from statistics import median

from router.providers.base import ModelTarget, ProviderRequest
from router.providers.embedded.client import CONTEXT_TOKENS, EmbeddedProvider, weights_of
from router.providers.embedded.engine import Event, LlamaEngine
from scripts.benchmarks.parallel_tier.tables import Table

SAMPLES = 4
BAR = 3.0
TARGET = ModelTarget("embedded/smollm2", timeout_s=600.0)
ONE, AGAIN, TOGETHER, IN_TURN = "one", "one again", "four together", "four in turn"


@dataclass(frozen=True, slots=True)
class Shape:
    """How long a question is (times the same words) and how many tokens every sample generates."""

    name: str
    repeats: int
    tokens: int


SHORT, LONG, LONGER = SHAPES = (
    Shape("short question", 1, 64),
    Shape("long question", 20, 64),
    Shape("long question", 20, 160),
)


@dataclass(frozen=True, slots=True)
class Took:
    """What one condition took in one round."""

    wall_s: float
    cpu_s: float
    input_tokens: int


Round = dict[str, Took]
Quantity = Callable[[Took], float]
WALL: Quantity = attrgetter("wall_s")
CPU: Quantity = attrgetter("cpu_s")


@dataclass(frozen=True, slots=True)
class Spread:
    """A median over rounds and its 95 % interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def spread(values: Sequence[float]) -> Spread:
    """Return the median with its interval by order statistics; of fewer than six values, the least and the greatest."""
    ordered, n = sorted(values), len(values)
    outside = 0
    while 2 * sum(comb(n, j) for j in range(outside + 1)) <= 0.05 * 2**n:
        outside += 1
    cut = max(0, outside - 1)
    return Spread(median(ordered), ordered[cut], ordered[n - 1 - cut])


def ratios(rounds: Sequence[Round], condition: str, quantity: Quantity) -> list[float]:
    """Return what a condition took in each round, in units of what one sample took in that round."""
    return [quantity(each[condition]) / quantity(each[ONE]) for each in rounds]


def row(shape: Shape, rounds: Sequence[Round]) -> list[str]:
    """Write what was measured of a shape."""
    alone = [each[ONE] for each in rounds]
    wall, cpu = (
        {condition: spread(ratios(rounds, condition, quantity)) for condition in (AGAIN, TOGETHER, IN_TURN)}
        for quantity in (WALL, CPU)
    )
    return [
        f"{shape.name}, {median(took.input_tokens for took in alone):.0f} tokens",
        str(shape.tokens),
        f"{median(took.wall_s for took in alone):.2f} s, {median(took.cpu_s for took in alone):.2f} s",
        str(wall[TOGETHER]),
        str(cpu[TOGETHER]),
        f"{BAR:g}",
        f"{wall[IN_TURN]}, {cpu[IN_TURN]}",
        f"{wall[AGAIN]}, {cpu[AGAIN]}",
    ]


def step_ms(condition: str, rounds: Sequence[Round], longer: Sequence[Round]) -> float:
    """Return the CPU time of one more token of every sample: what LONGER takes more than LONG, the question is one."""
    less, more = (median(CPU(each[condition]) for each in found) for found in (rounds, longer))
    return 1e3 * (more - less) / (LONGER.tokens - LONG.tokens)


def in_brief(each: Round) -> str:
    """Write the ratios of one round: wall time, then CPU time."""
    return ", ".join(
        f"{name} {ratios([each], name, WALL)[0]:.2f}x wall {ratios([each], name, CPU)[0]:.2f}x CPU"
        for name in (TOGETHER, IN_TURN, AGAIN)
    )


class Unending(LlamaEngine):
    """An engine whose answers end only where they are cut."""

    def run(self, body: Event) -> AsyncGenerator[Event]:
        return super().run(body | {"ignore_eos": True})


class Bench:
    """The embedded model, asked questions it has not seen."""

    def __init__(self) -> None:
        self._provider = EmbeddedProvider(Unending(weights_of(TARGET.model), context_tokens=CONTEXT_TOKENS))
        self._numbers = count(1)

    async def rounds(self, shape: Shape, number: int) -> AsyncGenerator[Round]:
        """Measure; each round begins with another condition."""
        conditions: dict[str, Callable[[str], Awaitable[int]]] = {
            ONE: lambda question: self._sample(shape, question, 0),
            TOGETHER: lambda question: self._together(shape, question),
            AGAIN: lambda question: self._sample(shape, question, 0),
            IN_TURN: lambda question: self._in_turn(shape, question),
        }
        names = list(conditions)
        await self._sample(shape, self._question(shape), 0)
        for i in range(number):
            first = i % len(names)
            order = (*names[first:], *names[:first])
            yield {name: await _took(conditions[name](self._question(shape))) for name in order}

    async def close(self) -> None:
        """Free the memory."""
        await self._provider.close()

    def _question(self, shape: Shape) -> str:
        year = 1000 + next(self._numbers) % 9000
        return f"{year}: " + f"in the year {year} " * shape.repeats + "what came to pass? Explain each step."

    async def _together(self, shape: Shape, question: str) -> int:
        return sum(await asyncio.gather(*(self._sample(shape, question, seed) for seed in range(SAMPLES))))

    async def _in_turn(self, shape: Shape, question: str) -> int:
        return sum([await self._sample(shape, question, seed) for seed in range(SAMPLES)])

    async def _sample(self, shape: Shape, question: str, seed: int) -> int:
        """Take a sample as the tier does; returns its tokens of input."""
        messages = [{"role": "user", "content": question}]
        request = ProviderRequest(TARGET, messages, {"seed": seed}, max_visible_tokens=shape.tokens)
        answer = await self._provider.complete(request)
        assert answer.metered is not None
        assert answer.metered.usage.output_visible == shape.tokens, answer.metered.usage
        return answer.metered.usage.input_tokens


async def _took(work: Awaitable[int]) -> Took:
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = await work
    return Took(time.perf_counter() - wall, time.process_time() - cpu, tokens)


async def measured(rounds: int) -> Table:
    """Measure every shape."""
    bench = Bench()
    load_before = os.getloadavg()[0]
    try:
        found: dict[Shape, list[Round]] = {shape: [] for shape in SHAPES}
        for shape, done in found.items():
            async for each in bench.rounds(shape, rounds):
                done.append(each)
                sys.stderr.write(f"{shape.name}, {shape.tokens} new tokens, round {len(done)}: {in_brief(each)}\n")
    finally:
        await bench.close()
    one_ms, four_ms = (step_ms(condition, found[LONG], found[LONGER]) for condition in (ONE, TOGETHER))
    cores, load_after = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return Table(
        "Four samples of the embedded model",
        f"In `scripts/bench_parallel --embedded --rounds {rounds}` every sample generates the same number of tokens, "
        "and no question was seen before. The table shows what four samples take, in units of what one takes in the "
        "same round: the median over rounds with its 95 % interval, for wall and CPU time. In turn, the last three "
        f"find their question in the cache. One more token costs {one_ms:.1f} ms of CPU alone and {four_ms:.1f} ms "
        f"for four together, {four_ms / one_ms:.2f} times as much. This was measured on {cores} cores at a load "
        f"average of {load_before:.1f} at the start and {load_after:.1f} at the end, including the bench's own: above "
        "the number of cores, others were at work, and wall time says as much about them.",
        [
            "question",
            "new tokens",
            "one: wall, CPU",
            "four together: wall",
            "four together: CPU",
            "bar",
            "four in turn: wall, CPU",
            "one again: wall, CPU",
        ],
        [row(shape, done) for shape, done in found.items()],
    )
