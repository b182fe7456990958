"""What a question asks for, as far as its words tell: form of the answer, order of dates, units, decimals. Pure.

The classifier's answer type says which readers may guess; this says how a form that was found is meant.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from router.tiers.vote.amounts import USUAL, NumberStyle, unit_of
from router.tiers.vote.words import LEXICON, NUMBERS, even, han_number

LONGEST_HEAD, LONGEST_TAIL = 600, 2400


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a question asks for; several may hold."""

    date: bool = False
    date_form: bool = False  # a date in a form that is named, such as MM/DD/YYYY
    time: bool = False
    ratio: bool = False
    order: bool = False
    set: bool = False
    interval: bool = False
    pair: bool = False
    name: bool = False
    count: bool = False
    verdict: bool = False  # "cannot be determined" is among the answers
    day_first: bool = False
    year: int | None = None  # the last that the question writes in full
    numbers: NumberStyle = USUAL


NOTHING = Wanted()


def read_wanted(question: str) -> Wanted:
    """Read the beginning and the end of a question."""
    if len(question) > LONGEST_HEAD + LONGEST_TAIL:
        question = f"{question[:LONGEST_HEAD]}\n{question[-LONGEST_TAIL:]}"
    return _read_wanted(question)


@lru_cache(maxsize=64)
def _read_wanted(text: str) -> Wanted:
    folded = f" {' '.join(even(text).casefold().split())} "
    order = _DATE_FORMAT.search(folded)
    edged = folded.translate(_EDGES) + folded
    asks = {name: any(phrase in edged for phrase in phrases) for name, phrases in _ASKS.items()}
    comma = _has_decimal_comma(folded)
    unit = _unit_of_answer(folded)
    return Wanted(
        date=order is not None or asks["date"],
        date_form=order is not None and asks["date"] and not asks["count"],
        time=asks["time"],
        ratio=asks["ratio"],
        order=asks["order"],
        set=asks["set"],
        interval=asks["interval"],
        pair=asks["pair"],
        name=asks["name"],
        count=asks["count"],
        verdict=asks["verdict"],
        day_first=_is_day_first(folded, order, comma),
        year=int(years[-1]) if (years := _YEAR.findall(folded)) else None,
        numbers=NumberStyle(comma, unit, _decimals(folded), asks["share"] and not asks["percent"]),
    )


def _phrases(section: str) -> tuple[str, ...]:
    """Return the phrases of a section; what is written with spaces begins at the edge of a word."""
    found = []
    for raw in section.strip().replace("\n", " ").split(";"):
        phrase = raw.lstrip() if raw.endswith(" ") else raw.strip()
        found.append(f" {phrase}" if phrase[:1].isalpha() and phrase[0] < "\u0590" else phrase)
    return tuple(phrase for phrase in found if phrase.strip())


_ASKS = {name: _phrases(section) for name, section in LEXICON["asks"].items()}
_EDGES = str.maketrans(dict.fromkeys("\"'«»“”„¿¡([-/", " "))
_DATE_FORMAT = re.compile(
    r"(?<![\w/.-])(?:(?P<year>[yjaгr]{4}|yy)(?P<s>[-/. ]?)(?P<m>m{2}|м{2}|a{2})(?P=s)[dtjgдhn]{2}"
    r"|(?P<first>m{1,2}|d{1,2}|tt|jj|gg|дд|мм|dia|ngày)(?P<sep>[-/.])(?P<second>m{1,2}|d{1,2}|tt|мм|aa|tháng)"
    r"(?P=sep)(?:y{2,4}|j{2,4}|a{2,4}|г{2,4}|r{4}|năm|n{4}))(?![\w])"
)
_YEAR = re.compile(r"(?<![\d.,$€£-])[12]\d{3}(?![\d.,]\d|\d)")
_WRITTEN_DATE = re.compile(r"(?<!\d)(\d{1,2})[/](\d{1,2})[/]\d{4}(?!\d)")


def _is_day_first(folded: str, order: re.Match[str] | None, comma: bool) -> bool:
    """Tell whether the day stands before the month: by the format, the question's own dates, its language."""
    if order is not None and order["first"]:
        return not order["first"].startswith(("m", "м"))
    for first, second in _WRITTEN_DATE.findall(folded):
        if int(first) > 12 or int(second) > 12:
            return int(first) > 12
    return comma or any("\u0600" <= sign <= "\u097f" for sign in folded)


