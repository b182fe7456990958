"""Numbers and quantities as people and models write them, brought to one spelling. Pure.

Equal amounts get equal keys (1.5 km and 1500 m, \\frac{3}{2} and 1.5). What is not plainly a number is left to
Math-Verify.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from router.tiers.vote.units import FACTORS
from router.tiers.vote.words import HAN_NUMBER, UNITS, even, han_number, number_in_words

NUMBER = r"[-+]?(?:\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3})?"
LONGEST = 200

_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{([^{}]+)\}\s*\{([^{}]+)\}|(\d)\s*(\d))")
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
_NOISE = re.compile(r"\\(?:left|right|displaystyle|,|!|;|:|quad|\(|\)|\[|\])|[$*`]|\\\s")
_TIMES = re.compile(r"\\times|\\cdot|[×·]")
_HEDGE = re.compile(
    r"^(?:(?:about|approximately|approx\.?|around|roughly|nearly|almost|exactly|only|just|is|it is|it's|in total|etwa"
    r"|ca\.?|circa|rund|ungefähr|genau|environ|à peu près|aproximadamente|unos|unas|cerca de|exactamente|exatamente"
    r"|ongeveer|około|dokładnie|примерно|около|ровно|yaklaşık|tam|حوالي|تقريبا|लगभग|约|大约|約|およそ|약|khoảng|sekitar|kira-kira)"
    r"(?![^\W\d_])|[≈~=])\s*",
    re.IGNORECASE,
)
_SCALES = {
    "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "millions": 10**6,
    "millionen": 10**6, "mio": 10**6, "milliarden": 10**9, "milliarde": 10**9, "mrd": 10**9, "milliard": 10**9,
    "milliards": 10**9, "millones": 10**6, "millón": 10**6, "milhões": 10**6, "milhão": 10**6, "bilhões": 10**9,
    "milioni": 10**6, "miliardi": 10**9, "miljoen": 10**6, "miljard": 10**9, "tausend": 10**3, "mille": 10**3,
    "mila": 10**3, "mil": 10**3, "duizend": 10**3, "milionów": 10**6, "milion": 10**6, "tysięcy": 10**3,
    "tysiące": 10**3,
    "тысяч": 10**3, "тысячи": 10**3, "миллионов": 10**6, "миллиона": 10**6, "миллион": 10**6, "миллиардов": 10**9,
    "milyon": 10**6, "milyar": 10**9, "bin": 10**3, "مليون": 10**6, "ألف": 10**3, "लाख": 10**5, "करोड़": 10**7,
    "lakh": 10**5, "lakhs": 10**5, "crore": 10**7, "crores": 10**7, "千": 10**3, "万": 10**4, "萬": 10**4, "億": 10**8,
    "亿": 10**8, "천": 10**3, "만": 10**4, "억": 10**8, "triệu": 10**6, "tỷ": 10**9, "nghìn": 10**3, "ngàn": 10**3,
    "juta": 10**6, "ribu": 10**3, "miliar": 10**9,
}  # fmt: skip
_SCALE = "|".join(sorted(_SCALES, key=len, reverse=True))
_DIGITS = r"(?:\d[\d.,'’]*(?: \d{3}(?!\d)[\d.,]*)*|[.,]\d+)"
_AMOUNT = re.compile(
    rf"(?P<currency>[€£¥₹₩₽¢])?\s*(?P<number>[-+]?(?:{_DIGITS}(?:[eE][-+]?\d{{1,3}})?"
    r"(?:\s?(?:x|\*|×)\s?10\s?(?:\^|\*\*)\s?\{?\s?(?P<power>[-+]?\d{1,3})\s?\}?)?))"
    r"(?:\s+(?P<mixed>\d+\s?/\s?\d+)|\s?/\s?(?P<over>\d+(?:\.\d+)?))?"
    rf"\s*(?P<scale>(?:{_SCALE})(?![^\W\d_]{{2}}))?\s?(?P<unit>[^\d\s].*)?",
    re.IGNORECASE,
)
_POWER = re.compile(r"([-+]?)10\s?(?:\^|\*\*)\s?\{?\s?([-+]?\d{1,3})\s?\}?")
_PART = re.compile(
    rf"(?P<number>{_DIGITS})\s?(?P<unit>[^\d\s,.;]+\.?)\s?(?:,\s?|and\s|und\s|et\s|y\s|e\s|en\s|i\s|и\s)?"
)
_HALVES = {
    "half": Fraction(1, 2), "halves": Fraction(1, 2), "third": Fraction(1, 3), "thirds": Fraction(1, 3),
    "quarter": Fraction(1, 4), "quarters": Fraction(1, 4), "fourth": Fraction(1, 4), "fourths": Fraction(1, 4),
    "fifth": Fraction(1, 5), "fifths": Fraction(1, 5), "sixth": Fraction(1, 6), "sixths": Fraction(1, 6),
    "seventh": Fraction(1, 7), "eighth": Fraction(1, 8), "eighths": Fraction(1, 8), "tenth": Fraction(1, 10),
    "tenths": Fraction(1, 10), "dozen": Fraction(12), "hälfte": Fraction(1, 2), "moitié": Fraction(1, 2),
    "mitad": Fraction(1, 2), "metade": Fraction(1, 2), "metà": Fraction(1, 2), "helft": Fraction(1, 2),
    "połowa": Fraction(1, 2), "половина": Fraction(1, 2), "yarısı": Fraction(1, 2),
}  # fmt: skip

_LEAST_COMPOUND = ("s", "month", "m", "g", "l", "")
_RAISED = re.compile(
    r"(?:(?P<word>square|sq\.?|cubic|cu\.?)\s+(?P<of>\w+)|(?P<what>\w+)\s?(?:\^\{?(?P<power>[23])\}?|(?P<said>squared|cubed)))"
)
_FREE = frozenset(("percent", "dollar", "usd", "degree", "%"))


@dataclass(frozen=True, slots=True)
class Amount:
    """A number as written (`bare`), its unit as written, and both in one spelling (`canonical`)."""

    bare: str
    unit: str
    canonical: str


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """How a question has its numbers written.

    `unit` is what is asked for and what a number without one is counted in, unless another is `given`; `is_share` says
    that 50 % are one half.
    """

    comma_is_decimal: bool = False
    unit: str = ""
    decimals: int | None = None
    is_share: bool = False
    given: str = ""


USUAL = NumberStyle()


def amount(text: str, *, any_unit: bool, style: NumberStyle = USUAL) -> Amount | None:
    """Read a number with or without a unit; None when the text is not just that.

    `any_unit` also takes what is counted or unknown ("18 apples"): such units are dropped from the canonical form.
    """
    if len(text) > LONGEST:
        return None
    cleaned = plain(even(text))
    match = _AMOUNT.fullmatch(cleaned)
    if match is None:
        value = _in_words(cleaned)
        return None if value is None else _with_unit(value, "", style)
    value = _value(match, style)
    if value is None:
        return None
    unit = _unit(match["unit"] or match["currency"] or "")
    if unit in FACTORS or unit in _FREE or not unit:
        return _with_unit(value, unit, style)
    if (power := _power_of_unit(unit)) is not None:
        base, factor = power
        return Amount(spell(value), unit, f"{spell(_round(value * factor, style))} {base}")
    if compound := _compound(cleaned, style):
        return compound
    if not any_unit or len(unit.split()) > 4 or re.search(r"[\\^={}<>+*/(),:;\d]", unit):
        return None
    if head := unit_of(unit.split()[0]):
        return _with_unit(value, head, style)
    return _with_unit(value, "", style)


_RUN = re.compile(r"(?:\d[\d.,'’]*|[.,]\d+)(?:[eE][-+]?\d{1,3})?")
_SPACED_RUN = re.compile(rf"{_DIGITS}(?:[eE][-+]?\d{{1,3}})?")
_THIN = re.compile("(?<=\\d)[\u00a0\u202f\u2009](?=\\d{3})")
_CALENDAR = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{1,2}:\d\d(?::\d\d)?")
_BEHIND = re.compile(r"\s?(?:\d+\s?/\s?\d+|/\s?\d+(?:\.\d+)?)|\s?([%°€£¥₹₩₽]|[^\W\d_]+(?:/[^\W\d_]+)?)")
_LATIN = re.compile("[a-zA-Z_\u00c0-\u052f]")
_NO_UNITS_IN_TEXT = frozenset(("in", "an", "ans", "ay", "mil", "mi"))  # "7 in the end"
_UNCOUNTED = frozenset("a an one un une ein eine uno una um uma een bir một satu jeden i en e y o on 一 일 이".split())  # noqa: SIM905


def last_amount(text: str, style: NumberStyle = USUAL) -> Amount | None:
    """Return the last number of a text with its unit, dates and times left out; at most 2,000 characters are read."""
    text = _CALENDAR.sub(" ", plain(even(_THIN.sub("", text[-2000:]))))
    runs = [
        m
        for m in (_SPACED_RUN if style.comma_is_decimal else _RUN).finditer(text)
        if not _LATIN.match(text[m.start() - 1 : m.start()])
    ]
    for match in reversed(runs):
        start = match.start() - (text[match.start() - 1 : match.start()] in ("-", "+"))
        if start < match.start() and start and text[start - 1].isalnum():
            start = match.start()
        first = _first_of_compound(text, runs, match, style) if len(runs) > 1 else None
        if first is not None:
            return first
        over = text[max(0, start - 2) : start].rstrip()
        if over.endswith("/") and len(runs) > 1:
            continue
        for end in _ends(text, match):
            if read := amount(text[start:end].rstrip(".,"), any_unit=True, style=style):
                return read
    words = [w for w in re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text.casefold()) if w not in _UNCOUNTED]
    counted = [n for n in (number_in_words(w) for w in words) if n is not None]
    if len(counted) == 1:
        return _with_unit(Fraction(counted[0]), "", style)
    return None


def _ends(text: str, number: re.Match[str]) -> list[int]:
    """Return where a number ends with what belongs to it: a fraction, a scale or a known unit."""
    ends, at = [number.end()], number.end()
    for _ in range(3):
        match = _BEHIND.match(text, at)
        if match is None:
            break
        word = (match[1] or "").casefold()
        if match[1] is not None and word in _NO_UNITS_IN_TEXT:
            break
        if match[1] is not None and not (unit_of(word) or word in _SCALES or match[1] in "€£¥₹₩₽°"):
            break
        at = match.end()
        ends.append(at)
    return ends[::-1]


def _first_of_compound(text: str, runs: list[re.Match[str]], last: re.Match[str], style: NumberStyle) -> Amount | None:
    """Read "2 hours 30 minutes" where the last number is its end."""
    at = runs.index(last)
    end = _ends(text, last)[0]
    for first in runs[max(0, at - 2) : at]:
        if last.start() - first.start() <= 40 and (read := _compound(text[first.start() : end], style)):
            return read
    return None


def plain(text: str) -> str:
    """Take away LaTeX dressing, currency signs, hedges and what surrounds a number."""
    text = text.replace("−", "-").replace("–", "-")
    if "\\" in text:
        text = _TEXT.sub(r" \1 ", text.replace("\\$", "").replace("\\%", "%").replace("\\circ", "circ"))
        text = _TIMES.sub("×", text)
        text = text.replace("^{circ}", " degree ").replace("^circ", " degree ")
        text = _LATEX_FRACTION.sub(lambda m: f"{m[1] or m[3]}/{m[2] or m[4]}", _NOISE.sub("", text))
    else:
        text = _NOISE.sub("", text)
    text = text.replace("°", " degree ").replace("{,}", ",").strip().rstrip(".;,!").strip()
    for _ in range(3):
        if (stripped := _HEDGE.sub("", text)) == text:
            break
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


def decimal_of(written: str, *, comma_is_decimal: bool = False) -> str | None:
    """Return a number with a decimal point and without separators of thousands, None when it has no such form."""
    written = re.sub(r"(?<=\d)[ '’\u00a0\u202f](?=\d)", "", written)
    commas, points = written.count(","), written.count(".")
    if commas and points:
        decimal, thousand = (",", ".") if written.rfind(",") > written.rfind(".") else (".", ",")
        if written.count(decimal) > 1 or not _GROUPED[thousand].match(written):
            return None
        return written.replace(thousand, "").replace(decimal, ".")
    if not commas and (points == 0 or (points == 1 and not comma_is_decimal)):
        return written
    sign = "," if commas else "."
    is_grouped = _GROUPED[sign].fullmatch(written) is not None
    if commas + points > 1:
        return written.replace(sign, "") if is_grouped else None
    if sign == ",":
        is_decimal = comma_is_decimal or (not is_grouped and len(written.rpartition(",")[0]) > 0 and written[0] == "0")
        if is_decimal and (comma_is_decimal or not is_grouped):
            return written.replace(",", ".")
        return written.replace(",", "") if is_grouped else None
    return written.replace(".", "") if is_grouped and not written.startswith("0") else written


_GROUPED = {
    sign: re.compile(rf"[-+]?\d{{1,3}}(?:\{sign}\d{{2,3}})*\{sign}\d{{3}}(?!\d)") for sign in (",", ".")
}  # the Indian way groups by two


def unit_of(word: str) -> str:
    """Return the English name of a unit in any language, or its abbreviation; empty when the word is none."""
    unit = _unit(word)
    return unit if unit in FACTORS or unit in _FREE else ""


def _value(match: re.Match[str], style: NumberStyle) -> Fraction | None:
    written = match["number"]
    if match["power"] is not None:
        written = re.split(r"\s?(?:x|\*|×)", written, maxsplit=1, flags=re.IGNORECASE)[0]
    mantissa, _, exponent = written.lower().partition("e")
    number = decimal_of(mantissa, comma_is_decimal=style.comma_is_decimal)
    if number is None:
        return None
    try:
        value = Fraction(number + (f"e{exponent}" if exponent else ""))
        if match["power"] is not None:
            value *= Fraction(10) ** int(match["power"])
        if match["mixed"]:
            part = Fraction(match["mixed"].replace(" ", ""))
            value += -part if number.startswith("-") else part
        if match["over"]:
            value /= Fraction(match["over"])
    except (ValueError, ZeroDivisionError):
        return None
    return value * _SCALES[match["scale"].lower()] if match["scale"] else value


def _in_words(text: str) -> Fraction | None:
    """Read a number in words or numerals, a power of ten, or a fraction in words."""
    if match := _POWER.fullmatch(text):
        value = Fraction(10) ** int(match[2])
        return -value if match[1] == "-" else value
    text = text.casefold()
    if (whole := number_in_words(text)) is not None or (whole := han_number(text)) is not None:
        return Fraction(whole)
    if (
        (match := HAN_NUMBER.match(text))
        and len(text) - match.end() <= 2
        and text[match.end() :] not in ("月", "日", "年")
    ):
        whole = han_number(match[0])
        return None if whole is None else Fraction(whole)
    number, _, part = text.replace("-", " ").rpartition(" ")
    if part in _HALVES:
        count = number_in_words(number.removesuffix(" a").strip()) if number not in ("", "a", "an", "die", "la") else 1
        if count is not None:
            return count * _HALVES[part]
        whole_text, _, last = number.rpartition(" and ")
        if last in ("a", "one") and (whole := number_in_words(whole_text)) is not None:
            return whole + _HALVES[part]
    number, _, scale = text.rpartition(" ")
    if scale in _SCALES and (count := number_in_words(number)) is not None:
        return Fraction(count * _SCALES[scale])
    first, _, rest = text.partition(" ")
    if rest and (unit := unit_of(rest)) and (whole := number_in_words(first)) is not None and unit in _FREE:
        return Fraction(whole)
    return None


def _with_unit(value: Fraction, unit: str, style: NumberStyle) -> Amount:
    """Bring a number with a known unit, or none, to the spelling that the question has it in."""
    bare = spell(value)
    if unit in ("%", "percent") and style.is_share:
        return Amount(bare, unit, spell(_round(value / 100, style)))
    counted = unit if unit in FACTORS else ("" if unit else style.given or style.unit)
    if counted not in FACTORS:
        rounded = spell(_round(value, style)) if style.decimals is not None else bare
        return Amount(rounded, unit, rounded)
    base, factor = FACTORS[counted]
    return Amount(bare, unit, _in_base(value * factor, base, style))


def _in_base(value: Fraction, base: str, style: NumberStyle) -> str:
    """Spell a quantity in the unit that the question asks for, if it is of that kind, else in the base unit."""
    asked = FACTORS.get(style.unit)
    if asked is not None and asked[0] == base:
        return f"{spell(_round(value / asked[1], style))} {style.unit}"
    return f"{spell(_round(value, style))} {base}".strip()


def _compound(text: str, style: NumberStyle) -> Amount | None:
    """Add up an amount in several units of one kind: 2 hours 30 minutes, 5 ft 3 in."""
    total, base, at, parts, first = Fraction(0), None, 0, 0, ""
    while at < len(text):
        match = _PART.match(text, at)
        unit = _unit(match["unit"]) if match else ""
        if match is None or unit not in FACTORS or (base is not None and FACTORS[unit][0] != base):
            return None
        number = decimal_of(match["number"].rstrip(".,"), comma_is_decimal=style.comma_is_decimal)
        if number is None:
            return None
        base, factor = FACTORS[unit]
        total += Fraction(number) * factor
        first, at, parts = first or number, match.end(), parts + 1
    if parts < 2 or base not in _LEAST_COMPOUND:
        return None
    return Amount(first, unit, _in_base(total, base, style))


def _power_of_unit(unit: str) -> tuple[str, Fraction] | None:
    match = _RAISED.fullmatch(unit)
    if not match:
        return None
    power = 2 if (match["word"] or match["said"] or "").startswith(("sq",)) or match["power"] == "2" else 3
    inner = _unit(match["of"] or match["what"])
    if inner not in FACTORS or FACTORS[inner][0] != "m":
        return None
    return f"m^{power}", FACTORS[inner][1] ** power


def _round(value: Fraction, style: NumberStyle) -> Fraction:
    if style.decimals is None:
        return value
    scale = 10**style.decimals
    half = Fraction(1, 2)
    return Fraction(floor(value * scale + half) if value >= 0 else -floor(-value * scale + half), scale)


def _unit(text: str) -> str:
    unit = text.strip().strip(".").strip()
    if unit in FACTORS:
        return unit
    unit = " ".join(unit.casefold().split())
    if unit in FACTORS:
        return unit
    if unit in UNITS:
        return UNITS[unit]
    first, _, rest = unit.partition(" ")
    if rest and (both := f"{UNITS.get(first, first)} {rest}") in FACTORS:
        return both
    if unit not in FACTORS and unit.endswith("s") and (unit[:-1] in FACTORS or len(unit) > 3):
        unit = unit[:-1]
    return UNITS.get(unit, unit)
