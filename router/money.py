"""Money as integers: prices in pico-dollars per token, amounts in nano-dollars, one rounding function.

Micro-dollars per million tokens and pico-dollars per token are the same number. int64 holds 9.2 billion dollars
of nano-dollars. No float ever becomes money: amounts come from integers or from decimal strings.
"""

from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import NewType

PicoPerToken = NewType("PicoPerToken", int)
NanoUsd = NewType("NanoUsd", int)

PICO_PER_NANO = 1_000
NANO_PER_USD = 1_000_000_000
LARGEST_NANOUSD = NanoUsd(2**63 - 1)
LARGEST_DIGITS = 20


class NotMoney(ValueError):
    """Not an amount of money."""


def round_half_even(numerator: int, denominator: int) -> int:
    """Divide two integers and round to the nearest integer, ties to the even one; `denominator` > 0."""
    quotient, remainder = divmod(numerator, denominator)
    double = 2 * remainder
    if double > denominator or (double == denominator and quotient % 2 == 1):
        quotient += 1
    return quotient


def nano_from_pico(pico: int) -> NanoUsd:
    """Round an exact pico-dollar sum to nano-dollars: once per ledger line, half-even."""
    return NanoUsd(round_half_even(pico, PICO_PER_NANO))


def price_from_usd_per_million(usd: str | int | Decimal) -> PicoPerToken:
    """Convert USD per million tokens ("0.05") to pico-dollars per token; finer digits are rounded half-even."""
    return PicoPerToken(_scale(usd, 6))


def nano_from_usd(usd: str | int | Decimal) -> NanoUsd:
    """Convert a dollar amount given as a decimal string to nano-dollars; finer digits are rounded half-even."""
    return NanoUsd(_scale(usd, 9))


def usd_text(nano: int) -> str:
    """Write nano-dollars as an exact decimal dollar string, nine digits after the point."""
    sign = "-" if nano < 0 else ""
    whole, part = divmod(abs(nano), NANO_PER_USD)
    return f"{sign}{whole}.{part:09d}"


def _scale(value: str | int | Decimal, digits: int) -> int:
    """Shift the point by `digits` and round once, however many digits there are."""
    if isinstance(value, (bool, float)):
        raise NotMoney(f"money is never a {type(value).__name__}: {value!r}")
    try:
        exact = Decimal(value)
    except InvalidOperation:
        raise NotMoney(f"not an amount of money: {value!r}") from None
    if not exact.is_finite():
        raise NotMoney(f"not an amount of money: {value!r}")
    if exact and exact.adjusted() > LARGEST_DIGITS:
        raise NotMoney(f"too large for the books: {value!r}")
    all_digits = Context(prec=len(exact.as_tuple().digits) + 1, Emin=MIN_EMIN, Emax=MAX_EMAX)
    scaled = int(exact.scaleb(digits, all_digits).to_integral_value(ROUND_HALF_EVEN, all_digits))
    if abs(scaled) > LARGEST_NANOUSD:
        raise NotMoney(f"too large for the books: {value!r}")
    return scaled