_PLACES = re.compile(
    r"(?<!\w)(?P<count>\d|[^\W\d]{1,14})[\s-](?:decimal|nachkomma|dezimal|décimal|casas? decima|cifre decimali"
    r"|dígitos decima|cijfers|miejsc|знак|ondalık|chữ số thập phân|desimal|angka (?:di )?belakang|places)"
    r"|(?P<places>[\d一二两三四])\s?位(?:有效)?小数|小数(?:点)?(?:后|第|点以下)?\s?(?P<place>[\d一二两三四])\s?位"
    r"|소수점?\s?(?:이하\s?)?(?P<korean>첫째|둘째|셋째|\d)\s?자리"
)
_NEAREST = {
    "nearest whole": 0, "nearest integer": 0, "whole number": 0, "nearest unit": 0, "nearest dollar": 0,
    "nearest tenth": 1, "nearest hundredth": 2, "nearest cent": 2, "nearest thousandth": 3, "ganze zahl": 0,
    "nächste ganze": 0, "l'entier le plus proche": 0, "entero más cercano": 0, "inteiro mais próximo": 0,
    "intero più vicino": 0, "geheel getal": 0, "liczby całkowitej": 0, "до целого": 0, "до десятых": 1, "до сотых": 2,
    "tam sayıya": 0, "四舍五入到整数": 0, "整数で": 0, "정수로": 0, "عدد صحيح": 0,
}  # fmt: skip
_CASES = {"двух": 2, "трёх": 3, "трех": 3, "одного": 1, "dwóch": 2, "trzech": 3, "첫째": 1, "둘째": 2, "셋째": 3}


def _decimals(folded: str) -> int | None:
    """Return to how many decimals the answer is asked for."""
    if match := _PLACES.search(folded):
        written = next(group for group in match.groups() if group)
        count = int(written) if written.isdigit() else _CASES.get(written, NUMBERS.get(written, han_number(written)))
        if count is not None and count <= 9 and written not in ("a", "an"):
            return count
    return next((places for phrase, places in _NEAREST.items() if phrase in folded), None)


_COUNTED = re.compile(
    r"\b(?:in|en|em|how many|number of|wie viele|combien de|combien d'|cuántos|cuántas|cuantos|quantos|quantas|quanti"
    r"|quante|hoeveel|ile|сколько|в|kaç|berapa|bao nhiêu|dalam|कितने|كم) ([^\W\d]+)(?![/-])"
    r"|(?:多少|几个?|何|몇 ?)(小时|分钟?|秒|天|米|公里|千克|克|時間|分|秒|日|メートル|キロ|시간|분|초|미터|킬로미터)"
)


def _unit_of_answer(folded: str) -> str:
    """Return the unit that the answer is asked for in, the last one named."""
    found = ""
    for word, sign in _COUNTED.findall(folded[-400:]):
        found = unit_of(word or sign) or unit_of((word or sign).removesuffix("s")) or found
    return found if found not in _VAGUE else ""


_VAGUE = frozenset(("%", "percent", "degree", "m", "s", "in", "l", "g", "h", "w", "mm", "mw", "mb", "dollar", "usd"))
_POINT = frozenset("the of is what how many and to does are was which if has in".split())  # noqa: SIM905
_COMMA = frozenset(
    [
        "der",
        "die",
        "das",
        "den",
        "und",
        "ist",
        "wie",
        "viele",
        "was",
        "ein",
        "eine",
        "ergibt",
        "gib",
        "auf",
        "wert",
        "le",
        "les",
        "est",
        "quel",
        "quelle",
        "combien",
        "une",
        "des",
        "du",
        "el",
        "los",
        "las",
        "es",
        "cuál",
        "cuánto",
        "qué",
        "una",
        "y",
        "de",
        "o",
        "os",
        "quanto",
        "qual",
        "são",
        "um",
        "uma",
        "il",
        "lo",
        "gli",
        "che",
        "è",
        "quanti",
        "quale",
        "het",
        "een",
        "wat",
        "hoeveel",
        "welke",
        "van",
        "ile",
        "jest",
        "jaki",
        "jaka",
        "podaj",
        "wynik",
        "kto",
        "czy",
        "z",
        "do",
        "na",
        "się",
        "ve",
        "bir",
        "kaç",
        "nedir",
        "là",
        "bao",
        "nhiêu",
        "của",
        "berapa",
        "adalah",
        "yang",
        "dan",
        "apa",
        "hasil",
    ]
)


def _has_decimal_comma(folded: str) -> bool:
    """Tell whether the language of a question writes decimals with a comma."""
    words = set(re.findall(r"[^\W\d_]+", folded))
    if any("\u0400" <= word[0] <= "\u04ff" for word in words):
        return True
    foreign = not folded.isascii() and any("\u00c0" <= sign <= "\u024f" for sign in folded)
    return len(words & _COMMA) + foreign > len(words & _POINT)
