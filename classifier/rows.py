"""What the classifier read of a conversation, packed into bytes: enough to judge it again and to refit from it.

Hashes of words and pairs of words, their counts, and surface signals: no text. A hash is one way, but who has a list
of words can look each of them up; the hashes carry no salt, because the shipped vocabulary is keyed by them.
"""

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from classifier.consumer import NOTHING, ConsumerWord
from classifier.features import FEATURE_FORMAT, SURFACE_NAMES, Features, Floats

LAYOUT = 2
ROW_FORMAT = 100 * FEATURE_FORMAT + LAYOUT  # rows of another format are not comparable, or not readable
_HEAD = struct.Struct("<BHB3d")  # ASCII or not, n-grams, the burden in hundredths, what the consumer head said
_SIGNALS = len(SURFACE_NAMES)


class RowError(ValueError):
    """Not a packed row of this format."""


class ReadFeatures(NamedTuple):
    """All that is read of a conversation to tell its difficulty.

    What the consumer head read is kept as what it said: the runs of characters behind it are too many to keep.
    """

    features: Features
    burden: float
    consumer: ConsumerWord = NOTHING


def pack(seen: ReadFeatures) -> bytes:
    """Pack without loss: four bytes an n-gram, and what differs from the usual."""
    features, grams = seen.features, seen.features.grams
    return b"".join(
        (
            _HEAD.pack(features.is_ascii, len(grams), round(seen.burden * 100), *seen.consumer),
            *_sparse(features.surface, 0.0),
            grams.astype("<u4", copy=False).tobytes(),
            *_sparse(features.frequencies, 1.0),
        )
    )


def unpack(row: bytes) -> ReadFeatures:
    """Unpack; raises RowError."""
    try:
        is_ascii, count, burden, *said = _HEAD.unpack_from(row)
        surface, at = _dense(row, _HEAD.size, _SIGNALS, 0.0)
        grams = np.frombuffer(row, "<u4", count, at).astype(np.uint32, copy=False)
        frequencies, end = _dense(row, at + 4 * count, count, 1.0)
    except (struct.error, ValueError) as error:
        raise RowError(f"not a feature row: {error}") from None
    if end != len(row):
        raise RowError(f"not a feature row: {len(row)} bytes instead of {end}")
    return ReadFeatures(Features(grams, frequencies, surface, bool(is_ascii)), burden / 100, ConsumerWord(*said))


def _sparse(values: Floats, usual: float) -> tuple[bytes, bytes]:
    """Which values are unusual, as bits, and those."""
    unusual = values != np.float32(usual)
    return np.packbits(unusual).tobytes(), values[unusual].astype("<f4", copy=False).tobytes()


def _dense(row: bytes, at: int, count: int, usual: float) -> tuple[Floats, int]:
    """The values that `_sparse` wrote at a place, and where they end."""
    bits: npt.NDArray[np.uint8] = np.frombuffer(row, np.uint8, (count + 7) // 8, at)
    unusual = np.unpackbits(bits, count=count).astype(np.bool_) if count else np.zeros(0, np.bool_)
    at += len(bits)
    values = np.full(count, usual, np.float32)
    stored = np.frombuffer(row, "<f4", int(unusual.sum()), at)
    values[unusual] = stored
    return values, at + stored.nbytes
