"""What a query is expected to earn, and whether it may carry ads, never changes its tier."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from classifier.types import Stakes
from router.conversation.ads import AdLexicon
from router.decision.policy import Policy
from router.ledger import revenue
from router.ledger.revenue import Assumption, RevenueBook
from router.pacing.controller import apply_multiplier
from router.pacing.multipliers import INTERVAL_US, LAG_US, Multipliers
from router.types import Decision
from tests.builders.databases import open_books
from tests.builders.dispatchers import FixedModel, a_dispatcher, an_inference_request
from tests.builders.traffics import a_world, store
from tests.tiers.fakes import FakeBooks, FakeProvider, saying

FIRST_MS = 28_333_334 * 60_000
MINUTE_LATER_US = FIRST_MS * 1_000 + INTERVAL_US + LAG_US
SCORES = ((0.9, 0.95), (0.5, 0.65), (0.3, 0.9))


async def decided(book: RevenueBook, country: str, chances: tuple[float, float]) -> tuple[Decision, int | None]:
    dispatcher = a_dispatcher(FakeProvider(saying("hi")), FakeBooks(), model=FixedModel(*chances))
    dispatcher._revenue = book
    exchange = await dispatcher.open(an_inference_request(country=country))
    return exchange.decision, exchange.opening.expected_revenue_nanousd


@pytest.mark.parametrize("chances", SCORES)
async def test_whatever_a_query_earns_its_decision_is_the_same(
    sqlite_engine: Engine, chances: tuple[float, float]
) -> None:
    found = []
    for ecpm, country in product((0, 25 * 10**9, 10**15), ("US", "NG")):
        revenue.change(sqlite_engine, {"default": Assumption(ecpm, 58_000, 1_000_000)}, {}, "test", "", 1)
        found.append(await decided(RevenueBook.load(sqlite_engine), country, chances))
    assert len({decision for decision, _ in found}) == 1
    assert len({expected for _, expected in found}) > 3


@pytest.mark.parametrize("chances", SCORES)
async def test_what_may_carry_no_ads_earns_nothing_and_is_decided_by_its_score_alone(
    sqlite_engine: Engine, chances: tuple[float, float]
) -> None:
    revenue.change(sqlite_engine, {"default": Assumption(25 * 10**9, 58_000, 1_000_000)}, {}, "test", "", 1)
    tiers = []
    for stakes, book in product((Stakes.LOW, Stakes.HIGH), (RevenueBook(), RevenueBook.load(sqlite_engine))):
        dispatcher = a_dispatcher(FakeProvider(saying("hi")), FakeBooks(), model=FixedModel(*chances, stakes))
        dispatcher._revenue = book
        exchange = await dispatcher.open(an_inference_request())
        tiers.append((stakes, exchange.decision.tier))
        if stakes is Stakes.HIGH and book.version is not None:
            assert exchange.opening.expected_revenue_nanousd == 0
    assert len(set(tiers)) == 2


SENSITIVE = AdLexicon({"sensitive": {"any": {"en": "hi"}}})
COMMERCIAL = AdLexicon({"commercial": {"en": "hi"}})


@pytest.mark.parametrize("chances", SCORES)
async def test_what_a_query_is_about_for_ads_never_changes_its_decision(
    sqlite_engine: Engine, chances: tuple[float, float]
) -> None:
    assumption = Assumption(25 * 10**9, 58_000, 1_000_000, commercial_ppm=3_000_000)
    revenue.change(sqlite_engine, {"default": assumption}, {"ZZ": 1_000_000}, "test", "", 1)
    found = []
    for lexicon in (AdLexicon({}), SENSITIVE, COMMERCIAL):
        dispatcher = a_dispatcher(FakeProvider(saying("hi")), FakeBooks(), model=FixedModel(*chances))
        dispatcher._revenue, dispatcher._ads = RevenueBook.load(sqlite_engine), lexicon
        exchange = await dispatcher.open(an_inference_request(messages=[{"role": "user", "content": "hi"}]))
        found.append((exchange.decision, exchange.opening.expected_revenue_nanousd))
    assert len({decision for decision, _ in found}) == 1
    assert [expected for _, expected in found] == [1_450_000, 0, 4_350_000]


@pytest.mark.parametrize("chances", SCORES)
async def test_pacing_moves_a_whole_segment_and_no_query_by_what_it_earns(
    sqlite_engine: Engine, chances: tuple[float, float]
) -> None:
    found = []
    for ecpm, country in product((0, 10**15), ("US", "NG")):
        revenue.change(sqlite_engine, {"default": Assumption(ecpm, 58_000, 1_000_000)}, {}, "test", "", 1)
        dispatcher = a_dispatcher(FakeProvider(saying("hi")), FakeBooks(), model=FixedModel(*chances))
        dispatcher._revenue = RevenueBook.load(sqlite_engine)
        dispatcher._routing._paced = lambda policy, segment: apply_multiplier(policy, 1.5)
        found.append((await dispatcher.open(an_inference_request(country=country))).decision)
    assert len(set(found)) == 1


def test_the_price_of_a_dollar_knows_only_what_a_segment_earned_in_all(tmp_path: Path) -> None:
    found = []
    for name, earned in (("even", np.full(60, 1e-3)), ("one", np.where(np.arange(60) == 7, 60e-3, 0.0))):
        engine = open_books(f"sqlite:///{tmp_path}/{name}.db")
        traffic = replace(a_world(60).traffic, revenue_usd=earned, segments=np.zeros(60, np.int64))
        store(engine, traffic, first_ms=FIRST_MS)
        prices = Multipliers(engine, lambda: Policy(1, pacing="on", min_margin=0.3), lambda: MINUTE_LATER_US)
        prices.follow()
        found.append(prices.multiplier("free"))
        engine.dispose()
    assert found[0] == found[1] > 1.0
