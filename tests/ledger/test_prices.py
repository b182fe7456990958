"""Prices: an amount is usage times price, rounded once; a hold is never less than what can be billed."""

from hypothesis import given
from hypothesis import strategies as st

from router.ledger.prices import Price, PriceBook, Rates
from router.types import Usage

pico = st.integers(0, 10**9)
tokens = st.integers(0, 2_000_000)
usages = st.builds(Usage, tokens, tokens, tokens, tokens, tokens)
base_rates = st.builds(Rates, pico, pico, st.none() | pico, st.none() | pico, st.none() | pico)
long_rates = st.builds(
    Rates, pico, pico, st.none() | pico, st.none() | pico, st.none() | pico, above_tokens=st.integers(1, 500_000)
)


def a_price(*rates: Rates, **changes: object) -> Price:
    shape: dict[str, object] = {
        "id": 1,
        "model": "m",
        "effective_from": 0,
        "effective_to": None,
        "source": "config",
        "rates": rates or (Rates(50_000, 400_000),),
    }
    return Price(**{**shape, **changes})  # type: ignore[arg-type]


prices = st.builds(
    lambda base, more, fee: a_price(base, *more, per_call_nanousd=fee),
    base_rates,
    st.lists(long_rates, max_size=2, unique_by=lambda r: r.above_tokens),
    st.integers(0, 10**9),
)


@given(prices, usages)
def test_an_amount_is_a_whole_number_that_is_never_negative(price: Price, usage: Usage) -> None:
    cost = price.cost(usage)
    assert type(cost) is int
    assert cost >= price.per_call_nanousd >= 0


@given(prices, usages, st.integers(0, 1000), st.integers(0, 1000))
def test_a_hold_is_an_upper_bound(price: Price, usage: Usage, spare_in: int, spare_out: int) -> None:
    hold = price.hold(usage.input_tokens + spare_in, usage.output_tokens + spare_out)
    assert type(hold) is int
    assert price.cost(usage) <= hold


@given(base_rates, usages)
def test_rounding_is_off_by_half_a_nano_dollar_at_most(rates: Rates, usage: Usage) -> None:
    assert abs(a_price(rates).cost(usage) * 1000 - rates.pico(usage)) <= 500


def test_kinds_without_a_rate_fall_back() -> None:
    price = a_price(Rates(input=1_000, output=5_000))
    assert price.cost(Usage(1, 1, 1, 0, 0)) == 3
    assert price.cost(Usage(0, 0, 0, 1, 1)) == 10


def test_every_bucket_has_its_own_rate() -> None:
    price = a_price(Rates(input=1_000, output=5_000, cached_input=100_000, cache_write=2_000, thinking=7_000))
    assert price.cost(Usage(1, 1, 1, 1, 1)) == 1 + 100 + 2 + 5 + 7


def test_a_long_prompt_is_charged_at_the_long_rate_as_a_whole() -> None:
    price = a_price(Rates(1_000, 1_000), Rates(2_000, 3_000, above_tokens=200))
    assert price.cost(Usage(input_fresh=200, output_visible=10)) == 210
    assert price.cost(Usage(input_fresh=101, input_cached=100, output_visible=10)) == 402 + 30


def test_a_service_tier_has_its_own_rates_and_an_unknown_one_the_standard() -> None:
    price = a_price(Rates(2_000, 2_000), Rates(1_000, 1_000, service="flex"))
    usage = Usage(input_fresh=10)
    assert price.cost(usage, "flex") == 10
    assert price.cost(usage, "default") == price.cost(usage, "priority") == price.cost(usage) == 20


def test_a_cheaper_service_is_held_as_the_standard_one_which_may_serve_it() -> None:
    price = a_price(Rates(2_000, 2_000), Rates(1_000, 1_000, service="flex"), Rates(3_000, 3_000, service="priority"))
    assert price.hold(10, 0, "flex") == price.hold(10, 0) == 20
    assert price.hold(10, 0, "priority") == 30


def test_a_fee_per_call_comes_on_top() -> None:
    assert a_price(per_call_nanousd=7).cost(Usage()) == 7


def test_the_price_in_effect_is_the_one_of_the_instant() -> None:
    book = PriceBook([a_price(id=1, effective_to=100), a_price(id=2, effective_from=100)])
    found = [book.in_effect("m", at) for at in (99, 100)]
    assert [price and price.id for price in found] == [1, 2]


def test_no_price_is_none() -> None:
    book = PriceBook([a_price(effective_from=100)])
    assert book.in_effect("m", 99) is None
    assert book.in_effect("other", 200) is None
    assert book.find_unpriced(["m", "other"], 200) == ["other"]


def test_rates_survive_storage() -> None:
    rates = Rates(1, 2, cached_input=3, service="flex", above_tokens=4)
    assert Rates(**rates.as_row()) == rates
