"""The facts of a text that similarity does not see: numbers, dates, names, negations, opposites. Pure.

Two texts that say the same may tell more or less, but do not contradict: of each kind of fact one has all that the
other has. Nothing is understood; what is compared are words, in seventeen languages.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from router.tiers.vote.amounts import decimal_of
from router.tiers.vote.words import LEXICON, MONTHS, NUMBERS, WEEKDAYS, even, han_number, number_in_words

LONGEST = 3_000
FEW_WORDS = 16  # up to here one other word makes another statement
MANY_WORDS = 120  # from here on negations are not counted

_TOKEN = re.compile(r"\d+(?:[.,:/-]\d+)*%?|[\u0900-\u0963\u0970-\u0dff]+|[^\W\d_]+(?:['’-][^\W\d_]+)*")
_UNSPACED = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")
_HAN_NUMBER = re.compile(
    "[一二三四五六七八九十百千万亿億两]{2,}|[一二三四五六七八九十两](?=[个個位年月日天人次倍元只本条種种名つ])"
)
_NEGATIONS = frozenset(LEXICON["facts"]["negations"].split())
_NEGATION_PARTS = tuple(LEXICON["facts"]["negation_parts"].split())
_OPPOSITES: dict[str, int] = {}
for _at, _pair in enumerate(LEXICON["facts"]["opposites"].split(";")):
    for _side, _words in enumerate(_pair.split("/")):
        for _word in _words.split():
            _OPPOSITES.setdefault(_word, 2 * _at + _side)
_OPPOSITE_PARTS = [
    tuple(tuple(side.split()) for side in pair.split("/")) for pair in LEXICON["facts"]["opposite_parts"].split(";")
]
_COMMON = frozenset(LEXICON["facts"]["common"].split())


@dataclass(frozen=True, slots=True)
class Facts:
    """What a text states. `sides` are the sides of opposites that it takes; `words` its words in order."""

    numbers: frozenset[str]
    names: frozenset[str]
    sides: frozenset[int]
    negations: int
    words: tuple[str, ...]
    is_unspaced: bool

    def contradict(self, other: "Facts") -> bool:
        """Tell whether the two cannot be the same statement."""
        if not _is_within(self.numbers, other.numbers) or not _is_within(self.names, other.names):
            return True
        if min(len(self.words), len(other.words)) <= MANY_WORDS and self.negations != other.negations:
            return True
        if any((side ^ 1) in other.sides and side not in other.sides for side in self.sides):
            return True
        return _differ_in_a_word(self, other)


def read_facts(text: str) -> Facts:
    """Read the beginning of a text."""
    text = even(text[:LONGEST])
    tokens = [(m.start(), m[0]) for m in _TOKEN.finditer(text)]
    numbers, names, sides, negations = set(), set(), set(), 0
    words = []
    for at, token in tokens:
        word = token.casefold().replace("’", "'")
        if token[0].isdigit():
            numbers.add(decimal_of(token.rstrip("%")) or token if "," in token else _plain_number(token))
        elif word in MONTHS and len(word) > 3 and token[0].isupper():
            numbers.add(f"month {MONTHS[word]}")
        elif word in WEEKDAYS and len(word) > 3:
            numbers.add(f"day {WEEKDAYS[word]}")
        elif (number := _number(word)) > 1:
            numbers.add(str(number))
        elif token[0].isupper() and not _begins_sentence(text, at) and word not in _COMMON:
            names.add(word.removesuffix("'s"))
        negations += word in _NEGATIONS or word.endswith("n't")
        if (side := _OPPOSITES.get(word)) is not None:
            sides.add(side)
        if word not in _COMMON:
            words.append(word)
    is_unspaced = _UNSPACED.search(text) is not None
    if is_unspaced or not text.isascii():
        negations += sum(text.count(part) for part in _NEGATION_PARTS)
        sides |= _sides_of_parts(text)
        numbers |= {str(han_number(m[0])) for m in _HAN_NUMBER.finditer(text)}
    return Facts(frozenset(numbers), frozenset(names), frozenset(sides), negations, tuple(words), is_unspaced)


def _number(word: str) -> int:
    """Return the value of a number word, 0 where it is none."""
    if len(word) <= 2:
        return 0
    number = NUMBERS.get(word, 0)
    return number_in_words(word) or 0 if not number and (word.endswith("ig") or "-" in word) else number


def _plain_number(token: str) -> str:
    token = token.rstrip("%")
    if "." in token and token.replace(".", "").isdigit() and token.count(".") == 1:
        token = token.rstrip("0").rstrip(".")
    return token


def _begins_sentence(text: str, at: int) -> bool:
    before = text[max(0, at - 4) : at].rstrip(" \"'“«*_([-")
    return not before or before[-1] in ".!?:\n¿¡"


def _is_within(one: frozenset[str], other: frozenset[str]) -> bool:
    return one <= other or other <= one


def _sides_of_parts(text: str) -> set[int]:
    sides = set()
    for number, pair in enumerate(_OPPOSITE_PARTS):
        for side, parts in enumerate(pair):
            if any(part in text for part in parts):
                sides.add(10_000 + 2 * number + side)
    return sides


def _differ_in_a_word(one: Facts, other: Facts) -> bool:
    """Tell whether two short statements are the same but for what stands in one place."""
    if one.is_unspaced or other.is_unspaced:
        return _differ_in_a_place("".join(one.words), "".join(other.words))
    a, b = one.words, other.words
    if not a or not b or max(len(a), len(b)) > FEW_WORDS or min(len(a), len(b)) < 3:
        return False
    start, end = _count_ends(a, b)
    left, right = a[start : len(a) - end], b[start : len(b) - end]
    if not left or not right or len(left) > 2 or len(right) > 2 or len(left) == len(right) == len(a):
        return False
    return start + end >= max(len(left), len(right)) and not _are_forms(" ".join(left), " ".join(right))


def _differ_in_a_place(a: str, b: str) -> bool:
    """Tell the same of scripts without spaces: up to six signs differ in one place."""
    if max(len(a), len(b)) > 80 or min(len(a), len(b)) < 5:
        return False
    start, end = _count_ends(a, b)
    left, right = len(a) - start - end, len(b) - start - end
    return 0 < left <= 6 and 0 < right <= 6 and start + end >= 2 * max(left, right)


def _are_forms(one: str, other: str) -> bool:
    """Tell whether two words are forms of one: located, locate."""
    common = _count_start(one, other)
    return common >= 4 and max(len(one), len(other)) - common <= 3


def _count_start(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many words or signs two texts begin with alike."""
    return next((n for n, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), min(len(one), len(other)))


def _count_ends(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """Return how many they begin with alike, and how many of the rest they end with alike."""
    start = _count_start(one, other)
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    return start, end
