"""Figures for the eye: fewer digits, thousands apart, shares in percent. JSON and CSV stay exact.

Every function writes what is not known as `unknown`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from router.money import NANO_PER_USD

UNKNOWN = "unknown"
THOUSANDS = ((10**9, "bn"), (10**6, "m"), (10**3, "k"))


def format_count(value: object) -> str:
    """Write a count."""
    return UNKNOWN if value is None else f"{int(str(value)):,}"


def format_usd(value: object, sign: str = "$") -> str:
    """Write dollars with as many digits as a reader needs: cents from a dollar on, four digits below."""
    exact = _decimal_of(value)
    if exact is None:
        return UNKNOWN
    size = abs(exact)
    digits = 2 if size >= 1 or size == 0 else min(9, 3 - size.adjusted())
    return f"{'-' if exact < 0 else ''}{sign}{size:,.{digits}f}"


def format_nanousd(nano: int | None) -> str:
    """Write nano-dollars as dollars."""
    return UNKNOWN if nano is None else format_usd(Decimal(nano) / NANO_PER_USD)


def format_share(value: object) -> str:
    """Write a share in percent; a small one that is not nothing is not shown as nothing."""
    exact = _decimal_of(value)
    if exact is None:
        return UNKNOWN
    percent = exact * 100
    return f"{percent:.1f} %" if abs(percent) >= 1 or percent == 0 else f"{percent:.3f} %"


def format_figure(name: str, value: object) -> str:
    """Write a standing figure by what its name says it is."""
    if name == "tokens_per_usd":
        return format_count(value)
    if name.endswith("_usd"):
        return format_usd(value)
    return format_share(value)


def format_interval(low: object, high: object, write: Callable[[object], str]) -> str:
    """Write an interval whose ends are written by `write`."""
    return UNKNOWN if low is None or high is None else f"{write(low)} to {write(high)}"


def format_short(value: Decimal, unit: str) -> str:
    """Write a number as a chart has room for: two or three significant digits, thousands and more by a letter."""
    if unit == "%":
        return f"{value:.1f} %".replace(".0 %", " %")
    sign = "-" if value < 0 else ""
    size = abs(value)
    for factor, letter in THOUSANDS:
        if size >= factor:
            return f"{sign}{unit}{_few_digits(size / factor)}{letter}"
    return f"{sign}{unit}{_few_digits(size)}"


def money_digits(amounts: Iterable[Decimal | None]) -> int:
    """How many decimals a column of dollars has: cents, and below a dollar three digits of its largest amount."""
    largest = max((abs(amount) for amount in amounts if amount is not None), default=Decimal(0))
    return 2 if largest >= 1 or largest == 0 else min(9, 2 - largest.adjusted())


def format_money(amount: Decimal, digits: int) -> str:
    """Write dollars with so many decimals; an amount too small for them is not shown as nothing."""
    least = Decimal(1).scaleb(-digits)
    sign, size = "-" if amount < 0 else "", abs(amount)
    if 0 < size < least / 2:
        return f"{sign}<${least:f}"
    return f"{sign}${size:,.{digits}f}"


def format_percent(share: Decimal) -> str:
    """Write a share in percent with one decimal; one too small for it is not shown as nothing."""
    percent = share * 100
    if 0 < abs(percent) < Decimal("0.05"):
        return f"{'-' if percent < 0 else ''}<0.1 %"
    return f"{percent:,.1f} %"


def axis_texts(values: Sequence[Decimal], unit: str) -> list[str]:
    """Write the numbers beside an axis, evenly apart: all with the same decimals, and the same letter for thousands."""
    largest = max((abs(value) for value in values), default=Decimal(0))
    factor, letter = next((pair for pair in THOUSANDS if largest >= 10 * pair[0]), (1, ""))
    step = min((abs(value) for value in values if value), default=Decimal(1)) / factor
    digits = max(0, -int(step.normalize().as_tuple().exponent))
    digits = 2 if unit == "$" and digits == 1 and not letter else digits
    return [f"{'-' if v < 0 else ''}{unit}{abs(v) / factor:,.{digits}f}{letter if v else ''}" for v in values]


def _few_digits(size: Decimal) -> str:
    if size == 0:
        return "0"
    if size >= 100 or size == size.to_integral_value():
        return f"{size:.0f}"
    digits = max(0, 1 - size.adjusted()) if size < 1 else 2 if size < 10 else 1
    return f"{size:.{min(digits, 9)}f}".rstrip("0").rstrip(".") or "0"


def _decimal_of(value: object) -> Decimal | None:
    exact = None if value is None else Decimal(str(value))
    return None if exact is None or exact.is_nan() else exact


def describe_thousand(cost: str | None, revenue: str | None) -> str | None:
    """Say what a thousand requests cost and are expected to earn, both in dollars; None where no cost is known."""
    if cost is None:
        return None
    earns = "" if revenue is None else f" and are expected to earn {format_usd(revenue)}"
    return f"A thousand requests cost {format_usd(cost)}{earns}."


def describe_margins(figures: Mapping[str, object]) -> str | None:
    """Say what is left by what was booked and by what was expected; None until something is booked."""
    if figures["actual_margin"] is None:
        return None
    actual, expected = format_share(figures["actual_margin"]), format_share(figures["margin"])
    covered = format_share(figures["statement_share"])
    return f"Margin {actual} actual, {expected} expected; what was booked covers {covered} of expected revenue."
