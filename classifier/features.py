"""Turns text into hashed word n-grams and a block of bounded surface signals, in numpy and in microseconds.

Everything is computed on the lower-cased bytes of a head and a tail of the text, so the cost is bounded at any
length and letter case changes nothing. Which n-grams carry weight is the model's business, not this module's.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

HEAD_CHARS = 2600
TAIL_CHARS = 600
_LIMIT = 3 * (HEAD_CHARS + TAIL_CHARS)  # bytes: UTF-8 may take several for a character

Floats = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint32]

# Byte classes; 0 parts words.
(_SPACE, _LETTER, _DIGIT, _BEYOND_ASCII, _NEWLINE, _BRACKET, _BRACE, _OPERATOR, _BACKSLASH, _DOLLAR, _QUOTE, _COMMA,
 _STOP, _QUESTION, _OTHER) = range(15)  # fmt: skip
_CLASS_COUNT = 15


def _byte_classes() -> npt.NDArray[np.uint8]:
    table = np.full(256, _OTHER, np.uint8)
    table[128:] = _BEYOND_ASCII
    for chars, kind in (
        (b" \t\r", _SPACE),
        (b"abcdefghijklmnopqrstuvwxyz_", _LETTER),
        (b"0123456789", _DIGIT),
        (b"\n", _NEWLINE),
        (b"[]()", _BRACKET),
        (b"{}", _BRACE),
        (b"+-*/=<>^%", _OPERATOR),
        (b"\\", _BACKSLASH),
        (b"$", _DOLLAR),
        (b"\"'`", _QUOTE),
        (b",", _COMMA),
        (b".;:", _STOP),
        (b"?", _QUESTION),
    ):
        table[list(chars)] = kind
    return table


_CLASSES = _byte_classes()
# Digits become one symbol, so that a word of digits is known by its shape and not by its value.
_FOLD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789", b"abcdefghijklmnopqrstuvwxyz000000000")
_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2**64
_MASK = (1 << 64) - 1


def _powers(base: int) -> npt.NDArray[np.uint64]:
    powers, value = np.empty(_LIMIT + 1, np.uint64), 1
    for at in range(_LIMIT + 1):
        powers[at] = value
        value = value * base & _MASK
    return powers


_POWERS = _powers(_BASE)
_INVERSES = _powers(pow(_BASE, -1, 1 << 64))
_MIX = np.uint64(0xD6E8FEB86659FD93)
_SECOND = np.uint64(0xC2B2AE3D27D4EB4F)
_LOG_COUNTS = (1.0 + np.log(np.arange(1, _LIMIT + 2))).astype(np.float32)

SURFACE_NAMES = (
    "characters", "words", "word_length", "letters", "digits", "beyond_ascii", "newlines", "brackets", "braces",
    "operators", "backslashes", "dollars", "quotes", "commas", "stops", "questions", "others", "distinct",
    "number_length", "line_length", "number_words",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Features:
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
    text = clipped(text)
    is_ascii = text.isascii()
    raw = (text if is_ascii else text.lower()).encode("utf-8", "replace")[:_LIMIT].translate(_FOLD)
    line = np.frombuffer(raw, np.uint8)
    classes = _CLASSES[line]
    is_word = np.zeros(len(line) + 2, np.int8)
    # Letters, digits and everything beyond ASCII make words.
    np.less_equal(classes - np.uint8(1), 2, out=is_word[1:-1].view(np.bool_))
    edges = np.flatnonzero(is_word[1:] != is_word[:-1])
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    long_enough = lengths > 1
    words = int(np.count_nonzero(long_enough))
    starts, word_lengths = starts[long_enough], lengths[long_enough]
    counts = np.bincount(classes, minlength=_CLASS_COUNT)
    grams, frequencies = _grams(line, starts, word_lengths)
    # After folding a word made of digits starts with a zero.
    is_number = line[edges[::2]] == 48 if len(line) else np.zeros(0, np.bool_)
    surface = _surface(len(text), len(line), words, len(grams), counts, lengths, is_number)
    return Features(grams, frequencies, surface, is_ascii)


def _grams(
    line: npt.NDArray[np.uint8], starts: npt.NDArray[np.intp], lengths: npt.NDArray[np.intp]
) -> tuple[Hashes, Floats]:
    """Hash words and pairs of neighbours; a word's hash is a slice of one running polynomial."""
    if not len(starts):
        return np.zeros(0, np.uint32), np.zeros(0, np.float32)
    running = np.empty(len(line) + 1, np.uint64)
    running[0] = 0
    np.cumsum(line * _POWERS[: len(line)], out=running[1:])
    words = (running[starts + lengths] - running[starts]) * _INVERSES[starts]
    pairs = words[:-1] * _SECOND + words[1:]
    mixed = np.concatenate((words, pairs)) * _MIX
    hashes = np.sort((mixed >> np.uint64(32)).astype(np.uint32))
    first = np.empty(len(hashes) + 1, np.bool_)
    first[0] = first[-1] = True
    np.not_equal(hashes[1:], hashes[:-1], out=first[1:-1])
    at = np.flatnonzero(first)
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


def _surface(
    chars: int,
    size: int,
    words: int,
    distinct: int,
    counts: npt.NDArray[np.intp],
    lengths: npt.NDArray[np.intp],
    is_number: npt.NDArray[np.bool_],
) -> Floats:
    """Sizes on a log scale and shares of byte classes; see SURFACE_NAMES for the order."""
    signals = np.empty(len(SURFACE_NAMES), np.float32)
    letters, digits, newlines = int(counts[_LETTER]), int(counts[_DIGIT]), int(counts[_NEWLINE])
    numbers = int(np.count_nonzero(is_number))
    signals[0] = chars
    signals[1] = words
    signals[2] = letters / (words + 1)
    signals[3:17] = counts[1:]
    signals[17] = distinct / (2 * words + 1)
    signals[18] = digits / (numbers + 1)
    signals[19] = size / (newlines + 1)
    signals[20] = numbers
    np.log1p(signals, out=signals)
    return signals
