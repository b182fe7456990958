"""What a query is expected to earn, and whether it may carry ads, never changes its tier."""

from itertools import product

import pytest
from sqlalchemy import Engine

from classifier.types import Stakes
from router.ads import AdLexicon
from router.ledger import revenue
from router.ledger.revenue import Assumption, RevenueBook
from router.types import Decision
from tests.desks import FixedModel, a_desk, an_ask
from tests.tiers.fakes import FakeBooks, FakeProvider, saying

SCORES = ((0.9, 0.95), (0.5, 0.65), (0.3, 0.9))


async def decided(book: RevenueBook, country: str, chances: tuple[float, float]) -> tuple[Decision, int | None]:
    desk = a_desk(FakeProvider(saying("hi")), FakeBooks(), model=FixedModel(*chances))
    desk._revenue = book
    exchange = await desk.open(an_ask(country=country))
    return exchange.decision, exchange._expected_nanousd


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
        desk = a_desk(FakeProvider(saying("hi")), FakeBooks(), model=FixedModel(*chances, stakes))
        desk._revenue = book
        exchange = await desk.open(an_ask())
        tiers.append((stakes, exchange.decision.tier))
        if stakes is Stakes.HIGH and book.version is not None:
            assert exchange._expected_nanousd == 0
    assert len(set(tiers)) == 2


SENSITIVE = AdLexicon({"sensitive": {"any": {"en": "hi"}}})
COMMERCIAL = AdLexicon({"commercial": {"en": "hi"}})


@pytest.mark.parametrize("chances", SCORES)
async def test_what_a_query_is_about_for_ads_never_changes_its_decision(
    sqlite_engine: Engine, chances: tuple[float, float]
) -> None:
    assumption = Assumption(25 * 10**9, 58_000, 1_000_000, commercial_ppm=3_000_000)
    revenue.change(sqlite_engine, {"default": assumption}, {}, "test", "", 1)
    found = []
    for lexicon in (AdLexicon({}), SENSITIVE, COMMERCIAL):
        desk = a_desk(FakeProvider(saying("hi")), FakeBooks(), model=FixedModel(*chances))
        desk._revenue, desk._ads = RevenueBook.load(sqlite_engine), lexicon
        exchange = await desk.open(an_ask(messages=[{"role": "user", "content": "hi"}]))
        found.append((exchange.decision, exchange._expected_nanousd))
    assert len({decision for decision, _ in found}) == 1
    assert [expected for _, expected in found] == [1_450_000, 0, 4_350_000]
