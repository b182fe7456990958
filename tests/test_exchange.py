from contextlib import aclosing

import pytest
from prometheus_client import generate_latest

from router.decision.latency import LatencyWindow
from router.decision.policy import Policy
from router.errors import ProviderError, Unavailable
from router.exchange import Exchange
from router.ledger.entries import CallIntent, CallResult, Closing, Entry, Opening
from router.metrics import Metrics
from router.policies.canaries import Canary, CanaryState, Mode
from router.policies.versions import PolicySnapshot, view_of
from router.tiers.base import Answer
from router.types import Outcome, Tier
from tests.builders.dispatchers import NO_CAP, FixedModel, a_dispatcher, an_inference_request
from tests.tiers.fakes import FakeBooks, FakeProvider, saying


async def opened(provider: FakeProvider, books: FakeBooks, model: str = "auto") -> Exchange:
    return await a_dispatcher(provider, books).open(an_inference_request(model=model))


def kinds(books: FakeBooks) -> list[type[Entry]]:
    return [type(entry) for entry in books.entries]


def closings(books: FakeBooks) -> list[Closing]:
    return [entry for entry in books.entries if isinstance(entry, Closing)]


async def test_opening_an_exchange_sends_and_books_nothing() -> None:
    provider, books = FakeProvider(saying("hi")), FakeBooks()
    await opened(provider, books)
    assert (provider.requests, books.entries) == ([], [])


async def test_the_intent_is_booked_before_the_provider_is_called() -> None:
    books = FakeBooks()
    seen: list[list[type[Entry]]] = []
    provider = FakeProvider(lambda request, index: seen.append(kinds(books)) or "hi")  # type: ignore[func-returns-value]
    await (await opened(provider, books)).answer()
    assert seen == [[Opening, CallIntent]]


async def test_a_settled_answer_is_opening_intent_result_and_closing() -> None:
    books = FakeBooks()
    exchange = await opened(FakeProvider(saying("hi")), books)
    exchange.settle(Outcome.OK, await exchange.answer())
    assert kinds(books) == [Opening, CallIntent, CallResult, Closing]
    assert (closings(books)[0].outcome, closings(books)[0].answer_call_no) == (Outcome.OK, 0)


async def test_a_shadows_decision_is_booked_beside_the_one_that_acted() -> None:
    never = Policy(version=9, reasoning_threshold=1.5, parallel_threshold=1.5, explore=0)
    canary = Canary(1, 9, NO_CAP.version, Mode.SHADOW, 1, 0, None, "wait", CanaryState.RUNNING, None, "ada", "")
    books = FakeBooks()
    dispatcher = a_dispatcher(
        FakeProvider(saying("hi")), books, model=FixedModel(0.3, 0.9), policies=view_of(NO_CAP, canary, never)
    )
    await (await dispatcher.open(an_inference_request())).answer()
    [opening] = [entry for entry in books.entries if isinstance(entry, Opening)]
    assert (opening.policy_version, opening.first_tier) == (3, Tier.REASONING)
    assert (opening.shadow_version, opening.shadow_tier) == (9, Tier.FAST)


async def test_what_is_under_way_finishes_under_the_policy_that_decided_it() -> None:
    books, dispatcher = FakeBooks(), a_dispatcher(FakeProvider(saying("hi")), FakeBooks())
    exchange = await dispatcher.open(an_inference_request())
    routing = dispatcher._routing
    routing._policies = PolicySnapshot(Policy(version=8))
    exchange.settle(Outcome.OK, await exchange.answer())
    assert exchange.decision_headers()["x-tierwise-policy"] == "3"
    assert (await dispatcher.open(an_inference_request("Another?"))).decision.policy_version == 8
    assert books.entries == []


@pytest.mark.parametrize(("outcome", "counts"), [(Outcome.OK, 1), (Outcome.CANCELLED, 1), (Outcome.ERROR, 0)])
async def test_how_long_a_client_waited_is_noted_for_the_tier(outcome: Outcome, counts: int) -> None:
    seen: list[tuple[Tier, bool]] = []

    class Seeing(LatencyWindow):
        def note_wait(self, tier: Tier, streamed: bool, wait_ms: float) -> None:
            seen.append((tier, streamed))

    dispatcher = a_dispatcher(FakeProvider(saying("hi")), FakeBooks(), waits=Seeing(lambda: 0.0))
    for model in ("auto", "own"):
        (await dispatcher.open(an_inference_request(model=model, streamed=True))).settle(outcome)
    assert seen == [(Tier.FAST, True)] * counts


async def test_only_the_first_settlement_counts() -> None:
    books = FakeBooks()
    exchange = await opened(FakeProvider(saying("hi")), books)
    exchange.settle(Outcome.OK, await exchange.answer())
    exchange.settle(Outcome.CANCELLED)
    assert [closing.outcome for closing in closings(books)] == [Outcome.OK]


