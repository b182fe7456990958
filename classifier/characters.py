"""Turns text into hashed character n-grams, one to four characters long, so that every script is read alike.

Words are the business of `features`; here nothing is known of words, and Chinese is read as well as English. A head and
a tail of the text are read, so the cost is bounded at any length.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

HEAD_CHARS = 380
TAIL_CHARS = 240
BITS = 16
LONGEST = 4

Slots = npt.NDArray[np.uint32]

# Letters lose their case and digits become one symbol; so do they in `features`.
_FOLD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789", b"abcdefghijklmnopqrstuvwxyz000000000")
_DIGITS = str.maketrans("123456789", "000000000")
# Constants are arrays without dimensions: numpy takes them faster than numbers. One factor spreads a character's bits,
# another mixes those of an n-gram.
_SPREAD = np.array(0x9E3779B1 * 0xC2B2AE35 & 0xFFFFFFFF, np.uint32)
_STEP = np.array(0x85EBCA6B, np.uint32)
_SHIFT = np.array(32 - BITS, np.uint32)
_NOTHING = np.zeros(0, np.uint32)


def slots_of(text: str) -> Slots:
    """Slots (0 to 2**BITS - 1) of all n-grams of one text's words, each word taken once."""
    if len(text) > HEAD_CHARS + TAIL_CHARS:
        text = f"{text[:HEAD_CHARS]} {text[-TAIL_CHARS:]}"
    # A word said again says nothing more: else a tail of odd signs would drown what is asked.
    text = f" {' '.join(dict.fromkeys(text.split()))} "
    if text.isascii():
        line: npt.NDArray[Any] = np.frombuffer(text.encode().translate(_FOLD), np.uint8)
    else:
        line = np.frombuffer(text.lower().translate(_DIGITS).encode("utf-32-le", "replace"), "<u4")
    count = len(line)
    if count < LONGEST:
        return _NOTHING
    made = np.empty(LONGEST * count - 6, np.uint32)
    spread = grams = made[:count]
    np.multiply(line, _SPREAD, spread)
    end = count
    for longer in range(1, LONGEST):
        begin, end = end, end + count - longer
        grams = np.multiply(grams[:-1], _STEP, made[begin:end])
        grams += spread[longer:]
    made >>= _SHIFT
    return made
