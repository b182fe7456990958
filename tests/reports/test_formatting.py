"""Figures for the eye: the same amount reads the same in a table, on a page and in a chart's tooltip."""

from decimal import Decimal

import pytest

from router.reports.formatting import (
    format_count,
    format_figure,
    format_interval,
    format_nanousd,
    format_share,
    format_short,
    format_usd,
)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("0", "$0.00"),
        ("12.3456", "$12.35"),
        (1234567, "$1,234,567.00"),
        ("0.00012345678", "$0.0001235"),
        ("0.0000000012", "$0.000000001"),
        ("-0.5", "-$0.5000"),
        (0.012345, "$0.01234"),
        (None, "unknown"),
        (float("nan"), "unknown"),
    ],
)
def test_dollars_have_cents_from_a_dollar_on_and_four_digits_below(value: object, written: str) -> None:
    assert format_usd(value) == written
    assert format_usd(value, sign="") == written.replace("$", "")


@pytest.mark.parametrize("nano", [0, 1, -1, 123_456, 999_999_999, 1_000_000_000, 12_345_678_901])
def test_nano_dollars_read_as_the_dollars_they_are(nano: int) -> None:
    assert format_nanousd(nano) == format_usd(Decimal(nano) / 10**9)


@pytest.mark.parametrize(
    ("value", "written"),
    [("0.1234", "12.3 %"), (0, "0.0 %"), ("0.001", "0.100 %"), ("-0.02", "-2.0 %"), (None, "unknown")],
)
def test_a_small_share_is_not_nothing(value: object, written: str) -> None:
    assert format_share(value) == written


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        ("0", "$", "$0"),
        ("0.00123", "$", "$0.0012"),
        ("1.234", "$", "$1.23"),
        ("-12.34", "$", "-$12.3"),
        ("123456", "$", "$123k"),
        ("2500000", "", "2.5m"),
        ("3000000000", "", "3bn"),
        ("12.04", "%", "12 %"),
    ],
)
def test_charts_have_room_for_few_digits(value: str, unit: str, written: str) -> None:
    assert format_short(Decimal(value), unit) == written


def test_a_figure_is_written_by_its_name() -> None:
    written = [format_figure(name, "1234.5") for name in ("cost_usd", "deep_share")]
    assert (written, format_figure("tokens_per_usd", 1234)) == (["$1,234.50", "123450.0 %"], "1,234")


def test_an_interval_is_known_at_both_ends_or_not_at_all() -> None:
    assert format_interval("1", "2", format_usd) == "$1.00 to $2.00"
    assert format_interval(None, 2, format_count) == "unknown"
