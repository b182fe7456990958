"""Turns text into hashed word n-grams and a block of bounded surface signals, in numpy and in microseconds.

Everything is computed on the lower-cased bytes of a head and a tail of the text, so the cost is bounded at any
length and letter case changes nothing. Which n-grams carry weight is the model's business, not this module's.
"""

import re
import struct
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from classifier.wording import stripped

# Moves whenever `extract` gives other numbers for the same text: stored rows of another format are not comparable.
FEATURE_FORMAT = 3
HEAD_CHARS = 2600
TAIL_CHARS = 600
_LIMIT = 3 * (HEAD_CHARS + TAIL_CHARS)  # bytes: UTF-8 may take several for a character

Floats = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint32]

# Byte classes: the first three make words, everything else parts them.
_KINDS: tuple[tuple[str, bytes], ...] = (
    ("letters", b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"),
    ("digits", b"0123456789"),
    ("beyond_ascii", bytes(range(128, 256))),
    ("newlines", b"\n"),
    ("square_brackets", b"[]"),
    ("round_brackets", b"()"),
    ("braces", b"{}"),
    ("plus", b"+"),
    ("minus", b"-"),
    ("times", b"*"),
    ("slashes", b"/"),
    ("equals", b"="),
    ("comparisons", b"<>"),
    ("carets", b"^"),
    ("percents", b"%"),
    ("backslashes", b"\\"),
    ("dollars", b"$"),
    ("double_quotes", b'"'),
    ("single_quotes", b"'"),
    ("backticks", b"`"),
    ("commas", b","),
    ("full_stops", b"."),
    ("semicolons", b";"),
    ("colons", b":"),
    ("questions", b"?"),
    ("exclamations", b"!"),
    ("ampersands", b"&"),
    ("hashes", b"#"),
    ("bars", b"|"),
)
_NEWLINES = 3
_DOUBLE_QUOTES, _SINGLE_QUOTES = (
    next(at for at, (name, _) in enumerate(_KINDS) if name == wanted) for wanted in ("double_quotes", "single_quotes")
)
_OTHER = len(_KINDS)
_SIGNS = slice(
    next(at for at, (name, _) in enumerate(_KINDS) if name == "plus"),
    next(at for at, (name, _) in enumerate(_KINDS) if name == "dollars"),
)


def _byte_classes() -> bytes:
    table = bytearray([_OTHER]) * 256
    for kind, (_, members) in enumerate(_KINDS):
        for member in members:
            table[member] = kind
    return bytes(table)


_CLASSES = _byte_classes()
_IN_WORDS = bytes(kind < _NEWLINES for kind in _CLASSES)
_SENTENCES = bytes.maketrans(b"?!\n\t", b"..  ")
_OPTION = re.compile(rb"\n[ \t]*\(?[a-j][.):]\)?[ \t]")
_FIRST_OPTIONS = re.compile(rb"\n[ \t]*\(?a[.):][^\n]*\n\s*\(?b[.):]")
# On one line; an apostrophe within or behind a word opens nothing.
_QUOTED = re.compile(rb"'(?<![a-z0-9_]')[^'\n]*'|\"[^\"\n]*\"")
_UNQUOTED = 0.0, 0.0
# Digits become one symbol, so that a word of digits is known by its shape and not by its value.
_FOLD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789", b"abcdefghijklmnopqrstuvwxyz000000000")
# Punctuation beyond ASCII (Spanish, French, typographic, Chinese, Japanese, full width) parts words as well.
_PUNCTUATION = re.compile(
    rb"\xc2[\xa0-\xbf]|\xe2\x80[\x80-\xbf]|\xe3\x80[\x80-\x9f]|\xef\xbc[\x81-\x8f\x9a-\xa0]|\xd8[\x8c\x9b\x9f]"
)
# Constants are arrays without dimensions: numpy takes them faster than numbers or arrays of one.
_ZERO = np.array(48, np.uint8)
_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2**64
_MASK = (1 << 64) - 1


def _powers(base: int) -> npt.NDArray[np.uint64]:
    powers, value = np.empty(_LIMIT + 3, np.uint64), 1
    for at in range(_LIMIT + 3):
        powers[at] = value
        value = value * base & _MASK
    return powers


_POWERS = _powers(_BASE)
# Of the byte after the one that is asked for; times a number that mixes the bits of a word's hash.
_MIXED_INVERSES = _powers(pow(_BASE, -1, 1 << 64))[1:] * np.uint64(0xD6E8FEB86659FD93)
_SECOND = np.array(0xC2B2AE3D27D4EB4F, np.uint64)
_UPPER_HALVES = slice(1 if sys.byteorder == "little" else 0, None, 2)
_TRUE = np.ones(_LIMIT, np.bool_)
_ONES = np.ones(_LIMIT, np.float32)
_NOTHING = np.zeros(0, np.uint32)
_LOG_COUNTS = (1.0 + np.log(np.maximum(1, np.arange(_LIMIT)))).astype(np.float32)

SURFACE_NAMES = (
    *(name for name, _ in _KINDS), "characters", "words", "word_length", "distinct", "number_length", "line_length",
    "numbers", "longest_word", "one_letter_words", "quoted", "longest_quoted",
    # The question before its answer options, the options, and the question's sentences.
    "question", "options_length", "options", "digits_of_options", "spread_of_options", "digits_of_question",
    "letters_of_question", "signs_of_question", "sentences", "longest_sentence", "last_sentence",
)  # fmt: skip
_PACKED = struct.Struct(f"{len(SURFACE_NAMES)}f").pack  # numpy takes bytes faster than numbers
QUESTION, OPTIONS, LONGEST_SENTENCE = map(SURFACE_NAMES.index, ("question", "options", "longest_sentence"))


class Features:
    """One text: distinct n-gram hashes (sorted), the log term frequency of each, and the surface signals.

    What people ask is mostly judged by its words, so signals may come as what works them out when they are asked for.
    """

    __slots__ = ("_surface", "frequencies", "grams", "is_ascii")

    def __init__(
        self, grams: Hashes, frequencies: Floats, surface: Floats | Callable[[], Floats], is_ascii: bool
    ) -> None:
        self.grams, self.frequencies, self.is_ascii = grams, frequencies, is_ascii
        self._surface = surface

    @property
    def surface(self) -> Floats:
        """The surface signals, in the order of their names."""
        if callable(self._surface):
            self._surface = self._surface()
        return self._surface


def clipped(text: str) -> str:
    """The head and the tail of the text that features are taken from."""
    if len(text) <= HEAD_CHARS + TAIL_CHARS:
        return text
    return text[: HEAD_CHARS - 1] + "\n" + text[-TAIL_CHARS:]


def extract(text: str) -> Features:
    """Features of one text; the same letters in another case give the same features."""
    text = clipped(stripped(text))
    is_ascii = text.isascii()
    encoded = text.encode() if is_ascii else _PUNCTUATION.sub(b" ", text.lower().encode("utf-8", "replace"))[:_LIMIT]
    folded = (b" " + encoded + b" ").translate(_FOLD)
    line, is_word = np.frombuffer(folded, np.uint8), np.frombuffer(folded.translate(_IN_WORDS), np.bool_)
    # Joints are where a word goes on: words of one letter have none. The text is padded, so edges come in pairs.
    is_joint = is_word[1:] & is_word[:-1]
    edges = (is_joint[1:] != is_joint[:-1]).nonzero()[0]
    before, last_joint = edges[::2], edges[1::2]
    grams, frequencies = _grams(line, before, last_joint) if len(edges) else (_NOTHING, _ONES[:0])
    surface = partial(_surface_of, folded, is_word, last_joint - before, len(text), len(grams))
    return Features(grams, frequencies, surface, is_ascii)


def _surface_of(
    folded: bytes, is_word: npt.NDArray[np.bool_], joints: npt.NDArray[np.intp], characters: int, distinct: int
) -> Floats:
    """The surface signals of a text, given its bytes, how many joints each word has, and what else was counted."""
    classes = np.frombuffer(folded.translate(_CLASSES), np.uint8)
    counts: list[float] = np.bincount(classes, minlength=_OTHER + 1).tolist()
    letters, digits, beyond_ascii, newlines = counts[:4]
    words = len(joints)
    # After folding, every digit is a zero; a number is a word that starts with one.
    numbers = np.count_nonzero((np.frombuffer(folded, np.uint8, offset=1) == _ZERO) > is_word[:-1]) if digits else 0
    chars_per_byte = characters / max(1, len(folded) - 2)
    may_quote = counts[_SINGLE_QUOTES] > 1 or counts[_DOUBLE_QUOTES] > 1
    signals = np.frombuffer(
        _PACKED(
            *counts[:_OTHER],
            characters,
            words,
            letters / (words + 1),
            distinct / (2 * words + 1),
            digits / (numbers + 1),
            len(folded) / (newlines + 1),
            numbers,
            joints.max() + 1 if words else 0,
            letters + digits + beyond_ascii - joints.sum() - words,
            *(_quote_sizes(folded, chars_per_byte) if may_quote else _UNQUOTED),
            *_question(folded, classes, counts, chars_per_byte),
        ),
        np.float32,
    )
    return np.log1p(signals)


def _quote_sizes(folded: bytes, chars_per_byte: float) -> tuple[float, float]:
    """Characters within quotes, and the most in one pair of them: what code is to work through."""
    sizes = [len(each) - 2 for each in _QUOTED.findall(folded)]
    return sum(sizes) * chars_per_byte, max(sizes, default=0) * chars_per_byte


def _question(
    folded: bytes, classes: npt.NDArray[np.uint8], counts: list[float], chars_per_byte: float
) -> tuple[float, ...]:
    """What is asked, apart from the answers offered: a long list of options does not make a long question."""
    end = len(folded)
    offered: tuple[float, ...] = 0.0, 0.0, 0.0, 0.0
    if counts[_NEWLINES] > 1:
        marks = [mark.start() for mark in _OPTION.finditer(folded)]
        if len(marks) > 2 and _FIRST_OPTIONS.match(folded, marks[0]):
            sizes = [later - earlier for earlier, later in pairwise((*marks, end))]
            of_question = np.bincount(classes[: marks[0]], minlength=_OTHER + 1).tolist()
            length, digits = end - marks[0], counts[1] - of_question[1]
            offered = length * chars_per_byte, len(marks), 20.0 * digits / length, max(sizes) - min(sizes)
            end, counts = marks[0], of_question
    sentences = list(map(len, folded[:end].translate(_SENTENCES).split(b". ")))
    return (
        end * chars_per_byte,
        *offered,
        counts[1],
        counts[0],
        sum(counts[_SIGNS]),
        len(sentences),
        max(sentences) * chars_per_byte,
        sentences[-1] * chars_per_byte,
    )


def _grams(
    line: npt.NDArray[np.uint8], before: npt.NDArray[np.intp], last_joint: npt.NDArray[np.intp]
) -> tuple[Hashes, Floats]:
    """Hash words and pairs of neighbours; a word's hash is a slice of one running polynomial."""
    count = len(before)
    # The first byte is padding, so the running sum before a word is the one at the byte before it.
    running = np.add.accumulate(line * _POWERS[: len(line)])
    mixed = np.empty(2 * count - 1, np.uint64)
    words, pairs = mixed[:count], mixed[count:]
    np.subtract(running[1:].take(last_joint), running.take(before), out=words)
    words *= _MIXED_INVERSES.take(before)
    np.multiply(words[:-1], _SECOND, out=pairs)
    pairs += words[1:]
    hashes = mixed.view(np.uint32)[_UPPER_HALVES].copy()
    hashes.sort()
    is_first = _TRUE[: len(hashes) + 1].copy()
    np.not_equal(hashes[1:], hashes[:-1], out=is_first[1:-1])
    at = is_first.nonzero()[0]
    if len(at) > len(hashes):  # nothing is said twice
        return hashes, _ONES[: len(hashes)]
    first, end = at[:-1], at[1:]
    return hashes.take(first), _LOG_COUNTS.take(end - first)


def hash_phrase(phrase: str) -> int:
    """The hash that `extract` gives one word or two neighbouring words, or raise ValueError for anything longer."""
    features = extract(phrase)
    match len(features.grams), phrase.split():
        case 1, [_]:
            return int(features.grams[0])
        case _, [first, second]:
            alone = set(extract(first).grams.tolist()) | set(extract(second).grams.tolist())
            [pair] = set(features.grams.tolist()) - alone
            return int(pair)
    raise ValueError(f"not one or two words of at least two letters: {phrase!r}")
