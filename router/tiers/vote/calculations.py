"""Questions that can be worked out exactly: plain arithmetic, percentages, equations, dates, units. Pure.

A question is read only where the whole of it has one of a few forms; anything more and nothing is claimed.
"""

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from router.tiers.vote.dates import date_key, weekday
from router.tiers.vote.formulas import evaluate, polynomial
from router.tiers.vote.units import FACTORS, SCALES

LONGEST = 400
_BEGIN = (
    r"(?:(?:please|can you|could you|now)[, ]+)*(?:tell me[, ]+)?"
    r"(?:what(?: i|')s|what was|what will be|how much is|how much are|calculate|compute|evaluate|work out|find|solve)?"
    r"\s*"
)
_END = r"\s*[?.!]*"
_ASIDES = re.compile(
    r"(?is)\s*(?:(?:please )?(?:give|reply|respond|answer|say|write|state|show|return|explain|think)\b[^0-9?]*"
    r"|no explanation[^0-9?]*|only the[^0-9?]*|step by step[^0-9?]*)$"
)
_FORMULA = re.compile(
    rf"(?i){_BEGIN}(?:the )?(?:value of |result of |exactly )*:?\s*([-\d\s+*/×÷().,^$−–·]+?)\s*(?:=\s*\??)?{_END}"
)
_PERCENT = re.compile(rf"(?i){_BEGIN}(\d[\d,.]*)\s*(?:%|percent|per cent) of \$?(\d[\d,.]*){_END}")
_EQUATION = re.compile(
    r"(?i)(?:please )?(?:solve|find|what is)?\s*(?:for )?(?:the value of )?(?:([a-z])\b(?!\s*[-+*/^=]))?"
    r"\s*(?:in|if|when|for|given|such that|where)?\s*(?:the )?(?:equation)?\s*:?"
    r"\s*([-0-9a-z\s+*/×().,^−·]+=[-0-9a-z\s+*/×().,^−·]+?)"
    rf"(?:[,.;]?\s*(?:for|what is|find)\s*(?:the value of )?([a-z]))?{_END}"
)
_UNIT_OF_TIME = {"day": 1, "week": 7, "fortnight": 14}
_SHIFT = re.compile(
    rf"(?i)(?:(?:what|which) (?:date|day) (?:is|was|will be|will it be|comes|falls)|{_BEGIN}(?:the )?(?:date )?)\s*"
    rf"(?:exactly )?(\d{{1,6}}) (day|week|fortnight)s? (after|before|from|prior to) (.{{5,40}}?){_END}"
)
_BETWEEN = re.compile(
    r"(?i)how many (day|week)s (?:are there |are |lie |were there )?(?:between|from) (.{5,40}?)"
    rf" (?:and|to|until) (.{{5,40}}?){_END}"
)
_WEEKDAY = re.compile(
    r"(?i)(?:what|which) (?:day of the week|weekday) (?:is|was|will be|did|does|fell on|falls on)?"
    rf"\s*(.{{5,40}}?)(?: (?:fall on|fall|be))?{_END}"
)
_CONVERT = re.compile(
    r"(?i)(?:convert|change|express|what is|how much is|how long is|how far is|how heavy is)\s+(-?\d[\d,.]*)"
    rf"\s*([a-z°]+(?: [a-z]+)?)\s+(?:to|into|in|as)\s+([a-z°]+(?: [a-z]+)?){_END}"
)
_HOW_MANY = re.compile(rf"(?i)how many ([a-z]+) (?:are there |are |is )?in (?:an? |one |(-?\d[\d,.]*) )([a-z]+){_END}")


_OPERATION = re.compile(r"\d\)*\s*[-+*/×÷^−–·]\s*\(*\d")
_LIKE_A_DATE = re.compile(r"\d{1,2}/\d{1,2}/\d|\d{4}-\d{1,2}-\d{1,2}")


@dataclass(frozen=True, slots=True)
class WorkedOut:
    """What a question comes to: one of a number, a date, a day of the week, or an equation that answers must fulfil.

    `is_close` allows what conversions are usually rounded to. An equation with one solution proves an answer.
    """

    number: Fraction | None = None
    day: datetime.date | None = None
    weekday: str | None = None
    fulfils: Callable[[Fraction], bool] | None = None
    has_one_solution: bool = False
    is_close: bool = False


def work_out(question: str) -> WorkedOut | None:
    """Work a question out; None where it has none of the forms, or more to it."""
    return _work_out(question) if len(question) <= LONGEST else None


@lru_cache(maxsize=256)
def _work_out(question: str) -> WorkedOut | None:
    asked = _ASIDES.sub("", question.strip()).strip()
    for read in (_arithmetic, _percentage, _equation, _shift, _between, _day_of_week, _conversion):
        found = read(asked)
        if found is not None:
            return found
    return None


