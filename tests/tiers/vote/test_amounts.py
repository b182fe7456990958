"""Equal amounts are one amount however they are written, and what is no plain number is none."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.tiers.vote.amounts import amount, plain, spell


def canonical(text: str, *, any_unit: bool = False) -> str | None:
    read = amount(text, any_unit=any_unit)
    return None if read is None else read.canonical


@pytest.mark.parametrize(
    "texts",
    [
        ["1234.5", "1,234.5", "$1,234.50", r"\$1234.5", "about 1234.5", "≈ 1234.5", "1.2345e3", "1\u202f234.5"],
        ["0.75", "3/4", "3 / 4", r"\frac{3}{4}", r"\dfrac34", ".75"],
        ["2.5", "2 1/2", "5/2"],
        ["-2.5", "-2 1/2", "−2.5", "–2.5"],
        ["3000000", "3 million", "3,000,000", "3e6", "$3 million"],
        ["1.5 km", "1500 m", "1500 meters", "1.5 kilometres", r"1.5\text{ km}"],
        ["2 hours", "120 minutes", "7200 s", "2 h", "7200 sec"],
        ["36 km/h", "10 m/s", "36 kph"],
        ["1 lb", "453.59237 g", "1 pound"],
        ["7", "seven", "Seven", "exactly 7", "7."],
        ["50%", r"50\%", "50 percent"],
    ],
)
def test_equal_amounts_are_written_alike(texts: list[str]) -> None:
    assert len({canonical(text, any_unit=True) for text in texts}) == 1
    assert canonical(texts[0], any_unit=True) is not None


@pytest.mark.parametrize(("one", "other"), [("1 km", "1 mile"), ("1 m", "1 g"), ("1 m", "1 s"), ("2 1/2", "2.25")])
def test_different_amounts_are_not(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize("text", ["", "many", "x = 3", "3 + 4", "1/0", "3 (or 4)", "12:30", "3 of the five red apples"])
def test_what_is_not_just_a_number_is_none(text: str) -> None:
    assert amount(text, any_unit=True) is None


def test_what_is_counted_is_a_number_only_where_any_unit_is_taken() -> None:
    assert amount("18 apples", any_unit=False) is None
    assert (canonical("18 apples", any_unit=True), canonical("18 dollars")) == ("18", "18")


def test_the_number_and_its_unit_are_kept_as_written() -> None:
    read = amount("1.5 km", any_unit=False)
    assert read is not None
    assert (read.bare, read.unit, read.canonical) == ("1.5", "km", "1500 m")


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("approximately about 7.", "7"),
        ("$7$", "7"),
        ("90°", "90 degree"),
        (r"90^\circ", "90 degree"),
        ("US$ 5", "5"),
        ("-USD 5", "-5"),
        (r"\frac{1}{3}", "1/3"),
        ("1{,}000", "1,000"),
    ],
)
def test_what_surrounds_a_number_is_taken_off(text: str, bare: str) -> None:
    assert plain(text) == bare


@pytest.mark.parametrize(
    ("value", "spelt"),
    [("3", "3"), ("-7/2", "-3.5"), ("1/3", "0.3333"), ("10/3", "3.333"), ("29999/10000", "3"), (10**15, str(10**15))],
)
def test_integers_and_short_decimals_are_spelt_exactly(value: str, spelt: str) -> None:
    assert spell(Fraction(value)) == spelt


@given(st.integers(-(10**11), 10**11), st.sampled_from(["km", "kg", "hours", "litres", "mph"]))
def test_thousands_separators_and_units_change_nothing(n: int, unit: str) -> None:
    assert canonical(f"{n:,} {unit}") == canonical(f"{n} {unit}") is not None


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    amount(text, any_unit=True)
    amount(f"3 {text}", any_unit=False)
