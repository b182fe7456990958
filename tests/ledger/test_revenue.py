"""Expected revenue: integers, by segment and country, from a version that is stored with the request."""

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from router.database.engine import exclusive
from router.ledger import revenue
from router.ledger.revenue import Assumption, RevenueBook


@dataclass(frozen=True)
class Stated:
    ecpm_usd: Decimal = Decimal("25")
    ads_per_query: Decimal = Decimal("0.058")
    publisher_share: Decimal = Decimal("1.0")
    commercial_factor: Decimal = Decimal("2")


def a_book(engine: Engine, **segments: Stated) -> RevenueBook:
    revenue.sync(engine, {"default": Stated(), **segments}, 1_000)
    return RevenueBook.load(engine)


def test_the_default_assumption_in_nano_dollars(engine: Engine) -> None:
    assert a_book(engine).estimate_revenue("default", "US", True) == (1, 1_450_000)


def test_a_country_that_is_not_told_earns_like_the_one_that_earns_least_unless_stated(engine: Engine) -> None:
    assert a_book(engine).estimate_revenue("default", "ZZ", True) == (1, 116_000)
    for factor, earned in ((400_000, 580_000), (None, 116_000)):
        revenue.change(engine, {}, {"ZZ": factor}, "operator", "a test", 2_000)
        assert RevenueBook.load(engine).estimate_revenue("default", "ZZ", True)[1] == earned
    revenue.change(engine, {}, {"CN": 20_000}, "operator", "a test", 2_000)
    assert RevenueBook.load(engine).estimate_revenue("default", "ZZ", True)[1] == 29_000


@pytest.mark.parametrize(("stated_before", "earned"), [(1_000_000, 116_000), (300_000, 435_000)])
def test_books_of_before_get_the_rule_once_and_keep_what_operators_set(
    engine: Engine, stated_before: int, earned: int
) -> None:
    with exclusive(engine) as connection:
        shipped = revenue.body_of({"default": revenue.assumption_of_config(Stated())})
        old = {**shipped, "country_factors_ppm": {**shipped["country_factors_ppm"], "ZZ": 1_000_000}}
        revenue.add_version(connection, old, "config", f"configuration {revenue._digest(old)}", 1_000)
    revenue.change(engine, {"plus": Assumption(9, 9, 9)}, {"ZZ": stated_before}, "operator", "a test", 1_500)
    book = a_book(engine)
    assert (book.version, book.estimate_revenue("default", "ZZ", True)[1]) == (3, earned)
    with engine.connect() as connection:
        assert "plus" in revenue.newest(connection).body["segments"]
    revenue.change(engine, {}, {"ZZ": 1_000_000}, "operator", "a test", 2_000)
    assert a_book(engine).estimate_revenue("default", "ZZ", True) == (4, 1_450_000)


def test_what_is_not_eligible_is_expected_to_earn_nothing(engine: Engine) -> None:
    assert a_book(engine).estimate_revenue("default", "US", False) == (1, 0)


def test_a_country_scales_it(engine: Engine) -> None:
    book = a_book(engine)
    assert [book.estimate_revenue("default", c, True)[1] for c in ("US", "DE", "IN", "BR")] == [
        1_450_000,
        580_000,
        145_000,
        116_000,
    ]


def test_a_segment_has_its_own_and_an_unknown_one_the_default(engine: Engine) -> None:
    book = a_book(engine, plus=Stated(ads_per_query=Decimal(0)))
    assert [book.estimate_revenue(s, "US", True)[1] for s in ("plus", "nobody")] == [0, 1_450_000]


def test_only_a_changed_configuration_makes_a_version(engine: Engine) -> None:
    for stated in (
        Stated(),
        Stated(),
        replace(Stated(), ecpm_usd=Decimal(30)),
        replace(Stated(), ecpm_usd=Decimal(30)),
    ):
        revenue.sync(engine, {"default": stated}, 1_000)
    assert RevenueBook.load(engine).version == 2


def test_what_an_operator_set_survives_a_restart(engine: Engine) -> None:
    a_book(engine)
    with exclusive(engine) as connection:
        body = revenue.body_of({"default": revenue.Assumption(1_000_000_000, 1_000_000, 1_000_000)})
        revenue.add_version(connection, body, "operator", "a test", 2_000)
    assert a_book(engine).estimate_revenue("default", "US", True) == (2, 1_000_000)


def test_without_any_version_nothing_is_expected(engine: Engine) -> None:
    assert RevenueBook.load(engine).estimate_revenue("default", "US", True) == (None, None)


def test_a_surface_has_its_own_where_one_was_set(engine: Engine) -> None:
    one, two, three = (Assumption(10**9 * n, 1_000_000, 1_000_000) for n in (1, 2, 3))
    changed = {"default": one, "free/voice": two, "default/search": three}
    revenue.change(engine, changed, {}, "test", "", 1)
    book = RevenueBook.load(engine)
    asked = (("free", "voice"), ("free", ""), ("plus", "search"), ("plus", "voice"))
    assert [book.estimate_revenue(segment, "US", True, surface=surface)[1] for segment, surface in asked] == [
        2_000_000,
        1_000_000,
        3_000_000,
        1_000_000,
    ]


def test_who_may_want_to_buy_brings_so_many_times_as_much_of_the_ads_alone(engine: Engine) -> None:
    assumption = Assumption(10**9, 1_000_000, 1_000_000, flat_nanousd=7, commercial_ppm=2_500_000)
    revenue.change(engine, {"default": assumption}, {}, "test", "", 1)
    book = RevenueBook.load(engine)
    assert book.estimate_revenue("default", "US", True, is_commercial=True)[1] == 2_500_007
    assert book.estimate_revenue("default", "US", False, is_commercial=True)[1] == 7
