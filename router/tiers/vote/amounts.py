"""Numbers and quantities as people and models write them, brought to one spelling. Pure.

Equal amounts get equal keys (1.5 km and 1500 m, \\frac{3}{2} and 1.5). What is not plainly a number is left to
Math-Verify.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

NUMBER = r"[-+]?(?:\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3})?"
LAST_NUMBER = re.compile(NUMBER + r"(?:\s*/\s*\d+(?:\.\d+)?)?")

_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{([^{}]+)\}\s*\{([^{}]+)\}|(\d)\s*(\d))")
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
_NOISE = re.compile(r"\\(?:left|right|displaystyle|,|!|;|:|quad|\(|\)|\[|\])|[$*`]|\\\s")
_HEDGE = re.compile(
    r"^(?:about|approximately|approx\.?|around|roughly|nearly|almost|exactly|is|≈|~|=)\s*", re.IGNORECASE
)
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_AMOUNT = re.compile(
    rf"(?P<currency>[€£¥])?\s*(?P<number>{NUMBER})(?:\s+(?P<mixed>\d+\s*/\s*\d+)|\s*/\s*(?P<over>\d+(?:\.\d+)?))?"
    r"\s*(?P<scale>hundred|thousand|million|billion|trillion)?\s*(?P<unit>[^\d\s].*)?",
    re.IGNORECASE,
)

# unit -> (base unit, factor); only units that convert by a factor
_UNITS: dict[str, tuple[str, Fraction]] = {
    name: (base, Fraction(factor))
    for base, table in {
        "m": {
            "mm": "1/1000", "millimeter": "1/1000", "cm": "1/100", "centimeter": "1/100", "m": "1", "meter": "1",
            "metre": "1", "km": "1000", "kilometer": "1000", "kilometre": "1000", "in": "0.0254", "inch": "0.0254",
            "inches": "0.0254", "ft": "0.3048", "foot": "0.3048", "feet": "0.3048", "yd": "0.9144", "yard": "0.9144",
            "mi": "1609.344", "mile": "1609.344",
        },
        "g": {
            "mg": "1/1000", "milligram": "1/1000", "g": "1", "gram": "1", "kg": "1000", "kilogram": "1000",
            "tonne": "1000000", "lb": "453.59237", "lbs": "453.59237", "pound": "453.59237", "oz": "28.349523125",
            "ounce": "28.349523125",
        },
        "s": {
            "ms": "1/1000", "millisecond": "1/1000", "s": "1", "sec": "1", "second": "1", "min": "60", "minute": "60",
            "h": "3600", "hr": "3600", "hour": "3600", "day": "86400", "week": "604800",
        },
        "l": {"ml": "1/1000", "milliliter": "1/1000", "cl": "1/100", "l": "1", "liter": "1", "litre": "1"},
        "m/s": {"m/s": "1", "km/h": "5/18", "kmh": "5/18", "kph": "5/18", "mph": "0.44704"},
    }.items()
    for name, factor in table.items()
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Amount:
    """A number as written (`bare`), its unit as written, and both in one spelling (`canonical`)."""

    bare: str
    unit: str
    canonical: str


def amount(text: str, *, any_unit: bool) -> Amount | None:
    """Read a number with or without a unit; None when the text is not just that.

    `any_unit` also takes what is counted or unknown ("18 apples"): such units are dropped from the canonical form.
    """
    cleaned = plain(text)
    if cleaned.casefold() in _WORDS:
        cleaned = str(_WORDS.index(cleaned.casefold()))
    match = _AMOUNT.fullmatch(cleaned)
    if not match:
        return None
    value = _value(match)
    if value is None:
        return None
    unit = _unit(match["unit"] or "")
    bare = spell(value)
    if unit in _UNITS:
        base, factor = _UNITS[unit]
        return Amount(bare, unit, f"{spell(value * factor)} {base}")
    if unit and not any_unit and unit not in ("%", "dollar", "percent", "usd", "degree"):
        return None
    if len(unit.split()) > 4 or re.search(r"[\\^={}<>+*/(),:;\d]", unit):
        return None
    return Amount(bare, unit, bare)


def plain(text: str) -> str:
    """Take away LaTeX dressing, currency signs, hedges and what surrounds a number."""
    text = _TEXT.sub(r" \1 ", text.replace("−", "-").replace("–", "-").replace("\\$", "").replace("\\%", "%"))
    text = text.replace("^{\\circ}", " degree").replace("^\\circ", " degree").replace("°", " degree")
    text = _NOISE.sub("", text).replace("{,}", ",")
    text = _LATEX_FRACTION.sub(lambda m: f"{m[1] or m[3]}/{m[2] or m[4]}", text)
    text = text.strip().rstrip(".;,!").strip()
    while (stripped := _HEDGE.sub("", text)) != text:
        text = stripped
    return re.sub(r"^([-+]?)\s*(?:USD|US)\s*", r"\1", text).strip()


def spell(value: Fraction) -> str:
    """Write integers and short decimals exactly, longer ones to three decimals (four digits when below one)."""
    if value.denominator == 1 or abs(value) >= 10**12:
        return str(round(value))
    rounded = round(float(value), 3)
    if abs(value) < 1:
        return f"{float(value):.4g}"
    return str(int(rounded)) if rounded == int(rounded) else str(rounded)


def _value(match: re.Match[str]) -> Fraction | None:
    try:
        value = Fraction(re.sub("[,\u00a0\u202f]", "", match["number"]))
        if match["mixed"]:
            part = Fraction(match["mixed"].replace(" ", ""))
            value += -part if value < 0 else part
        if match["over"]:
            value /= Fraction(match["over"])
    except (ValueError, ZeroDivisionError):
        return None
    return value * _SCALES[match["scale"].lower()] if match["scale"] else value


def _unit(text: str) -> str:
    unit = text.strip().strip(".").strip()
    if unit in _UNITS:
        return unit
    unit = unit.casefold()
    if unit not in _UNITS and unit.endswith("s") and (unit[:-1] in _UNITS or len(unit) > 3):
        unit = unit[:-1]
    return unit
