"""Figures for the eye: fewer digits, thousands apart, shares in percent. JSON and CSV stay exact."""

from decimal import Decimal


def number(value: object) -> str:
    """Write a count."""
    return "unknown" if value is None else f"{int(str(value)):,}"


def amount(value: object) -> str:
    """Write dollars with as many digits as a reader needs: cents from a dollar on, four digits below."""
    if value is None:
        return "unknown"
    exact = Decimal(str(value))
    sign = "-" if exact < 0 else ""
    size = abs(exact)
    if size >= 1 or size == 0:
        return f"{sign}${size:,.2f}"
    return f"{sign}${size:.{min(9, 3 - size.adjusted())}f}"


def percent(value: object) -> str:
    """Write a share; a small one that is not nothing is not shown as nothing."""
    if value is None:
        return "unknown"
    exact = Decimal(str(value)) * 100
    return f"{exact:.1f} %" if abs(exact) >= 1 or exact == 0 else f"{exact:.3f} %"


def figure_text(name: str, value: object) -> str:
    """Write a standing figure by what its name says it is."""
    if name == "tokens_per_usd":
        return number(value)
    if name.endswith("_usd"):
        return amount(value)
    return percent(value)