def agrees(found: WorkedOut, value: Fraction, decimals: int | None) -> bool:
    """Tell whether a number is the one worked out, as far as its decimals tell; None: it is written as a fraction."""
    if found.number is None:
        return False
    if found.is_close and abs(value - found.number) <= abs(found.number) / 200:
        return True
    if value == found.number:
        return True
    if decimals is None or decimals < 2:
        return False
    return abs(value - found.number) <= Fraction(1, 2 * 10**decimals)


def _arithmetic(asked: str) -> WorkedOut | None:
    match = _FORMULA.fullmatch(asked)
    if match is None or _LIKE_A_DATE.search(match[1]) or not _OPERATION.search(match[1]):
        return None
    value = evaluate(match[1])
    return None if value is None else WorkedOut(number=value)


def _percentage(asked: str) -> WorkedOut | None:
    match = _PERCENT.fullmatch(asked)
    numbers = [evaluate(part.rstrip(".,")) for part in match.groups()] if match else []
    if len(numbers) != 2 or None in numbers:
        return None
    share, whole = (number for number in numbers if number is not None)
    return WorkedOut(number=share * whole / 100)


def _equation(asked: str) -> WorkedOut | None:
    match = _EQUATION.fullmatch(asked)
    if match is None or match[2].count("=") != 1:
        return None
    names = set(re.findall(r"[a-z]", match[2].casefold()))
    if len(names) != 1 or re.search(r"[a-z]{2}", match[2], re.IGNORECASE):
        return None
    name = names.pop()
    if any(given is not None and given.casefold() != name for given in (match[1], match[3])):
        return None
    left, _, right = match[2].casefold().partition("=")
    sides = [polynomial(side, name) for side in (left, right)]
    if sides[0] is None or sides[1] is None:
        return None
    first, second = sides[0], sides[1]
    whole = {power: first.get(power, Fraction(0)) - second.get(power, Fraction(0)) for power in {*first, *second}}
    degree = max((power for power, factor in whole.items() if factor), default=0)
    if not degree:
        return None

    def fulfils(value: Fraction) -> bool:
        return sum((factor * value**power for power, factor in whole.items()), Fraction(0)) == 0

    return WorkedOut(fulfils=fulfils, has_one_solution=degree == 1)


def _shift(asked: str) -> WorkedOut | None:
    match = _SHIFT.fullmatch(asked)
    start = _date(match[4]) if match else None
    if match is None or start is None:
        return None
    days = int(match[1]) * _UNIT_OF_TIME[match[2].casefold()]
    sign = 1 if match[3].casefold() in ("after", "from") else -1
    try:
        return WorkedOut(day=start + sign * datetime.timedelta(days=days))
    except OverflowError:
        return None


def _between(asked: str) -> WorkedOut | None:
    match = _BETWEEN.fullmatch(asked)
    ends = [_date(text) for text in match.groups()[1:]] if match else []
    if match is None or len(ends) != 2 or ends[0] is None or ends[1] is None:
        return None
    days = abs((ends[1] - ends[0]).days)
    return WorkedOut(number=Fraction(days, _UNIT_OF_TIME[match[1].casefold()]))


def _day_of_week(asked: str) -> WorkedOut | None:
    match = _WEEKDAY.fullmatch(asked)
    day = _date(match[1]) if match else None
    return None if day is None else WorkedOut(weekday=weekday(f"{day:%A}"))


def _conversion(asked: str) -> WorkedOut | None:
    if match := _CONVERT.fullmatch(asked):
        amount, of, to = match[1], match[2], match[3]
    elif match := _HOW_MANY.fullmatch(asked):
        amount, of, to = match[2] or "1", match[3], match[1]
    else:
        return None
    value, source, target = evaluate(amount.rstrip(".,")), _unit(of), _unit(to)
    if value is None or source is None or target is None or source[0] != target[0]:
        return None
    base = value * source[1] + source[2]
    return WorkedOut(number=(base - target[2]) / target[1], is_close=True)


def _date(text: str) -> datetime.date | None:
    """Read a date that every reading takes alike: 03/04/2020 is none."""
    key, other = date_key(text), date_key(text, day_first=True)
    if key is None or key != other:
        return None
    try:
        return datetime.date.fromisoformat(key)
    except ValueError:
        return None


Unit = tuple[str, Fraction, Fraction]  # what it measures, how many base units it is, where its zero lies


def _unit(word: str) -> Unit | None:
    name = word.casefold().removeprefix("°").removeprefix("degrees ").strip()
    return _scale_or_factor(name) or (_scale_or_factor(name[:-1]) if name.endswith("s") else None)


def _scale_or_factor(name: str) -> Unit | None:
    if name in SCALES:
        return "temperature", *SCALES[name]
    base, factor = FACTORS.get(name, ("", Fraction(0)))
    return (base, factor, Fraction(0)) if base in _CONVERTED else None


_CONVERTED = frozenset(("m", "g", "s", "l"))  # a megabyte has two sizes, a month none
