"""Runs the real tier on recorded samples: a provider that serves them in recorded order, shuffled by a seed."""

import random
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from classifier.types import AnswerType, Estimate, Forecast, Stakes
from router.clock import SystemClock, request_id
from router.ledger.entries import Entry, Opening, VoteEnding
from router.ledger.prices import PriceBook
from router.providers.base import Choice, Completion, Delta, Metered, ModelTarget, Provider, ProviderRequest
from router.providers.collecting import collect
from router.tiers.base import Answer, TierRequest
from router.tiers.calls import Calls
from router.tiers.parallel.calibration import CalibrationTable
from router.tiers.parallel.fanout import Sample
from router.tiers.parallel.stopping import agreement, waves
from router.tiers.parallel.tier import ParallelOptions, ParallelTier
from router.tiers.parallel.voting import Vote
from router.tiers.single import SingleTier
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.clusters import VoteTally
from router.tiers.vote.keys import Asked, VoteKey, read_question
from router.tiers.vote.verifiers import Verifier
from router.types import CallStatus, Outcome, Precision, Reason, Tier, Usage
from scripts.benchmarks.parallel_tier.pools import Item

CHEAP, STRONG = ModelTarget("recorded/cheap"), ModelTarget("recorded/strong")
METERED = Metered(Usage(input_fresh=1, output_visible=1), Precision.EXACT)


class StreamingProvider:
    """A provider that streams: the whole of an answer is what it streams, and nothing is behind it."""

    def stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
        raise NotImplementedError

    async def complete(self, request: ProviderRequest) -> Completion:
        return await collect(self.stream(request), request.target.name)

    async def ping(self, target: ModelTarget) -> None:
        return None

    async def close(self) -> None:
        return None


class RecordedProvider(StreamingProvider):
    """Hands out the next recorded sample each time it is asked."""

    def __init__(self, texts: Sequence[str], strong: str = "strong") -> None:
        self._texts = texts
        self._strong = strong
        self._next = 0

    async def stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
        text = self._strong
        if request.target == CHEAP:
            text = self._texts[self._next]
            self._next += 1
        yield Delta(content=text, finish_reason="stop", metered=METERED)


