"""Words and signs that tell the form of an answer and the stakes of a question, found where they stand in it.

The lexicon is `cues.toml`: readable, without weights, in seventeen languages. What the cues speak for is weighed by
`forms`, from numbers that were learnt; `answer_type_of` and `stakes_of` decide by rules alone, where there are none.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from classifier.types import AnswerType, Stakes

HEAD_CHARS, TAIL_CHARS = 200, 140
EARLIER_CHARS = 200
_TAIL_WORDS = 7  # a mark at the end counts
_TAIL_OF_UNSPACED = 6  # characters

# A word by what it speaks for, and by what it speaks for together with the word behind it.
_Entry = tuple[int, dict[str, int]]
# The cues within one text by where they stand: the first seven of `Cues`.
_Zones = tuple[int, int, int, int, int, int, int]
_STOP, _QUESTION = -1, -2  # what ends a sentence, where words have their cues


class Cues(NamedTuple):
    """What an instruction says of the answer it wants: cues as bits by where they stand, and signs."""

    anywhere: int  # within the instruction
    twice: int  # at two places of it, or more
    often: int  # at three or more
    first: int  # its first word
    starts: int  # the first words of sentences
    tail: int  # its last words
    asked: int  # the first word of the last question
    earlier: int  # anywhere in the turn before
    signs: int


_LEXICON: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
NAMES = tuple(_LEXICON)


class Cue:
    """The bits of the cues; plain integers, because every query tests most of them."""

    YES_NO, REQUEST, ALTERNATIVES, OR_NOT, BETTER, VERDICT, CLASSIFY = (1 << at for at in range(7))
    HOW_MANY, CALCULATE, WHEN, WHO, WHAT, HOW_TO, WRITE, EDIT = (1 << at for at in range(7, 15))
    EXPLAIN, PROVE, PLAN, IDEAS, LIST, JSON, CODE, CODE_MAKE = (1 << at for at in range(15, 23))
    CODE_ASK, ROLEPLAY, CHAT, JUDGEMENT, SELF_HARM, MEDICINE, SYMPTOM = (1 << at for at in range(23, 30))
    VULNERABLE, LEGAL, MONEY, HAZARD, MATHEMATICS, CONSTRAINT = (1 << at for at in range(30, 36))
    STRATEGY, CHANCE, SYSTEMS = (1 << at for at in range(36, 39))


class Sign:
    """The bits of what is no word."""

    QUESTION, ENDS_IN_QUESTION, WORDLESS_QUESTION, OFFERS, ENDS_IN_COLON = (1 << at for at in range(5))
    NUMBERS, MANY_NUMBERS, ARITHMETIC, ONLY_ARITHMETIC, MATHS, EQUALS = (1 << at for at in range(5, 11))
    CURRENCY, LARGE_SUM, DOSE, CLOCK = (1 << at for at in range(11, 15))
    CODE, CALL, BRACES, BRACKETS, QUOTES, COMMAS, SLASH, LINES = (1 << at for at in range(15, 23))
    OPTIONS, MATERIAL, FOLLOWS, SHORT, LONG, VERY_LONG = (1 << at for at in range(23, 29))


SIGNS = 29
ZONES = len(Cues._fields) - 1
ROWS = ZONES * len(NAMES) + SIGNS
_ASKING = Cue.HOW_MANY | Cue.WHEN | Cue.WHO | Cue.WHAT | Cue.HOW_TO | Cue.REQUEST | Cue.BETTER

# What parts words, beside white space; what ends a sentence; and what is neither and most of a text.
_MARKS = frozenset(',;()[]{}"“”„«»‘`…،؛、；，（）「」『』|<>*¿¡')
_QUESTION_MARKS, _COLONS, _STOPS = frozenset("?？؟"), frozenset(":："), frozenset(".!。！।\n:：")
_PLAIN = b" abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
_DIGITS = frozenset("0123456789٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९０１２３４５６７８９")
_BEHIND_OPTIONS = frozenset(").:")
_SIGN_OF = {
    **dict.fromkeys("²³√∑∫π≤≥≡∈ℝ°^∞≠×÷", Sign.MATHS),
    **dict.fromkeys("$€£¥₹₩₺₽%", Sign.CURRENCY),
    **dict.fromkeys("=", Sign.EQUALS),
    **dict.fromkeys("_;<>\\`&|~@#", Sign.CODE),
    **dict.fromkeys("{}", Sign.BRACES),
    **dict.fromkeys("[]", Sign.BRACKETS),
    **dict.fromkeys('"“«「', Sign.QUOTES),
    **dict.fromkeys("/", Sign.SLASH),
    **dict.fromkeys("\n", Sign.LINES),
}
_NUMBER = re.compile(r"\d+")
_ARITHMETIC = re.compile(r"\d\s*[-+*/^=x×÷·]\s*\(?-?\d")
_ONLY_ARITHMETIC = re.compile(r"[\d\s+*/^=x×÷·%().,?!-]+")
_LARGE_SUM = re.compile(r"[$€£¥₹₺]\s?\d[\d.,]{3,}|\d[\d.,\s]{3,}\s?(?:€|£|zł|tl\b|руб|₽|usd|eur)")
_THOUSANDS = re.compile(r"\d\s?(?:k\b|万|लाख|ألف|만|jt\b|juta|triệu)")
_DOSE = re.compile(r"\d(?: ?(?:mg|mcg|µg|ml|iu|mm)|\d\d?/\d{2,3})\b")
_DOSES = ("mg", "ml", "mcg", "mm", "iu", "/")
_CLOCK = re.compile(r"\d(?::\d\d\b| ?[ap]m\b|/\d+/\d|[月日년월일])")
_CLOCKS = (":", "am", "pm", "/", "月", "월", "년")
_CENTURIES = frozenset(("15", "16", "17", "18", "19", "20"))
_CALL = re.compile(r"\w\(\w")
_SECOND_OPTIONS = ("b.", "b)", "b:")
_OPTION = re.compile(r"(?:^|\s)\(?([a-e])[.):]\)?\s")


def sections() -> Iterator[tuple[str, str, str]]:
    """Every phrase of the lexicon: the cue, `words` or `parts`, the phrase."""
    for name, section in _LEXICON.items():
        for key, phrases in section.items():
            for phrase in phrases.split(","):
                yield name, key, " ".join(phrase.split())


def _read_lexicon() -> tuple[dict[str, _Entry], dict[str, list[tuple[str, int]]]]:
    """Words with what may stand behind them, and the parts of unspaced text by their first character."""
    words: dict[str, _Entry] = {}
    parts: dict[str, dict[str, int]] = {}
    for name, key, phrase in sections():
        bit = 1 << NAMES.index(name)
        if key == "parts":
            of_first = parts.setdefault(phrase[0], {})
            of_first[phrase] = of_first.get(phrase, 0) | bit
            continue
        word, _, behind = phrase.partition(" ")
        bits, pairs = words.get(word, (0, {}))
        if behind:
            pairs[behind] = pairs.get(behind, 0) | bit
        else:
            bits |= bit
        words[word] = bits, pairs
    return words, {first: list(of_first.items()) for first, of_first in parts.items()}


_WORDS, _PARTS = _read_lexicon()
_WORDS |= {".": (_STOP, {}), "?": (_QUESTION, {})}


def read_cues(instruction: str, *, has_material: bool = False, earlier: str = "") -> Cues:
    """Read the cues of an instruction; of a long one a head and a tail are read."""
    text = instruction.strip()
    if len(text) > HEAD_CHARS + TAIL_CHARS:
        text = f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"
    used = _characters_of(text)
    lowered = text.lower().replace("’", "'")
    found = _read_words(_tokens_of(lowered, used))
    if not lowered.isascii() and _UNSPACED.search(lowered):
        anywhere, twice, often, first, starts, tail, asked = map(int.__or__, found, _read_parts(lowered))
    else:
        anywhere, twice, often, first, starts, tail, asked = found
    signs = _signs_of(text, lowered, used, len(instruction), anywhere, tail)
    if has_material:
        signs |= Sign.MATERIAL
    before = 0
    if earlier:
        signs |= Sign.FOLLOWS
        earlier = earlier[-EARLIER_CHARS:].lower()
        before, *_ = _read_words(_tokens_of(earlier, _characters_of(earlier)))
        if not earlier.isascii() and _UNSPACED.search(earlier):
            before |= _read_parts(earlier)[0]
    return Cues(anywhere, twice, often, first, starts, tail, asked, before, signs)


def _tokens_of(lowered: str, used: frozenset[str]) -> list[str]:
    """Words, each question mark by itself as `?`, and other ends of sentences as `.`, however many stand together."""
    for mark in used & _MARKS:
        lowered = lowered.replace(mark, " ")
    for stop in used & _STOPS:
        lowered = lowered.replace(stop, ".")
    while ".." in lowered:
        lowered = lowered.replace("..", ".")
    lowered = lowered.replace(".", " . ")
    for mark in used & _QUESTION_MARKS:
        lowered = lowered.replace(mark, " ? ")
    return lowered.split()


def _read_words(tokens: list[str]) -> _Zones:
    """What whole words speak for."""
    anywhere = twice = often = starts = tail = asked = of_start = 0
    first = -1
    is_start = True
    tail_at = len(tokens) - _TAIL_WORDS
    tokens.append("")
    for at, entry in enumerate(map(_WORDS.get, tokens)):
        if entry is None:
            if not is_start:
                continue
            bits = 0
        else:
            bits, pairs = entry
            if pairs:
                bits |= pairs.get(tokens[at + 1], 0)
            elif bits < 0:
                is_start = True
                if bits == _QUESTION:
                    asked = of_start
                continue
            if bits:
                often |= twice & bits
                twice |= anywhere & bits
                anywhere |= bits
                if at >= tail_at:
                    tail |= bits
        if is_start:
            is_start, of_start = False, bits
            starts |= bits
            if first < 0:
                first = bits
    return anywhere, twice, often, max(first, 0), starts, tail, asked


def _read_parts(lowered: str) -> _Zones:
    """The same of parts of text, for scripts that do not part words or write endings to them."""
    anywhere = twice = often = first = starts = tail = asked = 0
    tail_at = len(lowered.rstrip(" ?？.。!！\n")) - _TAIL_OF_UNSPACED
    asked_at = max(map(lowered.rstrip("?？").rfind, "。！？?!\n")) if lowered[-1] in _QUESTION_MARKS else len(lowered)
    for character in set(lowered):
        for part, bits in _PARTS.get(character, ()):
            at = lowered.rfind(part)
            if at >= 0:
                often |= twice & bits
                twice |= anywhere & bits
                anywhere |= bits
                if at >= tail_at:
                    tail |= bits
                if at > asked_at:
                    asked |= bits
                if lowered.startswith(part):
                    first |= bits
                    starts |= bits
    return anywhere, twice, often, first, starts, tail, asked


def _characters_of(text: str) -> frozenset[str]:
    """The characters of a text but for spaces and the ASCII letters, which are no signs."""
    return frozenset(text.encode("utf-8", "surrogatepass").translate(None, _PLAIN).decode("utf-8", "surrogatepass"))


def _signs_of(text: str, lowered: str, used: frozenset[str], length: int, anywhere: int, tail: int) -> int:
    """What punctuation, numbers and length tell."""
    signs, last = 0, text[-1:]
    if used & _QUESTION_MARKS:
        signs |= Sign.QUESTION if anywhere & _ASKING else Sign.QUESTION | Sign.WORDLESS_QUESTION
        if last in _QUESTION_MARKS:
            signs |= Sign.ENDS_IN_QUESTION | (Sign.OFFERS if tail & Cue.ALTERNATIVES else 0)
    elif last in _COLONS:
        signs |= Sign.ENDS_IN_COLON
    if used & _DIGITS:
        signs |= _signs_of_numbers(lowered)
    for character in used:
        signs |= _SIGN_OF.get(character, 0)
    if "(" in used and ("()" in text or _CALL.search(text)):
        signs |= Sign.CALL
    if ("," in used and text.count(",") > 2) or (not text.isascii() and sum(map(text.count, "、，،")) > 2):
        signs |= Sign.COMMAS
    if used & _BEHIND_OPTIONS and any(map(lowered.__contains__, _SECOND_OPTIONS)):
        signs |= Sign.OPTIONS if len(set(_OPTION.findall(lowered))) > 1 else 0
    if length < 40:
        return signs | Sign.SHORT
    return signs | (Sign.LONG | Sign.VERY_LONG if length > 600 else Sign.LONG if length > 200 else 0)


def _signs_of_numbers(lowered: str) -> int:
    signs, numbers = Sign.NUMBERS, _NUMBER.findall(lowered)
    if len(numbers) > 3:
        signs |= Sign.MANY_NUMBERS
    if len(numbers) > 1 and _ARITHMETIC.search(lowered):
        signs |= Sign.ARITHMETIC
        if _ONLY_ARITHMETIC.fullmatch(lowered):
            signs |= Sign.ONLY_ARITHMETIC
    if _THOUSANDS.search(lowered) or (max(map(len, numbers), default=0) > 2 and _LARGE_SUM.search(lowered)):
        signs |= Sign.LARGE_SUM
    if any(map(lowered.__contains__, _DOSES)) and _DOSE.search(lowered):
        signs |= Sign.DOSE
    if any(len(number) == 4 and number[:2] in _CENTURIES for number in numbers) or (
        any(map(lowered.__contains__, _CLOCKS)) and _CLOCK.search(lowered)
    ):
        signs |= Sign.CLOCK
    return signs


def rows_of(cues: Cues) -> list[int]:
    """Rows of a table of weights that the cues touch: the zones one after the other, then the signs."""
    rows: list[int] = []
    base = 0
    for bits in cues:
        while bits:
            low = bits & -bits
            rows.append(base + low.bit_length() - 1)
            bits ^= low
        base += len(NAMES)
    return rows


_STATES_OPEN = Cue.WRITE | Cue.EDIT | Cue.PLAN | Cue.IDEAS | Cue.EXPLAIN | Cue.PROVE
_OF_CODE = Sign.CODE | Sign.CALL | Sign.BRACES


def answer_type_of(cues: Cues) -> AnswerType:
    """The most telling cue wins, from forms that an instruction states outright to those that it only suggests."""
    anywhere, first, starts, asked, signs = cues.anywhere, cues.first, cues.starts, cues.asked, cues.signs
    begins = first | asked
    if signs & Sign.ONLY_ARITHMETIC:
        return AnswerType.NUMERIC
    if anywhere & Cue.JSON and not first & (Cue.WHAT | Cue.YES_NO):
        return AnswerType.JSON
    if (
        (anywhere & Cue.OR_NOT and not first & _STATES_OPEN)
        or first & Cue.CLASSIFY
        or (signs & Sign.OPTIONS and signs & Sign.LINES and not anywhere & Cue.WRITE)
    ):
        return AnswerType.CHOICE
    if first & Cue.CODE_MAKE and signs & _OF_CODE:
        return AnswerType.CODE
    if anywhere & Cue.CODE:
        is_code = signs & _OF_CODE or (first | starts | asked) & Cue.CODE
        if (anywhere & Cue.CODE_MAKE or first & Cue.WRITE) and not first & (Cue.WHAT | Cue.EXPLAIN):
            return AnswerType.CODE
        if anywhere & Cue.CODE_ASK and is_code:
            return AnswerType.FACTUAL
        if is_code and not first & (Cue.EXPLAIN | Cue.CHAT | Cue.EDIT | Cue.WHAT):
            return AnswerType.CODE
    if first & _STATES_OPEN or (starts & _STATES_OPEN and not starts & Cue.HOW_MANY):
        return AnswerType.OPEN
    if starts & Cue.WHEN or (
        begins & Cue.WHAT and (cues.tail & Cue.WHEN or (anywhere & Cue.WHEN and signs & Sign.SHORT))
    ):
        return AnswerType.DATE
    if _is_settled_by_yes(cues):
        return AnswerType.CHOICE
    if _asks_for_number(cues):
        return AnswerType.NUMERIC
    if signs & Sign.QUESTION:
        return _answer_of_question(cues)
    return _answer_of_wish(cues)


def _asks_for_number(cues: Cues) -> bool:
    """Whether a number is asked for by its words, or reckoned with."""
    anywhere, signs = cues.anywhere, cues.signs
    if (cues.starts | cues.asked | cues.tail) & Cue.HOW_MANY or (anywhere & Cue.HOW_MANY and signs & Sign.QUESTION):
        is_beside_text = anywhere & (Cue.WRITE | Cue.PLAN | Cue.PROVE) and not cues.asked & Cue.HOW_MANY
        if not is_beside_text:
            return True
    if (cues.starts | cues.tail) & Cue.CALCULATE and signs & (Sign.NUMBERS | Sign.MATHS):
        return not (cues.first | cues.asked) & Cue.YES_NO
    return bool(signs & Sign.ARITHMETIC and not anywhere & (Cue.EXPLAIN | Cue.PLAN | Cue.WRITE))


def _is_settled_by_yes(cues: Cues) -> bool:
    """Whether the last question is one of yes or no: by how it begins or, in many languages, by how it ends."""
    asks_otherwise = Cue.HOW_MANY | Cue.WHO | Cue.WHEN | Cue.WHAT | Cue.HOW_TO | Cue.REQUEST
    at_end = cues.tail if cues.signs & Sign.ENDS_IN_QUESTION else 0
    return bool(
        (cues.asked & Cue.YES_NO or (at_end & Cue.YES_NO and not at_end & asks_otherwise))
        and not cues.asked & asks_otherwise
        and not cues.first & (_STATES_OPEN | Cue.CHAT | asks_otherwise)
    )


def _answer_of_question(cues: Cues) -> AnswerType:
    """What a question mark asks for: by how the last question begins, then by words anywhere."""
    anywhere, asked, tail = cues.anywhere, cues.asked, cues.tail
    if asked & Cue.BETTER and anywhere & Cue.WHO and not anywhere & Cue.ALTERNATIVES:
        return AnswerType.ENTITY
    if asked & Cue.HOW_TO and not asked & Cue.WHO:
        return AnswerType.OPEN
    if asked & Cue.WHO and not asked & Cue.YES_NO:
        return AnswerType.ENTITY
    if asked & Cue.BETTER:
        return AnswerType.CHOICE
    if asked & Cue.WHAT:
        return AnswerType.ENTITY if anywhere & Cue.WHO else AnswerType.FACTUAL
    if (anywhere | tail) & Cue.WHEN:
        return AnswerType.DATE
    if anywhere & Cue.WHO:
        return AnswerType.ENTITY
    if anywhere & Cue.VERDICT or cues.signs & Sign.OFFERS:
        return AnswerType.CHOICE
    if anywhere & Cue.HOW_TO:
        return AnswerType.OPEN
    if anywhere & Cue.WHAT:
        return AnswerType.FACTUAL
    if anywhere & (Cue.YES_NO | Cue.BETTER) and not anywhere & (Cue.REQUEST | Cue.CHAT):
        return AnswerType.CHOICE
    return AnswerType.OPEN


def _answer_of_wish(cues: Cues) -> AnswerType:
    """What is wanted where nobody put a question mark."""
    anywhere, first = cues.anywhere, cues.first
    if first & Cue.WHO or (first & Cue.BETTER and anywhere & Cue.WHO and not anywhere & Cue.ALTERNATIVES):
        return AnswerType.ENTITY
    if first & Cue.HOW_TO:
        return AnswerType.OPEN
    if anywhere & Cue.WHEN and cues.signs & Sign.SHORT:
        return AnswerType.DATE
    if first & (Cue.YES_NO | Cue.BETTER) and not anywhere & Cue.REQUEST:
        return AnswerType.CHOICE
    if first & Cue.WHAT and anywhere & Cue.HOW_MANY:
        return AnswerType.NUMERIC
    if first & Cue.WHAT or (anywhere & Cue.WHAT and cues.signs & Sign.SHORT):
        return AnswerType.ENTITY if anywhere & Cue.WHO else AnswerType.FACTUAL
    if anywhere & Cue.CLASSIFY:
        return AnswerType.CHOICE
    if cues.signs & Sign.SHORT and anywhere & Cue.WHO:
        return AnswerType.ENTITY
    return AnswerType.OPEN


_AT_STAKE = Cue.SELF_HARM | Cue.MEDICINE | Cue.SYMPTOM | Cue.LEGAL | Cue.MONEY | Cue.HAZARD


def stakes_of(cues: Cues) -> Stakes:
    """High where two things come together, such as a medicine and who takes it; a threat to life is enough alone."""
    anywhere, signs = cues.anywhere, cues.signs
    if not anywhere & _AT_STAKE:
        return Stakes.LOW
    asks = signs & Sign.QUESTION
    begins_as_choice = (cues.first | cues.asked) & Cue.YES_NO
    if anywhere & Cue.SELF_HARM:
        return Stakes.HIGH
    if anywhere & Cue.MEDICINE and (asks or signs & Sign.DOSE or anywhere & (Cue.SYMPTOM | Cue.VULNERABLE)):
        return Stakes.HIGH
    if anywhere & Cue.SYMPTOM and (
        anywhere & Cue.VULNERABLE or (asks and anywhere & (Cue.JUDGEMENT | Cue.HAZARD)) or begins_as_choice
    ):
        return Stakes.HIGH
    if anywhere & Cue.LEGAL and (asks or anywhere & Cue.MONEY) and not anywhere & (Cue.WRITE | Cue.CODE):
        return Stakes.HIGH
    if anywhere & (Cue.MONEY | Cue.LEGAL) and signs & Sign.LARGE_SUM:
        return Stakes.HIGH
    if anywhere & (Cue.MONEY | Cue.HAZARD) and begins_as_choice:
        return Stakes.HIGH
    return Stakes.LOW