async def test_a_failed_exchange_is_settled_with_what_it_cost() -> None:
    books = FakeBooks()
    exchange = await opened(FakeProvider(saying(ProviderError("down"))), books)
    with pytest.raises(ProviderError):
        await exchange.answer()
    exchange.settle(Outcome.ERROR)
    assert kinds(books) == [Opening, CallIntent, CallResult, Closing]


async def test_a_stream_that_is_closed_closes_the_provider() -> None:
    provider, books = FakeProvider(saying("hi")), FakeBooks()
    exchange = await opened(provider, books)
    async with aclosing(exchange.stream()) as steps:
        await anext(steps)
    exchange.settle(Outcome.CANCELLED)
    assert provider.closed == [0]
    assert [result.status for result in books.results()] == ["cancelled"]


async def test_a_stream_ends_in_one_answer() -> None:
    exchange = await opened(FakeProvider(saying("hi")), FakeBooks())
    steps = [step async for step in exchange.stream()]
    assert [isinstance(step, Answer) for step in steps] == [False, False, True]


async def test_the_explanation_names_who_answered_and_what_was_ignored() -> None:
    exchange = await opened(FakeProvider(saying("hi")), FakeBooks(), model="own")
    told = exchange.explanation(await exchange.answer(), ["api_base"])
    assert (told["provider_model"], told["final_tier"], told["ignored"]) == ("scripted/other", "fast", ["api_base"])
    assert told.keys() >= {"tier", "reason", "score", "threshold", "policy", "dropped", "propensity", "request_id"}


async def test_the_decision_goes_out_as_headers() -> None:
    exchange = await a_dispatcher(FakeProvider(saying("hi")), FakeBooks(), model=FixedModel(0.3, 0.9)).open(
        an_inference_request()
    )
    headers = exchange.decision_headers()
    assert headers == {
        "x-tierwise-tier": "reasoning",
        "x-tierwise-reason": "above_threshold",
        "x-tierwise-score": "0.6000",
        "x-tierwise-policy": "3",
    }


async def test_what_cannot_be_booked_is_not_sent() -> None:
    class FullBooks(FakeBooks):
        def write(self, entries: object) -> None:
            raise Unavailable("the spool is full")

    provider = FakeProvider(saying("hi"))
    with pytest.raises(Unavailable):
        await (await opened(provider, FullBooks())).answer()
    assert provider.requests == []


async def test_settled_requests_and_their_cost_are_counted() -> None:
    metrics = Metrics()
    exchange = await a_dispatcher(FakeProvider(saying("hi")), FakeBooks(), metrics=metrics).open(an_inference_request())
    exchange.settle(Outcome.OK, await exchange.answer())
    scraped = generate_latest(metrics.registry).decode()
    assert 'tierwise_cost_nanousd_total{tier="fast"} 25000.0' in scraped
    assert 'tierwise_requests_total{final_tier="fast",outcome="ok"' in scraped


async def test_while_the_spool_has_little_room_only_fast_is_served() -> None:
    dispatcher = a_dispatcher(FakeProvider(saying("hi")), FakeBooks(), model=FixedModel(0.3, 0.9), is_low=lambda: True)
    assert (await dispatcher.open(an_inference_request())).decision.tier is Tier.FAST
    with pytest.raises(Unavailable, match="disk space"):
        await dispatcher.open(an_inference_request(model="reasoning"))


@pytest.mark.parametrize(
    ("question", "language", "eligible"),
    [("How much is it?", "en", True), ("Ich bin krank, was kann ich tun?", "de", False), ("42", None, True)],
)
async def test_language_and_a_place_for_ads_are_noted_but_no_topic(
    question: str, language: str | None, eligible: bool
) -> None:
    books = FakeBooks()
    exchange = await a_dispatcher(FakeProvider(saying("hi")), books).open(an_inference_request(question))
    await exchange.answer()
    [opening] = [entry for entry in books.entries if isinstance(entry, Opening)]
    assert (opening.language, opening.ads_eligible) == (language, eligible)


@pytest.mark.parametrize(("model", "pressed"), [("auto", 0.5), ("parallel", 0.0)])
async def test_a_segments_price_presses_what_nobody_named(model: str, pressed: float) -> None:
    dispatcher = a_dispatcher(FakeProvider(saying("hi")), FakeBooks())
    dispatcher._pressure = {"free": 0.5}.__getitem__
    dispatcher._tiers = {**dispatcher._tiers, Tier.PARALLEL: dispatcher._tiers[Tier.FAST]}
    exchange = await dispatcher.open(an_inference_request(model=model, segment="free"))
    assert exchange.query.pressure == pressed