class VoteBooks:
    """Books in which only how the vote ended is read."""

    ending: VoteEnding | None = None

    def write(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if isinstance(entry, VoteEnding):
                self.ending = entry


@dataclass(frozen=True, slots=True)
class Run:
    """One query replayed: what it answered with, what it took."""

    right: float
    samples: int
    escalated: bool
    accepted: bool
    reason: str
    ending: VoteEnding


PRICES = PriceBook()
CLOCK = SystemClock()


def a_tier(
    max_samples: int,
    checkers: CheckerPool,
    *,
    escalates: bool,
    verifiers: Sequence[Verifier] = (),
    with_tests: bool = False,
    price_ratio: float = 30.0,
    confidence: float = 0.95,
) -> ParallelTier:
    """Return the tier as it is served, but for verifiers, which a vote-only pool does without."""
    strong = SingleTier(Tier.REASONING, [STRONG]) if escalates else None
    settings = ParallelOptions((CHEAP,), max_samples, confidence, strong, price_ratio=price_ratio, at_once_overall=1000)
    return ParallelTier(settings, checkers=checkers, verifiers=verifiers, tests=_bits if with_tests else None)


_bits_of: dict[str, str] = {}


def _bits(_: Asked, choice: Choice) -> str | None:
    return _bits_of.get(choice.content or "")


@dataclass(frozen=True, slots=True)
class Replayed:
    """One query answered from recorded samples, and the calls and the entry that it left."""

    answer: Answer
    calls: Calls
    ending: VoteEnding


def ask(
    messages: list[dict[str, Any]],
    answer_type: AnswerType,
    provider: Provider,
    books: VoteBooks,
    input_bound_tokens: int,
    p_strong: float = 0.9,
) -> tuple[TierRequest, Calls]:
    """Return a query for the tier, and the calls of it that go to this provider and into these books."""
    forecast = Forecast(1, 1, 1)
    estimate = Estimate(0.5, p_strong, 0.1, answer_type, Stakes.LOW, forecast, forecast, "bench")
    made_id = request_id(CLOCK.now_us())
    opening = Opening(
        made_id, CLOCK.now_us(), None, "default", "ZZ", "auto", Tier.PARALLEL, Reason.ABOVE_THRESHOLD,
        0.4, 0.5, p_strong, 1.0, 1, "bench", answer_type, None, 1, False, False, None, None,
    )  # fmt: skip
    calls = Calls(opening, books, PRICES, lambda _: provider, CLOCK, input_bound_tokens)
    return TierRequest(made_id, messages, {}, estimate, input_bound_tokens, max_output_tokens=100), calls


async def replay_answer(
    tier: ParallelTier, item: Item, texts: Sequence[str], p_strong: float = 0.9, strong: str = "strong"
) -> Replayed:
    """Answer one question from these samples, and from a strong model that says `strong`."""
    _bits_of.clear()
    _bits_of.update(item.bits)
    books = VoteBooks()
    messages = [{"role": "user", "content": item.question}]
    query, calls = ask(messages, item.answer_type, RecordedProvider(texts, strong), books, 100, p_strong)
    answer = await tier.answer(query, calls)
    calls.close(answer.final_tier, Outcome.OK, answer.call_no)
    assert books.ending is not None
    return Replayed(answer, calls, books.ending)


async def replay(tier: ParallelTier, item: Item, order: Sequence[int], p_strong: float = 0.9) -> Run:
    """Answer one question from its samples in this order."""
    texts = [item.texts[i] for i in order]
    mark = item.strong_marks[order[0] % len(item.strong_marks)] if item.strong_marks else None
    said = "strong" if mark is None else "Answer: right" if mark else "Answer: wrong, the strong one"
    found = await replay_answer(tier, item, texts, p_strong, said)
    answer, trace = found.answer, found.answer.trace
    assert trace is not None
    escalated = answer.final_tier is Tier.REASONING
    samples = sum(c.status is not CallStatus.NOT_SENT for c in found.calls.made) - escalated
    reason = str(trace["stop_reason"])
    if escalated:
        right = (item.strong or 0.0) if mark is None else float(mark)
    else:
        right = float(item.correct[order[texts.index(answer.choices[0].content or "")]])
    return Run(right, samples, escalated, reason in ("accepted", "verified"), reason, found.ending)


async def replay_all(
    tier: ParallelTier, items: Sequence[Item], most: int, shuffles: int, p_strong: float = 0.9, *, learns: bool = False
) -> tuple[list[list[Run]], float]:
    """Replay every item in every shuffle; returns runs by item and CPU milliseconds per sample.

    The tier forgets after each query what it has seen, unless it `learns`: then the stopping rule is not alone.
    """
    began, samples = time.process_time(), 0
    runs: list[list[Run]] = []
    for item in items:
        runs.append([])
        for order in orders(item, most, shuffles):
            if not learns:
                tier.calibration = CalibrationTable()
            run = await replay(tier, item, order, p_strong)
            runs[-1].append(run)
            if learns and run.ending.samples:
                tier.calibration.saw(run.ending)
        samples += sum(run.samples for run in runs[-1])
    return runs, (time.process_time() - began) * 1000 / max(1, samples)


def orders(item: Item, most: int, shuffles: int) -> list[list[int]]:
    """Return the shuffles of an item: the same ones for whoever asks."""
    rng = random.Random(f"{item.id}/{most}")
    return [rng.sample(range(len(item.texts)), most) for _ in range(shuffles)]


async def clusters_of(
    item: Item, checkers: CheckerPool, *, with_tests: bool = False
) -> tuple[list[int | None], list[int]]:
    """Return the cluster of every sample of an item as the tier's own vote reads it, and the tests each passes."""
    vote = _vote(item, checkers, with_tests=with_tests)
    for sample in samples_of(item.texts):
        await vote.count(sample)
    cluster_of: list[int | None] = [None] * len(item.texts)
    for number, cluster in enumerate(vote.tally.clusters):
        for member in cluster.members:
            cluster_of[member] = number
    return cluster_of, [item.bits.get(text, "").count("1") for text in item.texts]


def selected(item: Item, order: Sequence[int], clusters: Sequence[int | None], passed: Sequence[int]) -> bool | None:
    """Tell whether the tier's selection over all samples of an order is right; None when none can be read."""
    tally = VoteTally()
    for index in order:
        cluster = clusters[index]
        if cluster is not None:
            tally.add(index, VoteKey("recorded", str(cluster)), tests=passed[index] if item.bits else None)
    ranked = tally.ranked
    return item.correct[ranked[0].members[0]] if ranked else None


def accept_only(
    order: Sequence[int], clusters: Sequence[int | None], confidence: float = 0.95
) -> tuple[int, int | None]:
    """Return the samples that a rule which only ever accepts spends in the same waves, and the sample it accepts."""
    counts: dict[int, int] = {}
    sent = 0
    for size in waves(len(order)):
        for index in order[sent : sent + size]:
            if (cluster := clusters[index]) is not None:
                counts[cluster] = counts.get(cluster, 0) + 1
            v1, v2 = [*sorted(counts.values(), reverse=True), 0, 0][:2]
            if v1 and agreement(v1, v2) >= confidence:
                sent += size
                return sent, _leader(order[:sent], clusters, counts)
        sent += size
    return sent, None


def _leader(order: Sequence[int], clusters: Sequence[int | None], counts: dict[int, int]) -> int:
    best = max(counts, key=counts.__getitem__, default=None)
    return next((i for i in order if best is not None and clusters[i] == best), order[0])


def _vote(item: Item, checkers: CheckerPool, *, with_tests: bool) -> Vote:
    _bits_of.clear()
    _bits_of.update(item.bits)
    question = read_question(item.answer_type, [{"role": "user", "content": item.question}], {})
    return Vote(question, checkers, (), _bits if with_tests else None)


def samples_of(texts: Sequence[str]) -> list[Sample]:
    """Return samples that ended with these texts, without any call behind them."""
    return [Sample.of_choice(n, Choice(content=text), CHEAP.name) for n, text in enumerate(texts)]
