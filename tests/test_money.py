from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.money import (
    LARGEST_NANOUSD,
    NotMoney,
    nano_from_pico,
    nano_from_usd,
    price_from_usd_per_million,
    round_half_even,
    usd_text,
)
from router.types import Usage

amounts = st.integers(min_value=-LARGEST_NANOUSD, max_value=LARGEST_NANOUSD)
tokens = st.integers(min_value=0, max_value=10**9)
usages = st.builds(Usage, tokens, tokens, tokens, tokens, tokens)


@given(st.integers(), st.integers(min_value=1))
def test_rounding_agrees_with_exact_fractions(numerator: int, denominator: int) -> None:
    assert round_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(st.integers())
def test_a_tie_goes_to_the_even_neighbour(whole: int) -> None:
    rounded = round_half_even(2 * whole + 1, 2)
    assert rounded % 2 == 0
    assert abs(2 * rounded - (2 * whole + 1)) == 1


@given(st.integers())
def test_rounding_is_symmetric_around_zero(pico: int) -> None:
    assert nano_from_pico(-pico) == -nano_from_pico(pico)


@given(amounts)
def test_an_amount_survives_being_written_and_read(nano: int) -> None:
    assert nano_from_usd(usd_text(nano)) == nano


@given(amounts)
def test_an_amount_is_written_with_nine_digits_and_no_exponent(nano: int) -> None:
    whole, _, part = usd_text(nano).removeprefix("-").partition(".")
    assert whole.isdigit()
    assert part.isdigit()
    assert len(part) == 9


@given(st.lists(st.integers(min_value=-(10**15), max_value=10**15)))
def test_written_amounts_add_up_exactly(nanos: list[int]) -> None:
    assert sum((Decimal(usd_text(nano)) for nano in nanos), Decimal(0)) == Decimal(usd_text(sum(nanos)))


@given(st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, allow_infinity=False))
def test_finer_digits_are_rounded_once_half_even(usd: Decimal) -> None:
    assert nano_from_usd(usd) == round(Fraction(usd) * 10**9)
    assert price_from_usd_per_million(usd) == round(Fraction(usd) * 10**6)


def test_digits_far_behind_a_tie_still_count() -> None:
    assert nano_from_usd("0.0000000005") == 0
    assert nano_from_usd("0.0000000005000000000000000000000000000001") == 1
    assert nano_from_usd("1234567890.1234567885000000000000000001") == 1234567890_123456789


@pytest.mark.parametrize("usd", ["0e999999", "1e-999999", "0", "-0"])
def test_extreme_exponents_of_nothing_are_zero(usd: str) -> None:
    assert nano_from_usd(usd) == 0


@pytest.mark.parametrize("usd", ["1e999999", "9" * 5_000, "9223372036.854775808", "-1e11"])
def test_what_the_books_cannot_hold_is_refused(usd: str) -> None:
    with pytest.raises(NotMoney, match="too large"):
        nano_from_usd(usd)


def test_the_largest_amount_fits() -> None:
    assert nano_from_usd("9223372036.854775807") == LARGEST_NANOUSD


@pytest.mark.parametrize("usd", [0.1, float("nan"), True])
def test_a_float_or_a_boolean_never_becomes_money(usd: object) -> None:
    with pytest.raises(NotMoney, match="never"):
        nano_from_usd(usd)  # type: ignore[arg-type]


@pytest.mark.parametrize("usd", ["", "nan", "sNaN", "Infinity", "-inf", "1,5", "five", "0x10"])
def test_what_is_no_number_is_no_money(usd: str) -> None:
    with pytest.raises(NotMoney, match="not an amount"):
        nano_from_usd(usd)


def test_dollars_per_million_are_pico_dollars_per_token() -> None:
    assert price_from_usd_per_million("0.05") == 50_000
    assert nano_from_pico(price_from_usd_per_million("0.05") * 1_000_000) == nano_from_usd("0.05")


@given(usages, usages)
def test_usage_adds_up_bucket_by_bucket(one: Usage, other: Usage) -> None:
    total = one + other
    assert total.input_tokens == one.input_tokens + other.input_tokens
    assert total.output_tokens == one.output_tokens + other.output_tokens


@given(usages)
def test_every_token_is_in_exactly_one_bucket(usage: Usage) -> None:
    buckets = (usage.input_fresh, usage.input_cached, usage.input_cache_write)
    outputs = (usage.output_visible, usage.output_reasoning)
    assert (sum(buckets), sum(outputs)) == (usage.input_tokens, usage.output_tokens)
