"""The words that answers are written with, read once from `words.toml`, and what makes texts of all scripts alike."""

import re
import tomllib
import unicodedata
from pathlib import Path

LEXICON: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


def _by_place(section: str) -> dict[str, int]:
    """Spellings by their place in lists like the twelve months, from one on."""
    places: dict[str, int] = {}
    for language in LEXICON[section].values():
        for place, spellings in enumerate(language.split(";"), 1):
            for spelling in spellings.split():
                places.setdefault(spelling, place)
    return places


MONTHS = _by_place("months")
WEEKDAYS = _by_place("weekdays")
WEEKDAY_NAMES = tuple(part.split()[0] for part in LEXICON["weekdays"]["en"].split(";"))
NUMBERS: dict[str, int] = {}
for _words in LEXICON["numbers"].values():
    for _number, _word in enumerate(_words.split()):
        NUMBERS.setdefault(_word, _number)
for _words in LEXICON["tens"].values():
    for _number, _word in zip((30, 40, 50, 60, 70, 80, 90, 100, 1000), _words.split(), strict=True):
        NUMBERS.setdefault(_word, _number)
NUMBERS |= {"vingt": 20, "yirmi": 20, "quatre-vingt": 80, "a": 1, "an": 1}
VERDICTS = {
    word.strip(): verdict for verdict, words in LEXICON["verdicts"].items() for word in words.split(",") if word.strip()
}
UNITS: dict[str, str] = {name: name for name in LEXICON["units"]}
for _unit, _names in LEXICON["units"].items():
    for _name in _names.split():
        UNITS.setdefault(_name, _unit)

_SUPERSCRIPTS = {ord(sign): digit for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
_RAISED = re.compile("[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_VULGAR = re.compile("(?<=\\d)(?=[¼½¾⅐-⅞])")
_DIGIT_SIGNS = {
    zero + digit: str(digit) for zero in (0x0660, 0x06F0, 0x0966, 0x09E6, 0x0E50) for digit in range(10)
} | {0x066B: ".", 0x066C: ",", 0x2044: "/", 0x2212: "-", 0x00D7: "×", 0x3000: " ", 0x202F: "\u00a0"}


def even(text: str) -> str:
    """Return a text in one script of digits and one form of each sign; raised digits become powers."""
    if text.isascii():
        return text
    text = _RAISED.sub(lambda m: "^" + m[0].replace("⁻", "-").replace("⁺", "").translate(_SUPERSCRIPTS_STR), text)
    return unicodedata.normalize("NFKC", _VULGAR.sub(" ", text)).translate(_DIGIT_SIGNS)


_SUPERSCRIPTS_STR = {code: str(digit) for code, digit in _SUPERSCRIPTS.items()}

_CONNECTORS = frozenset(("and", "et", "y", "e", "und", "en", "i"))
_JOINED = re.compile("(?P<ones>[a-zäöüß]{3,7}?)(?:und|en)(?P<tens>[a-zäöüß]{4,8}ig)")


def number_in_words(text: str) -> int | None:
    """Return the value of a number in words ("one hundred and five", "zweiundvierzig"), None when it is none."""
    text = text.strip()
    if text in NUMBERS and text not in ("a", "an"):
        return NUMBERS[text]
    if match := _JOINED.fullmatch(text):
        ones, tens = NUMBERS.get(match["ones"], NUMBERS.get(match["ones"] + "s")), NUMBERS.get(match["tens"])
        return ones + tens if ones and tens and ones < 10 else None
    words = [w for w in re.split(r"[\s-]+", text) if w not in _CONNECTORS]
    if not 1 < len(words) <= 12 or not all(w in NUMBERS for w in words):
        return None
    total = block = last = 0
    for word in words:
        value = NUMBERS[word]
        if value == 1000:
            total, block = total + (block or 1) * 1000, 0
        elif value == 100:
            block = (block or 1) * 100
        elif last and last < 20 and value < 100:
            return None
        else:
            block += value
        last = value
    return total + block


_HAN_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_HAN_SCALES = {"十": 10, "百": 100, "千": 1000}
_HAN_BLOCKS = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
HAN_NUMBER = re.compile("[零〇一二三四五六七八九十百千万萬亿億两兩]+")


def han_number(text: str) -> int | None:
    """Return the value of a number in Chinese numerals, None when it is none."""
    if not HAN_NUMBER.fullmatch(text):
        return None
    if all(sign in _HAN_DIGITS for sign in text):
        return int("".join(str(_HAN_DIGITS[sign]) for sign in text))
    total = block = digit = 0
    for sign in text:
        if sign in _HAN_DIGITS:
            digit = _HAN_DIGITS[sign]
        elif sign in _HAN_SCALES:
            block += (digit or 1) * _HAN_SCALES[sign]
            digit = 0
        else:
            total += (block + digit or 1) * _HAN_BLOCKS[sign]
            block = digit = 0
    return total + block + digit
