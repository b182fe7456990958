"""Turns text into hashed word n-grams and a block of bounded surface signals, in numpy and in microseconds.

Everything is computed on the lower-cased bytes of a head and a tail of the text, so the cost is bounded at any
length and letter case changes nothing. Which n-grams carry weight is the model's business, not this module's.
"""

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from classifier.wording import stripped

# Moves whenever `extract` gives other numbers for the same text: stored rows of another format are not comparable.
FEATURE_FORMAT = 1
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
_BEYOND_ASCII = 2
_OTHER = len(_KINDS)


def _byte_classes() -> bytes:
    table = bytearray([_OTHER]) * 256
    for kind, (_, members) in enumerate(_KINDS):
        for member in members:
            table[member] = kind
    return bytes(table)


_CLASSES = _byte_classes()
# Digits become one symbol, so that a word of digits is known by its shape and not by its value.
_FOLD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789", b"abcdefghijklmnopqrstuvwxyz000000000")
# Punctuation beyond ASCII (Spanish, French, typographic, Chinese, Japanese, full width) parts words as well.
_PUNCTUATION = re.compile(
    rb"\xc2[\xa0-\xbf]|\xe2\x80[\x80-\xbf]|\xe3\x80[\x80-\x9f]|\xef\xbc[\x81-\x8f\x9a-\xa0]|\xd8[\x8c\x9b\x9f]"
)
_ZERO = np.uint8(48)
_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2**64
_MASK = (1 << 64) - 1


def _powers(base: int) -> npt.NDArray[np.uint64]:
    powers, value = np.empty(_LIMIT + 3, np.uint64), 1
    for at in range(_LIMIT + 3):
        powers[at] = value
        value = value * base & _MASK
    return powers


_POWERS = _powers(_BASE)
_INVERSES = _powers(pow(_BASE, -1, 1 << 64))
_MIX = np.uint64(0xD6E8FEB86659FD93)
_SECOND = np.uint64(0xC2B2AE3D27D4EB4F)
_HALF = np.uint64(32)
_LOG_COUNTS = (1.0 + np.log(np.arange(1, _LIMIT + 2))).astype(np.float32)

SURFACE_NAMES = (
    *(name for name, _ in _KINDS), "characters", "words", "word_length", "distinct", "number_length", "line_length",
    "numbers", "longest_word", "one_letter_words",
)  # fmt: skip


class Features(NamedTuple):
    """One text: distinct n-gram hashes (sorted), the log term frequency of each, and the surface signals."""

    grams: Hashes
    frequencies: Floats
    surface: Floats
    is_ascii: bool


def clipped(text: str) -> str:
    """The head and the tail of the text that features are taken from."""
    if len(text) <= HEAD_CHARS + TAIL_CHARS:
        return text
    return text[: HEAD_CHARS - 1] + "\n" + text[-TAIL_CHARS:]


def extract(text: str) -> Features:
    """Features of one text; the same letters in another case give the same features."""
    text = clipped(stripped(text))
    is_ascii = text.isascii()
    encoded = text.encode() if is_ascii else _PUNCTUATION.sub(b" ", text.lower().encode("utf-8", "replace"))
    raw = b" %b " % encoded[:_LIMIT]
    classes = np.frombuffer(raw.translate(_CLASSES), np.uint8)
    line = np.frombuffer(raw.translate(_FOLD), np.uint8)
    is_word = classes <= _BEYOND_ASCII
    # The text is padded, so edges come in pairs: before the first and at the last byte of a word.
    edges = (is_word[1:] != is_word[:-1]).nonzero()[0]
    starts = edges[::2] + 1
    lengths = edges[1::2] - edges[::2]
    # After folding, a word made of digits starts with a zero.
    numbers = int(np.count_nonzero(line[starts] == _ZERO))
    is_long = lengths > 1
    long_starts, long_lengths = starts[is_long], lengths[is_long]
    grams, frequencies = _grams(line, long_starts, long_lengths)
    surface = np.empty(len(SURFACE_NAMES), np.float32)
    surface[:_OTHER] = counts = np.bincount(classes, minlength=_OTHER + 1)[:_OTHER]
    letters, digits, _, newlines = counts[:4].tolist()
    words = len(long_starts)
    surface[_OTHER:] = (
        len(text),
        words,
        letters / (words + 1),
        len(grams) / (2 * words + 1),
        digits / (numbers + 1),
        len(raw) / (newlines + 1),
        numbers,
        np.maximum.reduce(long_lengths) if words else 0,
        len(starts) - words,
    )
    return Features(grams, frequencies, np.log1p(surface, out=surface), is_ascii)


def _grams(
    line: npt.NDArray[np.uint8], starts: npt.NDArray[np.intp], lengths: npt.NDArray[np.intp]
) -> tuple[Hashes, Floats]:
    """Hash words and pairs of neighbours; a word's hash is a slice of one running polynomial."""
    count = len(starts)
    if not count:
        return np.zeros(0, np.uint32), np.zeros(0, np.float32)
    # The first byte is padding, so the running sum before a word is the one at the byte before it.
    running = (line * _POWERS[: len(line)]).cumsum()
    mixed = np.empty(2 * count - 1, np.uint64)
    words = mixed[:count]
    np.multiply(running[starts + lengths - 1] - running[starts - 1], _INVERSES[starts], out=words)
    np.add(words[:-1] * _SECOND, words[1:], out=mixed[count:])
    mixed *= _MIX
    mixed >>= _HALF
    hashes = mixed.astype(np.uint32)
    hashes.sort()
    first = np.empty(len(hashes) + 1, np.bool_)
    first[0] = first[-1] = True
    np.not_equal(hashes[1:], hashes[:-1], out=first[1:-1])
    at = first.nonzero()[0]
    return hashes[at[:-1]], _LOG_COUNTS[at[1:] - at[:-1] - 1]


def hash_phrase(phrase: str) -> int:
    """The hash that `extract` gives one word or two neighbouring words, or raise ValueError for anything longer."""
    found = extract(phrase)
    match len(found.grams), phrase.split():
        case 1, [_]:
            return int(found.grams[0])
        case _, [first, second]:
            alone = set(extract(first).grams.tolist()) | set(extract(second).grams.tolist())
            [pair] = set(found.grams.tolist()) - alone
            return int(pair)
    raise ValueError(f"not one or two words of at least two letters: {phrase!r}")
