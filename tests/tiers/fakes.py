"""A provider that answers from a script, books that keep entries in a list, and builders of queries."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from classifier.types import AnswerType, Estimate, Forecast, Stakes
from router.errors import ProviderError
from router.ledger.entries import CallIntent, CallResult, Entry, Opening
from router.ledger.prices import Price, PriceBook, Rates
from router.providers.base import Completion, Delta, Metered, ModelTarget, ProviderRequest
from router.providers.collecting import collect
from router.tiers.base import TierRequest
from router.tiers.calls import Calls
from router.types import Precision, Reason, Tier, Usage

CHEAP = ModelTarget("scripted/cheap")
OTHER = ModelTarget("scripted/other")
STRONG = ModelTarget("scripted/strong")
UNPRICED = ModelTarget("scripted/unpriced")
REQUEST_ID = "0192f0c1a2b37000800000000000abcd"


@dataclass
class Hang:
    """A reply that begins and never ends."""

    first: str = ""


@dataclass
class BreakOff:
    """A reply that ends in the middle."""

    text: str


Reply = str | Delta | Sequence[Delta] | ProviderError | Exception | Hang | BreakOff
Script = Callable[[ProviderRequest, int], Reply]


@dataclass
class FakeProvider:
    """Answers call i with `script(request, i)`; remembers requests and which streams were closed early."""

    script: Script
    requests: list[ProviderRequest] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
        index = len(self.requests)
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            match self.script(request, index):
                case Exception() as error:
                    raise error
                case Hang(first):
                    if first:
                        yield Delta(content=first)
                    await asyncio.Event().wait()
                case BreakOff(text):
                    yield Delta(content=text)
                case str() as text:
                    yield Delta(content=text)
                    yield Delta(finish_reason="stop", metered=metered())
                case Delta() as delta:
                    yield delta
                    yield Delta(finish_reason="tool_calls" if delta.tool_calls else "stop", metered=metered())
                case deltas:
                    for delta in deltas:
                        yield delta
        except (asyncio.CancelledError, GeneratorExit):
            self.closed.append(index)
            raise
        finally:
            self.in_flight -= 1

    async def complete(self, request: ProviderRequest) -> Completion:
        return await collect(self.stream(request), request.target.name)

    async def ping(self, target: ModelTarget) -> None:
        return None

    async def close(self) -> None:
        return None


def metered(output: int = 10) -> Metered:
    """Return what a scripted call uses: 5 tokens in, 10 out."""
    return Metered(Usage(input_fresh=5, output_visible=output), Precision.EXACT)


class FakeBooks:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def write(self, entries: Sequence[Entry]) -> None:
        self.entries += entries

    def intents(self) -> list[CallIntent]:
        return [e for e in self.entries if isinstance(e, CallIntent)]

    def results(self) -> list[CallResult]:
        return [e for e in self.entries if isinstance(e, CallResult)]


class FakeClock:
    """Time that goes on by one microsecond whenever it is read."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def now_us(self) -> int:
        self.now += 1
        return self.now

    def ticks_ms(self) -> float:
        self.now += 1
        return self.now / 1000


PRICES = PriceBook(
    Price(number, target.name, 0, None, "test", (Rates(input=1_000_000, output=usd * 1_000_000),))
    for number, (target, usd) in enumerate(((CHEAP, 2), (OTHER, 2), (STRONG, 60)), 1)
)


def some_calls(provider: FakeProvider, books: FakeBooks | None = None) -> Calls:
    """Return the calls of a fresh request."""
    opening = Opening(
        REQUEST_ID, 1_000_000, None, "default", "ZZ", "parallel", Tier.PARALLEL, Reason.OVERRIDE,
        0.5, 0.4, 0.9, 1.0, 1, "test", "numeric", None, 1, False, False, None, None,
    )  # fmt: skip
    return Calls(opening, books or FakeBooks(), PRICES, lambda _: provider, FakeClock(), 100)


def an_estimate(
    answer_type: AnswerType = AnswerType.NUMERIC, stakes: Stakes = Stakes.LOW, p_reasoning: float = 0.9
) -> Estimate:
    """Return an estimate of a question that cheap models get right half of the time."""
    forecast = Forecast(10, 100, 500)
    return Estimate(0.5, p_reasoning, 0.1, answer_type, stakes, forecast, forecast, "test")


def a_query(
    question: str = "How much is it?",
    answer_type: AnswerType = AnswerType.NUMERIC,
    *,
    stakes: Stakes = Stakes.LOW,
    params: dict[str, Any] | None = None,
    **changes: Any,
) -> TierRequest:
    """Return a query with one user message."""
    return TierRequest(
        REQUEST_ID,
        [{"role": "user", "content": question}],
        params or {},
        an_estimate(answer_type, stakes),
        100,
        **{"max_output_tokens": 1000, **changes},
    )


def saying(*texts: str | Reply) -> Script:
    """Return a script that gives these replies in turn, the last one for ever."""
    return lambda _, index: texts[min(index, len(texts) - 1)]
